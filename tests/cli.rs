//! The command line as scripts and administrators use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn microllm(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_microllm"));
    command.args(args).arg("--data-dir").arg(dir);
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    microllm(dir, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn init(dir: &Path) -> Value {
    serde_json::from_str(&stdout(&run(dir, &["init", "--json"]))).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn init_prints_one_object_and_keeps_everything_private() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/data");
    let output = stdout(&run(&dir, &["init", "--json"]));
    assert_eq!(output.lines().count(), 1);
    let first: Value = serde_json::from_str(&output).unwrap();
    let mut names: Vec<_> = first.as_object().unwrap().keys().collect();
    names.sort();
    let expected = ["admin_api_key", "admin_email", "admin_password", "api_key"];
    assert_eq!(names, expected);
    assert!(first["api_key"].as_str().unwrap().starts_with("sk-mllm-"));
    assert!(first["admin_password"].as_str().unwrap().len() >= 15);
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_init_refuses_and_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = init(dir.path());
    let again = run(dir.path(), &["init", "--json"]);
    assert!(!again.status.success());
    assert!(again.stdout.is_empty());
    let said = stderr(&again);
    assert!(said.contains("already set up"), "{said}");
    for secret in ["api_key", "admin_api_key", "admin_password"] {
        assert!(!said.contains(first[secret].as_str().unwrap()), "{said}");
    }
}

#[test]
fn two_inits_at_once_make_one_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = || {
        microllm(dir.path(), &["init", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [spawn(), spawn()].map(|child| child.wait_with_output().unwrap());
    let succeeded = both.iter().filter(|output| output.status.success()).count();
    assert_eq!(succeeded, 1, "{both:?}");
    let keys = stdout(&run(dir.path(), &["keys", "list"]));
    assert_eq!(keys.lines().count(), 2, "{keys}");
}

#[test]
fn a_directory_open_to_others_is_closed_when_empty_and_refused_when_used() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let (empty, used) = (dir.path().join("empty"), dir.path().join("used"));
    open(&empty);
    init(&empty);
    assert_eq!(mode(&empty), 0o700);

    open(&used);
    fs::write(used.join("thesis.txt"), "").unwrap();
    let refused = run(&used, &["init", "--json"]);
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("chmod 700"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(mode(&used), 0o755);
}

#[test]
fn keys_are_made_listed_and_revoked_without_being_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    init(dir);
    let made = ["keys", "create", "--name", "ci", "--json"];
    let made: Value = serde_json::from_str(&stdout(&run(dir, &made))).unwrap();
    let (id, key) = (
        made["id"].as_str().unwrap(),
        made["api_key"].as_str().unwrap(),
    );
    let listed = stdout(&run(dir, &["keys", "list"]));
    assert!(listed.contains(id) && listed.contains("ci"), "{listed}");
    assert!(listed.contains(&key[key.len() - 4..]) && !listed.contains(key));
    stdout(&run(dir, &["keys", "revoke", id]));
    let listed = stdout(&run(dir, &["keys", "list"]));
    let line = listed.lines().find(|line| line.contains(id)).unwrap();
    assert!(line.contains("revoked"), "{line}");
    assert!(!run(dir, &["keys", "revoke", id]).status.success());
    let json = stdout(&run(dir, &["keys", "list", "--json"]));
    assert!(!json.contains("digest"), "{json}");
}

#[test]
fn commands_that_need_a_server_do_not_make_one() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    for args in [["usage", "export"], ["keys", "list"]] {
        let output = run(&dir, &args);
        assert!(!output.status.success());
        assert!(
            stderr(&output).contains("not set up"),
            "{}",
            stderr(&output)
        );
    }
    assert!(!dir.exists());
}

#[test]
fn a_wrong_setting_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let output = microllm(dir.path(), &["serve"])
        .env("MICROLLM__SERVER__DRAIN_SECONDS", "soon")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("server.drain_seconds"), "{said}");
    assert!(said.contains("MICROLLM__SERVER__DRAIN_SECONDS"), "{said}");
}

#[test]
fn serve_prepares_a_fresh_directory_hides_the_credentials_from_logs_and_stops_cleanly() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let mut server = microllm(&dir, &["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut said = String::new();
    while !said.contains("\"message\":\"listening\"") {
        said += &log.next().expect("it ended before it listened").unwrap();
    }
    // Another process reads while it serves.
    stdout(&run(&dir, &["usage", "export", "--format", "jsonl"]));
    let terminated = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status();
    assert!(terminated.unwrap().success());
    assert!(server.wait().unwrap().success());
    log.for_each(|line| said += &line.unwrap());

    let credentials = dir.join("first-credentials.json");
    assert_eq!(mode(&credentials), 0o600);
    let first: Value = serde_json::from_slice(&fs::read(&credentials).unwrap()).unwrap();
    for secret in ["api_key", "admin_api_key", "admin_password"] {
        assert!(!said.contains(first[secret].as_str().unwrap()), "{said}");
    }
    assert!(said.contains("first-credentials.json"), "{said}");
}

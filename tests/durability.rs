//! kill -9: whatever was acknowledged is on disk. This test runs itself again as the process to be
//! killed, which records as fast as it can and prints each request id once it is acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt;
use microllm::records::{Outcome, UsageRecorder, UsageRow};
use microllm::store::Store;
use sqlx::Connection;

const DATABASE: &str = "MICROLLM_TEST_DURABILITY_DATABASE";
const ROUND: &str = "MICROLLM_TEST_DURABILITY_ROUND";
const KILLS: u32 = 20;
const RECORDING_AT_ONCE: usize = 64;

#[test]
fn no_acknowledged_row_is_lost_to_kill_9() {
    if std::env::var_os(DATABASE).is_some() {
        return recording_process();
    }
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("microllm.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = HashSet::new();
    for round in 0..KILLS {
        let before = acknowledged.len();
        for id in record_until_killed(&database, round) {
            assert!(acknowledged.insert(id), "acknowledged twice");
        }
        assert!(
            acknowledged.len() > before,
            "round {round} recorded nothing"
        );
        runtime.block_on(check(&database, &acknowledged, round));
    }
    eprintln!(
        "{KILLS} kills, {} rows acknowledged, 0 lost",
        acknowledged.len()
    );
}

/// The request ids that the killed process had acknowledged.
fn record_until_killed(database: &Path, round: u32) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "no_acknowledged_row_is_lost_to_kill_9",
            "--nocapture",
        ])
        .env(DATABASE, database)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // The first acknowledgement: it is at work, and so is the harness's own output read.
    while !line.starts_with("req_") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        line + &rest
    });
    let moment = rand::random_range(0..150);
    std::thread::sleep(Duration::from_millis(moment));
    child.kill().unwrap();
    child.wait().unwrap();
    let text = reader.join().unwrap();
    // A line without its end may have been cut by the kill.
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .filter(|line| line.starts_with("req_"))
        .map(str::to_owned)
        .collect()
}

async fn check(database: &Path, acknowledged: &HashSet<String>, round: u32) {
    let store = Store::open(database).await.unwrap();
    let rows: Vec<UsageRow> = store.usage_rows().try_collect().await.unwrap();
    store.close().await;
    let stored: HashSet<&String> = rows.iter().map(|row| &row.request_id).collect();
    assert_eq!(stored.len(), rows.len(), "round {round}: duplicates");
    let lost = acknowledged.iter().filter(|id| !stored.contains(id));
    assert_eq!(lost.count(), 0, "round {round}: acknowledged rows are lost");

    let url = format!("sqlite:{}", database.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let integrity: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(integrity, "ok", "round {round}");
}

/// What the process does that is killed.
fn recording_process() {
    let Some(database) = std::env::var_os(DATABASE) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(Path::new(&database)).await.unwrap();
        let recorder = UsageRecorder::start(store);
        let recorders = (0..RECORDING_AT_ONCE).map(|lane| {
            let (recorder, round) = (recorder.clone(), round.clone());
            tokio::spawn(async move {
                for i in 0_u64.. {
                    let id = format!("req_{round}_{lane}_{i}");
                    recorder.commit(row(&id)).await.unwrap();
                    // One write, at once: what is in the pipe survives the process.
                    std::io::stdout()
                        .write_all(format!("{id}\n").as_bytes())
                        .unwrap();
                }
            })
        });
        futures_util::future::join_all(recorders).await;
    });
}

fn row(id: &str) -> UsageRow {
    UsageRow {
        request_id: id.to_owned(),
        created_at_ms: 1_700_000_000_000,
        api_key_id: "key_1".into(),
        project_id: "proj_1".into(),
        user_id: None,
        model: "smollm2-135m-instruct".into(),
        endpoint: "chat.completions".into(),
        stream: true,
        status: 200,
        outcome: Outcome::Completed,
        finish_reason: Some("stop".into()),
        error: None,
        input_tokens: 100,
        output_tokens: 200,
        cached_tokens: 0,
        queue_ms: 1,
        first_token_ms: Some(80),
        duration_ms: 4000,
        cost_nanousd: 0,
        guardrails: None,
        cache: None,
    }
}

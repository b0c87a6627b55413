//! What recording and authenticating cost: `cargo bench --bench records`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use microllm::app::Data;
use microllm::auth::{Keys, Passwords, set_up};
use microllm::clock::Clock;
use microllm::config::Config;
use microllm::records::{Outcome, UsageRecorder, UsageRow};
use microllm::store::DataDir;

const SECONDS: u64 = 3;

fn main() {
    let dir = match std::env::var_os("MICROLLM_BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        // Where the build is: a temporary directory may be in memory, which costs nothing to sync.
        None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
    };
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(run(dir.path()));
}

async fn run(dir: &std::path::Path) {
    let data = Data::open(&DataDir::prepare(dir).unwrap()).await.unwrap();
    let clock = Clock::system();
    let passwords = Passwords::new(&Config::default().auth);
    let first = set_up(
        &data.store,
        &data.secrets,
        &clock,
        &passwords,
        "admin@localhost",
    );
    let first = first.await.unwrap();
    let keys = Keys::new(data.store.clone(), data.secrets.clone(), clock.clone());
    let key = first.api_key.key.expose().to_owned();

    let last = if key.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{last}", &key[..key.len() - 1]);
    for lanes in [1, 16] {
        let verify = {
            let (keys, key) = (keys.clone(), key.clone());
            move || {
                let (keys, key) = (keys.clone(), key.clone());
                async move { keys.verify(&key).await.map(drop).unwrap() }
            }
        };
        measure("verify a key", lanes, verify).await;
    }
    let reject = move || {
        let (keys, wrong) = (keys.clone(), wrong.clone());
        async move { keys.verify(&wrong).await.map(drop).unwrap_err() }
    };
    measure("refuse a malformed key", 1, reject).await;

    let recorder = UsageRecorder::start(data.store.clone());
    for lanes in [1, 4, 64, 256] {
        let (recorder, clock) = (recorder.clone(), clock.clone());
        let commit = move || {
            let (recorder, row) = (recorder.clone(), row(clock.id("req_")));
            async move { recorder.commit(row).await.unwrap() }
        };
        measure("commit a usage row", lanes, commit).await;
    }
    recorder.close().await;
}

/// Repeats `work` in so many tasks at once; prints the rate and how long each took.
async fn measure<F, T>(name: &str, lanes: usize, work: impl Fn() -> F + Clone + Send + 'static)
where
    F: Future<Output = T> + Send,
{
    let start = Instant::now();
    let tasks = (0..lanes).map(|_| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            while start.elapsed() < Duration::from_secs(SECONDS) {
                let begun = Instant::now();
                work().await;
                took.push(begun.elapsed());
            }
            took
        })
    });
    let mut took: Vec<Duration> = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        took.extend(task.await.unwrap());
    }
    let seconds = start.elapsed().as_secs_f64();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{name:24} {lanes:4} at once  {:9.0}/s  {:7.1} µs each  p50 {:8.1} µs  p99 {:8.1} µs",
        took.len() as f64 / seconds,
        seconds * 1e6 / took.len() as f64,
        at(0.5),
        at(0.99)
    );
}

fn row(id: String) -> UsageRow {
    UsageRow {
        request_id: id,
        created_at_ms: 1_700_000_000_000,
        api_key_id: "key_0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        project_id: "proj_0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
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

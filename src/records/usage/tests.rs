use std::time::Duration;

use super::super::Outcome;
use super::*;
use crate::store::UsageFilter;

async fn store(dir: &std::path::Path) -> Store {
    Store::open(&dir.join("microllm.db")).await.unwrap()
}

fn row(id: &str) -> UsageRow {
    UsageRow {
        request_id: id.to_owned(),
        created_at_ms: 1_700_000_000_000,
        api_key_id: "key_1".into(),
        project_id: "proj_1".into(),
        user_id: None,
        model: "m".into(),
        endpoint: "chat.completions".into(),
        stream: true,
        status: 200,
        outcome: Outcome::Completed,
        finish_reason: Some("stop".into()),
        error: None,
        input_tokens: u32::MAX,
        output_tokens: 2,
        cached_tokens: 1,
        queue_ms: 0,
        first_token_ms: None,
        duration_ms: 12,
        cost_nanousd: 0,
        guardrails: None,
        cache: None,
    }
}

async fn ids(store: &Store) -> Vec<String> {
    let page = store
        .usage_page(&UsageFilter::default(), 0, i64::MAX, u32::MAX)
        .await
        .unwrap();
    page.into_iter().map(|s| s.row.request_id).collect()
}

#[tokio::test]
async fn a_committed_row_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    recorder.commit(row("req_1")).await.unwrap();
    let page = store
        .usage_page(&UsageFilter::default(), 0, i64::MAX, 10)
        .await
        .unwrap();
    assert_eq!(page[0].row, row("req_1"));
}

#[tokio::test]
async fn every_row_of_a_crowd_is_there_when_it_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    let commits = (0..2000).map(|i| {
        let recorder = recorder.clone();
        async move { recorder.commit(row(&format!("req_{i}"))).await }
    });
    for outcome in futures_util::future::join_all(commits).await {
        outcome.unwrap();
    }
    assert_eq!(ids(&store).await.len(), 2000);
}

#[tokio::test]
async fn detached_rows_beyond_the_queue_are_written_before_close_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    // Without an await in between, the writer cannot make room.
    let count = QUEUE + 500;
    for i in 0..count {
        recorder.commit_detached(row(&format!("req_{i}")));
    }
    recorder.close().await;
    assert_eq!(ids(&store).await.len(), count);
    assert!(!recorder.is_open());
}

#[tokio::test]
async fn a_row_whose_caller_leaves_while_the_queue_is_full_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    for i in 0..QUEUE {
        recorder.commit_detached(row(&format!("req_{i}")));
    }
    let left = futures_util::FutureExt::now_or_never(recorder.commit(row("req_left")));
    assert!(left.is_none(), "it was not acknowledged");
    recorder.close().await;
    assert!(ids(&store).await.contains(&"req_left".to_owned()));
}

#[tokio::test]
async fn a_closed_recorder_refuses_instead_of_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = UsageRecorder::start(store(dir.path()).await);
    recorder.close().await;
    recorder.close().await;
    assert!(recorder.commit(row("req_1")).await.is_err());
    recorder.commit_detached(row("req_2"));
}

#[tokio::test]
async fn a_dead_writer_is_an_error_for_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let elsewhere = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let recorder = elsewhere.block_on_in_thread(move || UsageRecorder::start(store));
    let outcome = tokio::time::timeout(Duration::from_secs(5), recorder.commit(row("req_1"))).await;
    assert!(outcome.expect("no hang").is_err());
}

/// Runs `start` in a runtime that is gone when this returns, and its tasks with it.
trait InThread {
    fn block_on_in_thread<T: Send + 'static>(self, start: impl FnOnce() -> T + Send + 'static)
    -> T;
}

impl InThread for tokio::runtime::Runtime {
    fn block_on_in_thread<T: Send + 'static>(
        self,
        start: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let work = move || self.block_on(async { start() });
        std::thread::spawn(work).join().unwrap()
    }
}

#[tokio::test]
async fn a_request_id_is_never_recorded_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    recorder.commit(row("req_1")).await.unwrap();
    let (again, other) = tokio::join!(recorder.commit(row("req_1")), recorder.commit(row("req_2")));
    assert!(again.is_err());
    other.expect("a neighbour in the batch is not harmed");
    assert_eq!(ids(&store).await, ["req_1", "req_2"]);
}

#[tokio::test]
async fn a_database_that_cannot_grow_fails_the_commit_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let recorder = UsageRecorder::start(store.clone());
    recorder.commit(row("req_1")).await.unwrap();
    store.fill_disk().await;
    let mut big = row("req_2");
    big.model = "m".repeat(100_000);
    let error = recorder.commit(big.clone()).await.unwrap_err().to_string();
    assert!(error.contains("full"), "{error}");
    assert_eq!(ids(&store).await, ["req_1"], "reading still works");
    // The limit was the connection's, so that a fresh one finds room: the disk has recovered.
    recorder.commit(big).await.unwrap();
    assert_eq!(ids(&store).await, ["req_1", "req_2"]);
}

#[test]
fn a_crowd_settles_into_two_halves_and_nobody_waits_for_company() {
    // Alone, and the first of many.
    assert_eq!(half(0, 0), 1);
    assert_eq!(half(1, 0), 1);
    // All at once, then one half while the other is written.
    assert_eq!(half(16, 0), 8);
    assert_eq!(half(8, 8), 8);
    // Whoever is there is not left behind.
    assert_eq!(half(1, 15), 15);
    assert_eq!(half(BATCH, 4 * BATCH), BATCH);
}

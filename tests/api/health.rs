//! Probes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::harness::{Server, ask, error_of};

async fn probe(server: &Server, path: &str) -> (u16, Value) {
    let response = server.client.get(server.url(path)).send().await;
    let response = response.expect("a response");
    (
        response.status().as_u16(),
        response.json().await.expect("json"),
    )
}

#[tokio::test]
async fn a_server_lives_before_it_is_ready() {
    let server = Server::loading(|_| {}).await;
    for path in ["/health/liveness", "/health/liveliness"] {
        assert_eq!(probe(&server, path).await, (200, json!({"status": "ok"})));
    }
    let waiting = json!({"status": "unavailable", "models": "unavailable", "store": "ok"});
    assert_eq!(probe(&server, "/health/readiness").await, (503, waiting));
    let response = server
        .chat(&ask("echo", "x"))
        .send()
        .await
        .expect("a response");
    assert_eq!(response.headers()["retry-after-ms"], "2000");
    error_of(503, response).await;
    let response = server.get("/v1/models").send().await.expect("a response");
    error_of(503, response).await;

    server.load();
    // One of the scripts is never ready.
    server.engine("down").ready.store(true, Ordering::SeqCst);
    let ready = json!({"status": "ok", "models": "ok", "store": "ok"});
    assert_eq!(probe(&server, "/health/readiness").await, (200, ready));
    server.engine("echo").ready.store(false, Ordering::SeqCst);
    assert_eq!(probe(&server, "/health/readiness").await.0, 503);
}

#[tokio::test]
async fn without_its_database_a_server_lives_and_is_not_ready() {
    let server = Server::start().await;
    server.engine("down").ready.store(true, Ordering::SeqCst);
    server.app.close().await;
    assert_eq!(probe(&server, "/health/liveness").await.0, 200);
    let broken = json!({"status": "unavailable", "models": "ok", "store": "unavailable"});
    assert_eq!(probe(&server, "/health/readiness").await, (503, broken));
    let response = server.get("/v1/models").send().await.expect("a response");
    error_of(503, response).await;
}

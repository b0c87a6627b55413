//! Every request of somebody we know leaves one row, and the row is there before the answer is.

use serde_json::json;

use microllm::records::Outcome;

use crate::harness::{Server, ask, error_of, events, with};

#[tokio::test]
async fn the_row_is_there_when_the_last_byte_is() {
    let server = Server::start().await;
    for (i, stream) in [false, true, false, true].into_iter().enumerate() {
        let body = with(ask("echo", "one two"), json!({"stream": stream}));
        let response = server.chat(&body).send().await.expect("a response");
        let id = response.headers()["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned();
        response.bytes().await.expect("all of it");
        let rows = server.rows().await;
        assert_eq!(rows.len(), i + 1);
        let row = rows.last().expect("a row");
        assert_eq!(row.request_id, id);
        assert_eq!((row.status, row.outcome), (200, Outcome::Completed));
        assert_eq!(row.stream, stream);
        assert_eq!(
            (row.input_tokens, row.output_tokens, row.cached_tokens),
            (7, 2, 1)
        );
        assert_eq!(row.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            (row.model.as_str(), row.endpoint.as_str()),
            ("echo", "chat.completions")
        );
        assert!(
            row.first_token_ms
                .is_some_and(|first| first <= row.duration_ms)
        );
        assert!(row.api_key_id.starts_with("key_") && row.project_id.starts_with("proj_"));
        assert_eq!(row.error, None);
    }
}

#[tokio::test]
async fn refusals_are_recorded_with_their_code() {
    let server = Server::start().await;
    server
        .refusal(400, &with(ask("echo", "x"), json!({"temperature": 9})))
        .await;
    server.refusal(404, &ask(&"nope".repeat(50), "x")).await;
    server.refusal(400, &ask("echo", &"x".repeat(2000))).await;
    let rows = server.rows().await;
    let told: Vec<_> = rows
        .iter()
        .map(|r| (r.status, r.error.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (400, Some("decimal_above_max_value")),
            (404, Some("model_not_found")),
            (400, Some("context_length_exceeded")),
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.outcome == Outcome::Failed && row.output_tokens == 0)
    );
    assert_eq!(rows[1].model.len(), 128);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_recorded_too() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for (body, kind, status) in [
        ("{\"model\": 1}", "application/json", 400),
        ("{nonsense", "application/json", 400),
        ("hello", "text/plain", 415),
    ] {
        let request = server.client.post(server.url("/v1/chat/completions"));
        let request = request.bearer_auth(&server.key).body(body);
        let request = request.header("content-type", kind);
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), status, "{body}");
        ids.push(
            response.headers()["x-request-id"]
                .to_str()
                .expect("text")
                .to_owned(),
        );
    }
    let rows = server.rows().await;
    assert_eq!(
        rows.iter()
            .map(|r| r.request_id.clone())
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(
        rows.iter().map(|r| r.status).collect::<Vec<_>>(),
        [400, 400, 415]
    );
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_answered() {
    let server = Server::start().await;
    server.app.usage.close().await;
    let error = server.refusal(503, &ask("echo", "x")).await;
    assert_eq!(error["type"], "server_error");
    // Even a refusal is an answer.
    server.refusal(503, &ask("nope", "x")).await;
    let body = with(ask("echo", "a b c"), json!({"stream": true}));
    let response = server.chat(&body).send().await.expect("a response");
    if response.status() == 200 {
        let body = response.text().await.expect("text");
        let last = events(&body).pop().expect("an event");
        assert!(last.contains("could not be recorded"), "{body}");
        assert!(!body.contains("\"finish_reason\":\"stop\""), "{body}");
    } else {
        error_of(503, response).await;
    }
}

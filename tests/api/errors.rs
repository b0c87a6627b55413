//! Whatever goes wrong, the body is OpenAI's.

use serde_json::{Value, json};

use crate::engine::INTERNALS;
use crate::harness::{Server, ask, error_of, events, with};

#[tokio::test]
async fn without_a_valid_key_nothing_is_said() {
    let server = Server::start().await;
    let plain = || server.client.get(server.url("/v1/models"));
    let changed = format!("{}x", &server.key[..server.key.len() - 1]);
    let query = format!("/v1/models?api_key={0}&key={0}", server.key);
    for (request, words) in [
        (plain(), "You didn't provide an API key."),
        (plain().header("authorization", ""), "You didn't provide"),
        (
            plain().header("authorization", "Bearer"),
            "You didn't provide",
        ),
        (
            plain().header("authorization", server.key.as_str()),
            "You didn't provide",
        ),
        (
            plain().basic_auth("user", Some(&server.key)),
            "You didn't provide",
        ),
        (
            plain().header("x-api-key", server.key.as_str()),
            "You didn't provide",
        ),
        (plain().bearer_auth(""), "You didn't provide an API key."),
        (
            plain().bearer_auth("sk-nonsense"),
            "Incorrect API key provided.",
        ),
        (plain().bearer_auth(&changed), "Incorrect API key provided."),
        (
            plain()
                .bearer_auth(&server.key)
                .header("authorization", "Bearer x"),
            "You didn't provide",
        ),
        (server.client.get(server.url(&query)), "You didn't provide"),
    ] {
        let response = request.send().await.expect("a response");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let error = error_of(401, response).await;
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"], "invalid_api_key");
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with(words), "{message}");
        assert!(!message.contains(&changed));
    }
    assert!(server.rows().await.is_empty());
}

#[tokio::test]
async fn a_key_for_other_doors_opens_none_here() {
    let server = Server::start().await;
    let request = server.client.get(server.url("/v1/models"));
    let response = request.bearer_auth(&server.admin_key).send().await;
    let error = error_of(403, response.expect("a response")).await;
    assert_eq!(error["code"], "insufficient_permissions");
}

#[tokio::test]
async fn unknown_models() {
    let server = Server::start().await;
    let error = server.refusal(404, &ask("gpt-9", "x")).await;
    assert_eq!(error["code"], "model_not_found");
    assert_eq!(error["param"], "model");
    assert_eq!(error["type"], "invalid_request_error");
    assert!(
        error["message"]
            .as_str()
            .expect("a message")
            .contains("'gpt-9'")
    );
    for path in ["/v1/models/gpt-9", "/v1/models/a%2Fb"] {
        let response = server.get(path).send().await.expect("a response");
        assert_eq!(error_of(404, response).await["code"], "model_not_found");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let server = Server::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/models/a/b",
        "/docs/nothing.js",
        "/%ff",
    ] {
        let response = server.get(path).send().await.expect("a response");
        assert_eq!(
            error_of(404, response).await["type"],
            "invalid_request_error"
        );
    }
    for (method, path, allow) in [
        ("PUT", "/v1/chat/completions", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/v1/models/echo", "GET, HEAD, OPTIONS"),
        ("TRACE", "/health/liveness", "GET, HEAD, OPTIONS"),
        ("POST", "/openapi.json", "GET, HEAD, OPTIONS"),
        ("PUT", "/docs", "GET, HEAD, OPTIONS"),
        ("BREW", "/v1/models", "GET, HEAD, OPTIONS"),
    ] {
        let method = method.parse().expect("a method");
        let request = server.client.request(method, server.url(path));
        let response = request.send().await.expect("a response");
        assert_eq!(response.headers()["allow"], allow, "{path}");
        error_of(405, response).await;
    }
}

#[tokio::test]
async fn head_and_options() {
    let server = Server::start().await;
    let head = server
        .client
        .head(server.url("/health/liveness"))
        .send()
        .await;
    let head = head.expect("a response");
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "15");
    assert_eq!(head.text().await.expect("text"), "");
    let url = server.url("/v1/chat/completions");
    let options = server
        .client
        .request(reqwest::Method::OPTIONS, url)
        .send()
        .await;
    let options = options.expect("a response");
    assert_eq!(options.status(), 204);
    assert_eq!(options.headers()["allow"], "GET, HEAD, OPTIONS, POST");
}

#[tokio::test]
async fn a_prompt_that_does_not_fit() {
    let server = Server::start().await;
    for stream in [false, true] {
        let body = with(ask("echo", &"x".repeat(1000)), json!({"stream": stream}));
        let error = server.refusal(400, &body).await;
        assert_eq!(error["code"], "context_length_exceeded");
        assert_eq!(error["param"], "messages");
        assert_eq!(
            error["message"],
            "This model's maximum context length is 1000 tokens. However, your messages resulted \
             in 1000 tokens."
        );
    }
    let body = with(ask("echo", "x"), json!({"logit_bias": {"60000": 1}}));
    assert_eq!(server.refusal(400, &body).await["param"], "logit_bias");
}

#[tokio::test]
async fn an_engine_that_fails_before_it_says_anything_is_a_status() {
    let server = Server::start().await;
    for stream in [false, true] {
        for model in ["fail-start", "fail-first", "panic"] {
            let body = with(ask(model, "a b c d"), json!({"stream": stream}));
            let error = server.refusal(500, &body).await;
            assert_eq!(error["type"], "server_error");
            assert!(!error.to_string().contains(INTERNALS), "{error}");
        }
    }
    for model in ["fail-mid", "vanish"] {
        let error = server.refusal(500, &ask(model, "a b c d")).await;
        assert!(!error.to_string().contains(INTERNALS), "{error}");
    }
    let rows = server.rows().await;
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.status == 500), "{rows:?}");
    assert!(
        rows.iter()
            .all(|row| row.error.as_deref() == Some("server_error"))
    );
}

#[tokio::test]
async fn an_engine_that_fails_in_the_middle_is_an_event() {
    let server = Server::start().await;
    for model in ["fail-mid", "vanish"] {
        let body = with(ask(model, "a b c d"), json!({"stream": true}));
        let response = server.chat(&body).send().await.expect("a response");
        assert_eq!(response.status(), 200);
        let body = response.text().await.expect("text");
        let events = events(&body);
        let error: Value = serde_json::from_str(events.last().expect("an event")).expect("json");
        assert_eq!(error["error"]["type"], "server_error");
        assert!(
            !body.contains("[DONE]") && !body.contains(INTERNALS),
            "{body}"
        );
    }
    for row in server.rows().await {
        assert_eq!((row.status, row.output_tokens), (500, 2));
    }
}

#[tokio::test]
async fn an_engine_that_is_not_ready_says_when_it_will_be() {
    let server = Server::start().await;
    for stream in [false, true] {
        let body = with(ask("down", "x"), json!({"stream": stream}));
        let response = server.chat(&body).send().await.expect("a response");
        assert_eq!(response.headers()["retry-after-ms"], "1500");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(error_of(503, response).await["type"], "server_error");
    }
}

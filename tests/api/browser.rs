//! What browsers see: headers on everything, pages of other origins, the documentation.

use reqwest::header::HeaderMap;
use serde_json::json;

use crate::harness::{Server, ask, with};

fn common(headers: &HeaderMap) {
    let id = headers["x-request-id"].to_str().expect("text");
    assert!(id.starts_with("req_") && id.len() > 20, "{id}");
    headers["openai-processing-ms"]
        .to_str()
        .expect("text")
        .parse::<u64>()
        .expect("a number");
    assert_eq!(headers["openai-version"], "2020-10-01");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    let policy = headers["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("script-src 'unsafe"), "{policy}");
    let cache = headers["cache-control"].to_str().expect("text");
    assert!(cache.contains("no-"), "{cache}");
    if let Some(kind) = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
    {
        assert!(
            !kind.starts_with("text/html") || kind.ends_with("charset=utf-8"),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let server = Server::start().await;
    let mut ids = std::collections::HashSet::new();
    for request in [
        server.get("/v1/models"),
        server.get("/v1/models/nope"),
        server.get("/nope"),
        server.get("/health/liveness"),
        server.get("/health/readiness"),
        server.get("/docs/"),
        server.get("/docs/swagger-ui.css"),
        server.get("/openapi.json"),
        server.client.get(server.url("/v1/models")),
        server.client.delete(server.url("/v1/models")),
        server
            .client
            .request(reqwest::Method::OPTIONS, server.url("/v1/models")),
        server.client.head(server.url("/v1/models")),
        server.chat(&ask("echo", "x")),
        server.chat(&ask("fail-start", "x")),
        server.chat(&ask("panic", "x")),
        server.chat(&with(ask("echo", "x"), json!({"stream": true}))),
        server
            .client
            .post(server.url("/v1/chat/completions"))
            .bearer_auth(&server.key),
    ] {
        // What a client calls its request is the client's business.
        let request = request.header("x-request-id", "req_forged");
        let response = request.send().await.expect("a response");
        common(response.headers());
        assert!(ids.insert(response.headers()["x-request-id"].clone()));
    }
    let api = server.get("/v1/models").send().await.expect("a response");
    assert_eq!(api.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn pages_of_other_origins_are_shut_out_by_default() {
    let server = Server::start().await;
    let url = server.url("/v1/chat/completions");
    let preflight = server
        .client
        .request(reqwest::Method::OPTIONS, url)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let plain = server
        .get("/v1/models")
        .header("origin", "https://evil.example");
    for (request, status) in [(preflight, 204), (plain, 200)] {
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), status);
        let names = response.headers().keys().map(|name| name.as_str());
        assert_eq!(names.filter(|n| n.starts_with("access-control")).count(), 0);
    }
}

#[tokio::test]
async fn configured_origins_are_let_in() {
    let chat = "https://chat.example.org";
    let server = Server::with(|config| {
        config.server.cors_allowed_origins = vec![chat.to_owned()];
    })
    .await;
    let preflight = |origin: &str| {
        server
            .client
            .request(reqwest::Method::OPTIONS, server.url("/v1/chat/completions"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization, x-stainless-lang",
            )
    };
    let response = preflight(chat).send().await.expect("a response");
    assert_eq!(response.status(), 204);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], chat);
    assert_eq!(
        headers["access-control-allow-headers"],
        "authorization, x-stainless-lang"
    );
    assert!(
        headers["access-control-allow-methods"]
            .to_str()
            .expect("text")
            .contains("POST")
    );
    assert_eq!(headers["vary"], "origin");
    assert!(!headers.contains_key("access-control-allow-credentials"));

    // Errors too: a page should be able to read why.
    let unauthorized = server
        .client
        .get(server.url("/v1/models"))
        .header("origin", chat);
    let response = unauthorized.send().await.expect("a response");
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], chat);
    let exposed = response.headers()["access-control-expose-headers"]
        .to_str()
        .expect("text");
    assert!(exposed.contains("x-request-id") && exposed.contains("retry-after-ms"));

    for origin in [
        "https://chat.example.org.evil.example",
        "null",
        "http://chat.example.org",
    ] {
        let response = preflight(origin).send().await.expect("a response");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin"),
            "{origin}"
        );
        assert_eq!(response.headers()["vary"], "origin");
    }
}

#[tokio::test]
async fn the_documentation_is_a_page_that_runs_only_its_own_scripts() {
    let server = Server::start().await;
    let page = server
        .client
        .get(server.url("/docs"))
        .send()
        .await
        .expect("a response");
    assert_eq!(page.url().path(), "/docs/");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(policy.contains("script-src 'self';") && policy.contains("connect-src 'self'"));
    let html = page.text().await.expect("text");
    let mut scripts = 0;
    for script in html.split("<script").skip(1) {
        // With this policy, whatever is not a file of its own does not run.
        assert!(script.trim_start().starts_with("src=\"./"), "{script}");
        scripts += 1;
    }
    assert!(scripts >= 3);
    for (file, kind, words) in [
        ("swagger-ui.css", "text/css", ".swagger-ui"),
        ("swagger-ui-bundle.js", "text/javascript", "SwaggerUIBundle"),
        (
            "swagger-initializer.js",
            "text/javascript",
            "\"/openapi.json\"",
        ),
    ] {
        let response = server
            .client
            .get(server.url(&format!("/docs/{file}")))
            .send()
            .await;
        let response = response.expect("a response");
        let sent = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(
            sent.starts_with(kind) && sent.ends_with("charset=utf-8"),
            "{sent}"
        );
        assert!(
            response.text().await.expect("text").contains(words),
            "{file}"
        );
    }
}

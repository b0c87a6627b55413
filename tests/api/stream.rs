//! Answers as they are generated.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::harness::{Server, ask, events, with};

fn streamed(model: &str, text: &str) -> Value {
    with(ask(model, text), json!({"stream": true}))
}

async fn text(server: &Server, body: &Value) -> String {
    let response = server.chat(body).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.text().await.expect("text")
}

#[tokio::test]
async fn a_stream_has_openai_s_shape_to_the_byte() {
    let server = Server::start().await;
    let response = server.chat(&streamed("echo", "Hi you")).send().await;
    let response = response.expect("a response");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers()["cache-control"], "no-cache, no-store");
    let body = response.text().await.expect("text");
    let first: Value = serde_json::from_str(&events(&body)[0]).expect("json");
    let (id, created) = (first["id"].as_str().expect("an id"), &first["created"]);
    assert!(id.starts_with("chatcmpl-"));
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\
             \"model\":\"echo\",\"system_fingerprint\":\"fp_test\",\"choices\":[{{\"index\":0,\
             \"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let expected = [
        chunk(
            "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}",
            "null",
        ),
        // A blank at the end goes out with what follows it, if anything does.
        chunk("{\"content\":\"Hi\"}", "null"),
        chunk("{\"content\":\" you\"}", "null"),
        chunk("{}", "\"stop\""),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(body, expected.concat());
}

#[tokio::test]
async fn usage_comes_in_a_chunk_of_its_own() {
    let server = Server::start().await;
    let more = json!({"stream_options": {"include_usage": true}, "n": 2});
    let body = text(&server, &with(streamed("echo", "a b"), more)).await;
    let mut events = events(&body);
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).expect("json"))
        .collect();
    let (last, others) = chunks.split_last().expect("chunks");
    for chunk in others {
        assert!(chunk["usage"].is_null() && chunk.get("usage").is_some());
    }
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 3);
    assert_eq!(last["usage"]["completion_tokens"], 4);
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
    // Each choice begins with its role and ends with its reason, once.
    for index in 0..2 {
        let of: Vec<_> = others
            .iter()
            .map(|chunk| &chunk["choices"][0])
            .filter(|choice| choice["index"] == index)
            .collect();
        assert_eq!(of[0]["delta"]["role"], "assistant");
        assert!(
            of[1..]
                .iter()
                .all(|choice| choice["delta"].get("role").is_none())
        );
        let finished = of
            .iter()
            .filter(|choice| !choice["finish_reason"].is_null());
        assert_eq!(finished.count(), 1);
    }
}

#[tokio::test]
async fn log_probabilities_come_with_their_tokens() {
    let server = Server::start().await;
    let more = json!({"logprobs": true, "top_logprobs": 1});
    let body = text(&server, &with(streamed("echo", "a b"), more)).await;
    let events = events(&body);
    let second: Value = serde_json::from_str(&events[1]).expect("json");
    let tokens = &second["choices"][0]["logprobs"]["content"];
    assert_eq!(tokens[0]["token"], "a ");
    assert_eq!(tokens[0]["top_logprobs"].as_array().map(Vec::len), Some(1));
    assert!(!body.contains("\"usage\""));
}

#[tokio::test]
async fn text_arrives_while_more_is_generated() {
    let server = Server::start().await;
    let body = with(streamed("slow", "x"), json!({"max_tokens": 25}));
    let begun = Instant::now();
    let response = server.chat(&body).send().await.expect("a response");
    let mut stream = response.bytes_stream();
    stream.next().await.expect("a chunk").expect("bytes");
    let first = begun.elapsed();
    while stream.next().await.is_some() {}
    let all = begun.elapsed();
    assert!(
        all - first > Duration::from_millis(300),
        "{first:?} of {all:?}"
    );
}

#[tokio::test]
async fn whoever_waits_long_is_kept_awake() {
    let server = Server::start().await;
    let (stays, fails) = (streamed("gate", "hello"), streamed("gate-fail", "hello"));
    let (stays, fails) = tokio::join!(server.chat(&stays).send(), server.chat(&fails).send());
    let (stays, fails) = (stays.expect("a response"), fails.expect("a response"));
    // The answer has not begun, and still there is a head.
    assert_eq!(
        (stays.status().as_u16(), fails.status().as_u16()),
        (200, 200)
    );
    server.engine("gate").gate.add_permits(1);
    server.engine("gate-fail").gate.add_permits(1);
    let body = stays.text().await.expect("text");
    assert!(body.starts_with(": keep-alive\n\n"), "{body}");
    assert_eq!(events(&body).last().map(String::as_str), Some("[DONE]"));
    let body = fails.text().await.expect("text");
    let events = events(&body);
    assert_eq!(events.len(), 1, "{body}");
    assert!(events[0].contains("\"type\":\"server_error\""), "{body}");
}

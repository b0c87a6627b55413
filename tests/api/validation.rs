//! What cannot be answered is refused by the name of the field.

use serde_json::{Value, json};

use crate::harness::{Server, ask, with};

#[tokio::test]
async fn fields_out_of_range_are_named() {
    let server = Server::start().await;
    let biases: serde_json::Map<String, Value> =
        (0..1025).map(|id| (id.to_string(), json!(1))).collect();
    for (more, param, code) in [
        (
            json!({"temperature": -0.1}),
            "temperature",
            "decimal_below_min_value",
        ),
        (
            json!({"temperature": 2.1}),
            "temperature",
            "decimal_above_max_value",
        ),
        (json!({"top_p": 1.01}), "top_p", "decimal_above_max_value"),
        (json!({"top_k": -2}), "top_k", "integer_below_min_value"),
        (json!({"min_p": 2}), "min_p", "decimal_above_max_value"),
        (
            json!({"presence_penalty": 3}),
            "presence_penalty",
            "decimal_above_max_value",
        ),
        (
            json!({"frequency_penalty": -3}),
            "frequency_penalty",
            "decimal_below_min_value",
        ),
        (json!({"n": 0}), "n", "integer_below_min_value"),
        (json!({"n": 129}), "n", "integer_above_max_value"),
        (
            json!({"max_tokens": 0}),
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            json!({"max_completion_tokens": -5}),
            "max_completion_tokens",
            "integer_below_min_value",
        ),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            "top_logprobs",
            "integer_above_max_value",
        ),
        (
            json!({"logit_bias": {"5": 101}}),
            "logit_bias.5",
            "decimal_above_max_value",
        ),
        (
            json!({"logit_bias": {"five": 1}}),
            "logit_bias",
            "invalid_value",
        ),
        (
            json!({"logit_bias": biases}),
            "logit_bias",
            "object_above_max_properties",
        ),
        (
            json!({"stop": ["a", "b", "c", "d", "e"]}),
            "stop",
            "array_above_max_length",
        ),
        (json!({"stop": ""}), "stop", "invalid_value"),
        (json!({"stop": ["a", ""]}), "stop[1]", "invalid_value"),
        (
            json!({"model": "m".repeat(300)}),
            "model",
            "string_above_max_length",
        ),
        (json!({"messages": []}), "messages", "empty_array"),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
            "invalid_value",
        ),
        (
            json!({"modalities": ["smell"]}),
            "modalities[0]",
            "invalid_value",
        ),
    ] {
        let error = server.refusal(400, &with(ask("echo", "x"), more)).await;
        assert_eq!(error["param"], param, "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let error = server
        .refusal(400, &with(ask("echo", "x"), json!({"temperature": 2.5})))
        .await;
    assert_eq!(
        error["message"],
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 \
         instead."
    );
}

#[tokio::test]
async fn fields_that_need_others_are_refused_alone() {
    let server = Server::start().await;
    for (more, param) in [
        (
            json!({"stream_options": {"include_usage": true}}),
            "stream_options",
        ),
        (
            json!({"stream": false, "stream_options": {}}),
            "stream_options",
        ),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (
            json!({"logprobs": false, "top_logprobs": 0}),
            "top_logprobs",
        ),
        (json!({"model": ""}), "model"),
    ] {
        let error = server.refusal(400, &with(ask("echo", "x"), more)).await;
        assert_eq!(error["param"], param, "{error}");
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_ignored() {
    let server = Server::start().await;
    for (more, param) in [
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"function_call": {"name": "f"}}), "function_call"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"audio": {"voice": "alloy"}}), "audio"),
        (json!({"web_search_options": {}}), "web_search_options"),
    ] {
        let error = server.refusal(400, &with(ask("echo", "x"), more)).await;
        assert_eq!(error["param"], param, "{error}");
        assert_eq!(error["code"], "unsupported_parameter", "{error}");
    }
}

#[tokio::test]
async fn messages_are_checked_one_by_one() {
    let server = Server::start().await;
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    for (messages, param) in [
        (json!([{"role": "user"}]), "messages[0].content"),
        (user(Value::Null), "messages[0].content"),
        (user(json!(5)), "messages[0].content"),
        (
            user(json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}])),
            "messages[0].content[1].type",
        ),
        (
            user(json!([{"type": "input_audio"}])),
            "messages[0].content[0].type",
        ),
        (
            user(json!([{"type": "file"}])),
            "messages[0].content[0].type",
        ),
        (
            user(json!([{"type": "smell"}])),
            "messages[0].content[0].type",
        ),
        (
            user(json!([{"type": "text"}])),
            "messages[0].content[0].text",
        ),
        (user(json!([{"text": "x"}])), "messages[0].content[0].type"),
        (
            json!([{"role": "user", "content": "x"}, {"role": "robot"}]),
            "messages[1].role",
        ),
        (json!([{"content": "x"}]), "messages[0].role"),
        (
            json!([{"role": "user", "content": "x", "name": "a<|b"}]),
            "messages[0].name",
        ),
        (json!(["hello"]), "messages[0]"),
        (json!("hello"), "messages"),
    ] {
        let error = server
            .refusal(400, &json!({"model": "echo", "messages": messages}))
            .await;
        assert_eq!(error["param"], param, "{error}");
    }
}

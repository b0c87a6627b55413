//! Requests that nobody would think of: whatever is right by the API's documentation is answered,
//! whatever is wrong is refused by name.

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Map, Value, json};

use crate::harness::{Server, ask};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,12}",
        any::<String>().prop_map(|text| text.chars().take(16).collect()),
        Just("🦀\u{200d}\u{202e}é\u{0}<|im_end|>\\\"".to_owned()),
    ]
}

/// `null` is absent.
fn or_null(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![4 => value, 1 => Just(Value::Null)]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn content() -> impl Strategy<Value = Value> {
    let part = text().prop_map(|text| json!({"type": "text", "text": text}));
    prop_oneof![
        text().prop_map(Value::from),
        prop::collection::vec(part, 1..3).prop_map(Value::from),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let call = (name(), text()).prop_map(|(name, arguments)| {
        json!({"id": "call_1", "type": "function",
               "function": {"name": name, "arguments": arguments}})
    });
    let calls = prop::collection::vec(call, 1..3);
    prop_oneof![
        (
            prop::sample::select(vec!["system", "developer", "user", "assistant"]),
            content()
        )
            .prop_map(|(role, content)| json!({"role": role, "content": content})),
        (content(), "[a-z]{1,8}")
            .prop_map(|(content, name)| json!({"role": "user", "content": content, "name": name})),
        content().prop_map(
            |content| json!({"role": "tool", "tool_call_id": "call_1", "content": content})
        ),
        calls.prop_map(|calls| json!({"role": "assistant", "content": null, "tool_calls": calls})),
    ]
}

fn tools() -> impl Strategy<Value = Value> {
    let schema = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"type": "object", "properties": {"a": {"type": "number"}}})),
    ];
    let tool =
        (name(), text(), schema, any::<Option<bool>>()).prop_map(|(name, text, schema, strict)| {
            json!({"type": "function", "function": {
                "name": name, "description": text, "parameters": schema, "strict": strict,
            }})
        });
    prop::collection::vec(tool, 0..3).prop_map(|mut tools| {
        let mut seen = std::collections::HashSet::new();
        tools.retain(|tool| seen.insert(tool["function"]["name"].clone()));
        tools.into()
    })
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let number =
        |range: std::ops::RangeInclusive<i32>| range.prop_map(|n| json!(f64::from(n) / 10.0));
    let whole = |range: std::ops::RangeInclusive<i64>| range.prop_map(Value::from);
    let flag = || any::<bool>().prop_map(Value::from);
    let word = |words: &'static [&'static str]| prop::sample::select(words).prop_map(Value::from);
    let format = prop_oneof![
        Just(json!({"type": "text"})),
        Just(json!({"type": "json_object"})),
        name().prop_map(|name| json!({"type": "json_schema", "json_schema": {
            "name": name, "strict": true, "schema": {"type": "object"}}})),
        Just(json!({"type": "grammar", "grammar": {"syntax": "regex", "definition": "a*"}})),
    ];
    let stop = prop_oneof![
        "[a-z]{1,4}".prop_map(Value::from),
        prop::collection::vec("[a-zé]{1,4}", 0..5).prop_map(Value::from),
    ];
    let first = (
        or_null(number(0..=20)),
        or_null(number(0..=10)),
        or_null(number(-20..=20)),
        or_null(number(-20..=20)),
        or_null(whole(1..=40)),
        or_null(whole(1..=40)),
        or_null(whole(1..=3)),
        or_null(any::<i64>().prop_map(Value::from)),
        or_null(stop),
    );
    let second = (
        or_null(flag()),
        or_null(tools()),
        or_null(format),
        or_null(word(&["none", "auto"])),
        or_null(flag()),
        or_null(word(&["none", "minimal", "low", "medium", "high", "xhigh"])),
        or_null(text().prop_map(Value::from)),
        or_null(Just(json!({"3": -100, "17": 100, "5": 0.5}))),
        or_null(Just(json!({"ttl": 5, "no-cache": true}))),
    );
    (first, second).prop_map(|(first, second)| {
        vec![
            ("temperature", first.0),
            ("top_p", first.1),
            ("presence_penalty", first.2),
            ("frequency_penalty", first.3),
            ("max_tokens", first.4),
            ("max_completion_tokens", first.5),
            ("n", first.6),
            ("seed", first.7),
            ("stop", first.8),
            ("stream", second.0),
            ("tools", second.1),
            ("response_format", second.2),
            ("tool_choice", second.3),
            ("parallel_tool_calls", second.4),
            ("reasoning_effort", second.5),
            ("user", second.6),
            ("logit_bias", second.7),
            ("cache", second.8),
            ("service_tier", json!("auto")),
            ("a_field_of_tomorrow", json!({"a": [1, null]})),
        ]
    })
}

fn valid() -> impl Strategy<Value = Map<String, Value>> {
    let some = prop::collection::vec(any::<bool>(), 20);
    let messages = prop::collection::vec(message(), 1..5);
    (messages, fields(), some).prop_map(|(messages, fields, some)| {
        let mut body = Map::new();
        body.insert("model".into(), "echo".into());
        body.insert("messages".into(), messages.into());
        for ((name, value), is_there) in fields.into_iter().zip(some) {
            if is_there {
                body.insert(name.into(), value);
            }
        }
        body
    })
}

/// A field that is wrong, and what the refusal must name.
fn wrong() -> impl Strategy<Value = (Map<String, Value>, String)> {
    let kinds = || prop_oneof![Just(json!({"a": 1})), Just(json!([[]])), Just(json!("x"))];
    let numbers = vec![
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "max_tokens",
        "n",
        "seed",
        "top_logprobs",
        "min_p",
    ];
    let typed =
        (prop::sample::select(numbers), kinds()).prop_map(|(name, value)| (name, value, name));
    let beyond = prop_oneof![
        (201_i32..9000).prop_map(|n| ("temperature", json!(f64::from(n) / 100.0), "temperature")),
        (-9000_i32..0).prop_map(|n| ("top_p", json!(n), "top_p")),
        (21_i32..9000).prop_map(|n| ("frequency_penalty", json!(-n), "frequency_penalty")),
        (129_i64..i64::MAX).prop_map(|n| ("n", json!(n), "n")),
        (i64::MIN..1).prop_map(|n| ("max_tokens", json!(n), "max_tokens")),
        prop::collection::vec("[a-z]{1,3}", 5..9).prop_map(|stop| ("stop", json!(stop), "stop")),
        "[a-z]{3,9}ish".prop_map(|word| ("reasoning_effort", json!(word), "reasoning_effort")),
        "[a-z]{3,9}ish".prop_map(|word| ("tool_choice", json!(word), "tool_choice")),
        "[a-z]{3,9}ish".prop_map(|kind| (
            "response_format",
            json!({"type": kind}),
            "response_format.type"
        )),
        "[ .!]{1,9}".prop_map(|name| (
            "tools",
            json!([{"type": "function", "function": {"name": name}}]),
            "tools[0].function.name",
        )),
        "[a-z]{3,9}ish".prop_map(|role| (
            "messages",
            json!([{"role": role, "content": "x"}]),
            "messages[0].role",
        )),
        Just(("messages", json!([]), "messages")),
        Just(("messages", json!("hello"), "messages")),
        Just(("stream", json!("yes"), "stream")),
        Just(("modalities", json!(["text", "audio"]), "modalities")),
    ];
    (valid(), prop_oneof![typed, beyond]).prop_map(|(mut body, (name, value, param))| {
        // Nothing else that could be wrong with it.
        body.remove("tools");
        body.remove("tool_choice");
        body.insert(name.into(), value);
        (body, param.to_owned())
    })
}

async fn send(server: &Server, body: &Value) -> (u16, String) {
    let response = server.chat(body).send().await.expect("a response");
    let status = response.status().as_u16();
    (status, response.text().await.expect("text"))
}

fn many<S: Strategy>(
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Cases {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Cases::default()
    });
    if let Err(error) = runner.run(&strategy, check) {
        panic!("{error}");
    }
}

#[test]
fn whatever_is_right_is_answered_and_whatever_is_wrong_is_refused_by_name() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::with(|config| {
        config.guardrails.policy = "off".to_owned();
        config.limits.requests_per_minute = 1_000_000;
        config.limits.tokens_per_minute = 1_000_000_000;
    }));
    many(300, valid(), |body| {
        let body = Value::Object(body);
        let (status, said) = runtime.block_on(send(&server, &body));
        prop_assert_eq!(status, 200, "{} {}", body, said);
        prop_assert!(!said.contains("\"error\""), "{} {}", body, said);
        Ok(())
    });
    many(300, wrong(), |(body, param)| {
        let (status, said) = runtime.block_on(send(&server, &Value::Object(body)));
        let error: Value = serde_json::from_str(&said).unwrap_or_default();
        prop_assert!((400..500).contains(&status), "{status} {said}");
        prop_assert_eq!(&error["error"]["param"], &json!(param), "{}", said);
        Ok(())
    });
    // Still alive.
    runtime.block_on(server.answer(&ask("echo", "hi")));
}

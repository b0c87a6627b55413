//! Texts to vectors, as clients, the model and the records see it.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use microllm::config::Price;
use microllm::records::Outcome;
use reqwest::Method;
use serde_json::{Value, json};

use crate::embedder::READ;
use crate::engine::INTERNALS;
use crate::guardrails::guarded;
use crate::harness::{Server, ask, error_of, eventually, with};
use crate::limits::{limited, used};

fn texts(input: Value) -> Value {
    json!({"model": "embed", "input": input})
}

async fn ok(server: &Server, body: &Value) -> Value {
    let response = server.embed(body).send().await.expect("a response");
    let status = response.status();
    let body: Value = response.json().await.expect("json");
    assert_eq!(status, 200, "{body}");
    body
}

async fn refusal(server: &Server, status: u16, body: &Value) -> Value {
    let response = server.embed(body).send().await.expect("a response");
    error_of(status, response).await
}

/// The vectors of an answer, in the order of their indexes, which is the one they come in.
fn vectors(answer: &Value) -> Vec<Vec<f32>> {
    assert_eq!(answer["object"], "list");
    let data = answer["data"].as_array().expect("data");
    let vectors = data.iter().enumerate().map(|(i, one)| {
        assert_eq!(
            (&one["object"], &one["index"]),
            (&json!("embedding"), &json!(i))
        );
        serde_json::from_value(one["embedding"].clone()).expect("numbers")
    });
    vectors.collect()
}

async fn vector(server: &Server, text: &str) -> Vec<f32> {
    let mut vectors = vectors(&ok(server, &texts(json!(text))).await);
    assert_eq!(vectors.len(), 1);
    vectors.remove(0)
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[tokio::test]
async fn texts_become_vectors_in_their_order_and_are_recorded() {
    let server = Server::start().await;
    let response = server.embed(&texts(json!(["ab", "c", "def"]))).send().await;
    let response = response.expect("a response");
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    let request_id = header("x-request-id");
    for name in [
        "openai-processing-ms",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
    ] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let answer: Value = response.json().await.expect("json");
    assert_eq!(answer["model"], "embed");
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 6, "total_tokens": 6})
    );
    let together = vectors(&answer);
    assert_eq!(together.len(), 3);
    assert!(
        together
            .iter()
            .all(|vector| (length(vector) - 1.0).abs() < 1e-6)
    );
    let row = server.row().await;
    assert_eq!(row.request_id, request_id);
    assert_eq!((row.status, row.outcome), (200, Outcome::Completed));
    assert_eq!((&*row.endpoint, &*row.model), ("embeddings", "embed"));
    assert_eq!((row.input_tokens, row.output_tokens), (6, 0));
    assert_eq!((row.stream, row.finish_reason), (false, None));
    for (text, vector_of_it) in ["ab", "c", "def"].into_iter().zip(&together) {
        assert_eq!(&vector(&server, text).await, vector_of_it);
    }
}

#[tokio::test]
async fn vectors_are_numbers_or_base64() {
    let server = Server::start().await;
    let plain = vector(&server, "abc").await;
    for format in ["float", "base64"] {
        let body = with(texts(json!(["abc"])), json!({"encoding_format": format}));
        let answer = ok(&server, &body).await;
        if format == "float" {
            assert_eq!(vectors(&answer)[0], plain);
            continue;
        }
        let text = answer["data"][0]["embedding"].as_str().expect("text");
        let bytes = BASE64_STANDARD.decode(text).expect("base64");
        let numbers = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().expect("four bytes")));
        assert_eq!(numbers.collect::<Vec<_>>(), plain);
    }
}

#[tokio::test]
async fn token_ids_are_read_as_their_text_is() {
    let server = Server::start().await;
    let (ab, c) = (vector(&server, "ab").await, vector(&server, "c").await);
    let one = ok(&server, &texts(json!([97, 98]))).await;
    assert_eq!(vectors(&one)[0], ab);
    assert_eq!(one["usage"]["prompt_tokens"], 2);
    let several = ok(&server, &texts(json!([[97, 98], [99]]))).await;
    assert_eq!(vectors(&several), [ab, c]);
}

#[tokio::test]
async fn a_shorter_vector_is_the_beginning_of_the_whole_one_with_length_1() {
    let server = Server::start().await;
    let whole = vector(&server, "abc").await;
    for dimensions in 1..=4 {
        let body = with(texts(json!("abc")), json!({"dimensions": dimensions}));
        let vector = vectors(&ok(&server, &body).await).remove(0);
        assert_eq!(vector.len(), dimensions);
        let scale = length(&whole[..dimensions]);
        for (short, long) in vector.iter().zip(&whole) {
            assert!((short * scale - long).abs() < 1e-6, "{vector:?} {whole:?}");
        }
    }
    for (dimensions, code) in [
        (0, "integer_below_min_value"),
        (5, "integer_above_max_value"),
    ] {
        let body = with(texts(json!("abc")), json!({"dimensions": dimensions}));
        let error = refusal(&server, 400, &body).await;
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!("dimensions"), &json!(code))
        );
    }
}

#[tokio::test]
async fn only_the_beginning_of_a_long_text_is_read() {
    let server = Server::start().await;
    let beginning = "x".repeat(READ);
    let read = vector(&server, &beginning).await;
    let answer = ok(&server, &texts(json!(beginning + "and so on"))).await;
    assert_eq!(vectors(&answer), [read]);
    assert_eq!(answer["usage"]["prompt_tokens"], READ);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named() {
    let server = Server::start().await;
    let long = "x".repeat(8193);
    for (input, param, code) in [
        (json!(""), "input", "empty_string"),
        (json!([]), "input", "empty_array"),
        (json!(["a", ""]), "input[1]", "empty_string"),
        (json!([[97], []]), "input[1]", "empty_array"),
        (json!(vec!["a"; 2049]), "input", "array_above_max_length"),
        (
            json!(vec![vec![97]; 2049]),
            "input",
            "array_above_max_length",
        ),
        (json!(long), "input", "context_length_exceeded"),
        (json!(["a", long]), "input[1]", "context_length_exceeded"),
        (json!(vec![97; 8193]), "input", "context_length_exceeded"),
        (
            json!("x".repeat(300_000)),
            "input",
            "string_above_max_length",
        ),
        (
            json!(vec!["x".repeat(READ); 1501]),
            "input",
            "max_tokens_per_request",
        ),
        (json!([1_114_112]), "input", "invalid_value"),
        (json!([[97], [1_114_112]]), "input[1]", "invalid_value"),
        (json!(5), "input", "invalid_type"),
        (json!(null), "input", "invalid_type"),
        (json!({}), "input", "invalid_type"),
        (json!([null]), "input[0]", "invalid_type"),
        (json!([1.5]), "input[0]", "invalid_type"),
        (json!([-1]), "input[0]", "invalid_value"),
        (json!([4_294_967_296_u64]), "input[0]", "invalid_value"),
        (json!(["a", 5]), "input[1]", "invalid_type"),
        (json!([5, "a"]), "input[1]", "invalid_type"),
        (json!([[97], "a"]), "input[1]", "invalid_type"),
        (json!([[97, "a"]]), "input[0][1]", "invalid_type"),
        (json!([["a"]]), "input[0][0]", "invalid_type"),
    ] {
        let body = texts(input);
        let error = refusal(&server, 400, &body).await;
        let body = body.to_string();
        let body = &body[..body.len().min(80)];
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(param), &json!(code)),
            "{body}: {error}"
        );
    }
    for (more, param) in [
        (json!({"encoding_format": "hex"}), "encoding_format"),
        (json!({"dimensions": "many"}), "dimensions"),
        (json!({"model": ""}), "model"),
        (json!({"model": null}), "model"),
    ] {
        let error = refusal(&server, 400, &with(texts(json!("a")), more)).await;
        assert_eq!(error["param"], param, "{error}");
    }
    let error = refusal(&server, 400, &json!({"model": "embed"})).await;
    assert_eq!(error["code"], "missing_required_parameter");
    let embedder = server.embedder("embed");
    assert!(embedder.given.lock().expect("no panic").is_empty());
    let rows = server.rows().await;
    assert!(
        rows.iter()
            .all(|row| row.endpoint == "embeddings" && row.input_tokens == 0)
    );
}

#[tokio::test]
async fn each_model_is_asked_for_what_it_does() {
    let server = Server::start().await;
    let body = with(texts(json!("a")), json!({"model": "nope"}));
    let error = refusal(&server, 404, &body).await;
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("model"), &json!("model_not_found"))
    );
    let body = with(texts(json!("a")), json!({"model": "echo"}));
    let error = refusal(&server, 400, &body).await;
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("model"), &json!("model_not_supported"))
    );
    let error = server.refusal(400, &ask("embed", "a")).await;
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("model"), &json!("model_not_supported"))
    );

    let response = server.get("/v1/models").send().await.expect("a response");
    let listed: Value = response.json().await.expect("json");
    let listed = listed["data"].as_array().expect("models");
    assert!(listed.iter().any(|model| model["id"] == "embed"));
    let response = server.get("/v1/models/embed").send().await;
    assert_eq!(response.expect("a response").status(), 200);
}

#[tokio::test]
async fn a_model_that_is_not_for_a_project_does_not_exist_there() {
    let server = Server::start().await;
    let (project, key) = limited(&server, json!({})).await;
    let path = format!("/organization/projects/{project}/model_permissions");
    let denied = json!({"mode": "deny_list", "model_ids": ["embed"]});
    server.make(&path, denied).await;
    let request = server.client.post(server.url("/v1/embeddings"));
    let request = request.bearer_auth(&key).json(&texts(json!("a")));
    let error = error_of(404, request.send().await.expect("a response")).await;
    assert_eq!(error["code"], "model_not_found");
}

#[tokio::test]
async fn tokens_are_reserved_settled_and_paid_for() {
    let server = Server::with(|config| {
        let price = Price {
            input: 2.0,
            cached_input: None,
            output: 50.0,
        };
        config.prices.insert("embed".to_owned(), price);
    })
    .await;
    let (_, key) = limited(&server, json!({"tokens_per_minute": 10})).await;
    let send = async |text: &str| {
        let request = server.client.post(server.url("/v1/embeddings"));
        let request = request.bearer_auth(&key).json(&texts(json!(text)));
        request.send().await.expect("a response")
    };
    let error = error_of(429, send("eleven of them").await).await;
    assert_eq!(error["code"], "rate_limit_exceeded");
    assert_eq!(send("123456").await.status(), 200);
    let spent = used(&server, &key, "project").await;
    assert_eq!(spent["tokens_per_minute"], 6, "{spent}");
    error_of(429, send("12345").await).await;
    assert_eq!(send("1234").await.status(), 200);
    let rows = server.rows().await;
    let told: Vec<_> = rows
        .iter()
        .map(|r| (r.status, r.input_tokens, r.cost_nanousd))
        .collect();
    assert_eq!(
        told,
        [(429, 0, 0), (200, 6, 12_000), (429, 0, 0), (200, 4, 8_000)]
    );
}

#[tokio::test]
async fn a_projects_rates_of_an_embedding_model_can_be_set() {
    let server = Server::start().await;
    let (project, key) = limited(&server, json!({})).await;
    let path = format!("/organization/projects/{project}/rate_limits/rl-embed");
    server
        .make(&path, json!({"max_requests_per_1_minute": 1}))
        .await;
    for status in [200, 429] {
        let request = server.client.post(server.url("/v1/embeddings"));
        let request = request.bearer_auth(&key).json(&texts(json!("a")));
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn texts_pass_the_guards_of_requests() {
    let policy = "extends = 'standard'\n[pii]\nstyle = 'reversible'\npre_call = 'mask'\n";
    let (server, _dir) = guarded(policy).await;
    let mail = "Mail ada@example.org.";
    let ids: Vec<u32> = mail.chars().map(u32::from).collect();
    let plain = ok(
        &server,
        &texts(json!(["nothing", mail, "ask bob@example.org"])),
    )
    .await;
    let tokens = ok(&server, &texts(json!([ids]))).await;
    let alone = ok(&server, &texts(json!("ask bob@example.org"))).await;
    let given = server.embedder("embed").texts();
    assert_eq!(given[0], "nothing");
    assert!(
        given.iter().all(|text| !text.contains("example.org")),
        "{given:?}"
    );
    // What a text is read as is the same whatever it comes in and with.
    assert_eq!(given[1], given[3]);
    assert_eq!(given[2], given[4]);
    assert_eq!(vectors(&plain)[1], vectors(&tokens)[0]);
    assert_eq!(vectors(&plain)[2], vectors(&alone)[0]);
    let rows = server.rows().await;
    let notes = rows[0].guardrails.as_deref().expect("notes");
    assert!(
        notes.contains("pii.email") && notes.contains("mask"),
        "{notes}"
    );
}

#[tokio::test]
async fn a_text_that_is_blocked_is_named_and_reaches_no_model() {
    let (server, _dir) =
        guarded("extends = 'standard'\n[pii.kinds.email]\npre_call = 'block'\n").await;
    for (input, param) in [
        (json!("Mail ada@example.org."), "input"),
        (json!(["fine", "Mail ada@example.org."]), "input[1]"),
    ] {
        let error = refusal(&server, 400, &texts(input)).await;
        assert_eq!(error["code"], "content_filter");
        assert_eq!(error["param"], param, "{error}");
    }
    assert!(server.embedder("embed").texts().is_empty());
    let rows = server.rows().await;
    assert!(
        rows.iter()
            .all(|row| row.input_tokens == 0 && row.guardrails.is_some())
    );
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_work_and_frees_the_place() {
    let server = Server::start().await;
    let body = json!({"model": "embed-gate", "input": "abc"});
    let waiting = tokio::spawn(server.embed(&body).send());
    let embedder = server.embedder("embed-gate");
    eventually("begun", async || !embedder.texts().is_empty()).await;
    waiting.abort();
    eventually("stopped", async || {
        embedder.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
    let admission = &server.served_embedder("embed-gate").admission;
    eventually("the place is free", async || admission.depth() == 0).await;
    eventually("recorded", async || !server.rows().await.is_empty()).await;
    let row = server.row().await;
    assert_eq!(
        (row.status, row.outcome, row.input_tokens),
        (499, Outcome::Cancelled, 3)
    );
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let server = Server::start().await;
    let body = json!({"model": "embed-gate", "input": "abc"});
    let admission = &server.served_embedder("embed-gate").admission;
    let mut waiting = Vec::new();
    for depth in 1..=3 {
        waiting.push(tokio::spawn(server.embed(&body).send()));
        eventually("in the queue", async || admission.depth() == depth).await;
    }
    let response = server.embed(&body).send().await.expect("a response");
    assert!(response.headers().contains_key("retry-after-ms"));
    error_of(429, response).await;
    // A model for conversations has a queue of its own.
    server.answer(&ask("echo", "hi")).await;
    server.embedder("embed-gate").gate.add_permits(3);
    for answer in waiting {
        let answer = answer.await.expect("no panic").expect("a response");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_model_that_fails_is_not_quoted() {
    let server = Server::start().await;
    for model in ["embed-fail", "embed-forget"] {
        let error = refusal(&server, 500, &json!({"model": model, "input": "abc"})).await;
        assert!(!error.to_string().contains(INTERNALS), "{error}");
    }
    let rows = server.rows().await;
    let failed =
        |row: &microllm::records::UsageRow| (row.status, row.outcome) == (500, Outcome::Failed);
    assert!(rows.iter().all(failed), "{rows:?}");
}

#[tokio::test]
async fn usage_is_told_apart_from_completions() {
    let server = Server::start().await;
    let start = server.app.clock.now_secs() - 1;
    ok(&server, &texts(json!(["ab", "c"]))).await;
    ok(&server, &texts(json!("defg"))).await;
    server.answer(&ask("echo", "hi")).await;
    let usage = async |kind: &str, more: &str| {
        let path = format!("/organization/usage/{kind}?start_time={start}&bucket_width=1m{more}");
        let (status, page) = server.admin(Method::GET, &path, None).await;
        assert_eq!(status, 200, "{page}");
        let buckets = page["data"].as_array().expect("buckets").clone();
        let results = buckets.into_iter().map(|bucket| bucket["results"].clone());
        let results: Vec<Vec<Value>> = results
            .map(|all| serde_json::from_value(all).expect("results"))
            .collect();
        results.concat()
    };
    let results = usage("embeddings", "&group_by[]=model").await;
    let requests: i64 = results
        .iter()
        .filter_map(|r| r["num_model_requests"].as_i64())
        .sum();
    let tokens: i64 = results
        .iter()
        .filter_map(|r| r["input_tokens"].as_i64())
        .sum();
    assert_eq!((requests, tokens), (2, 7), "{results:?}");
    for result in &results {
        assert_eq!(result["object"], "organization.usage.embeddings.result");
        assert_eq!(
            (&result["model"], &result["project_id"]),
            (&json!("embed"), &Value::Null)
        );
        assert!(result.get("output_tokens").is_none());
    }
    assert!(usage("embeddings", "&models[]=echo").await.is_empty());
    let completions = usage("completions", "&group_by[]=model").await;
    assert_eq!(
        (completions.len(), &completions[0]["model"]),
        (1, &json!("echo"))
    );
    let path = format!("/organization/usage/embeddings?start_time={start}&group_by[]=colour");
    let (status, error) = server.admin(Method::GET, &path, None).await;
    assert_eq!(
        (status, &error["error"]["param"]),
        (400, &json!("group_by"))
    );

    let metrics = server
        .client
        .get(server.url("/metrics"))
        .bearer_auth(&server.admin_key);
    let metrics = metrics
        .send()
        .await
        .expect("a response")
        .text()
        .await
        .expect("text");
    assert!(
        metrics.contains("operation=\"embeddings\",model=\"embed\""),
        "{metrics}"
    );
}

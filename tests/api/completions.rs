//! Prompts that are continued: `/v1/completions`.

use microllm::records::Outcome;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, error_of, events, with};

fn ask(prompt: impl Into<Value>) -> Value {
    json!({"model": "echo", "prompt": prompt.into()})
}

async fn answer(server: &Server, body: &Value) -> Value {
    let response = server.complete(body).send().await.expect("a response");
    let status = response.status();
    let body: Value = response.json().await.expect("json");
    assert_eq!(status, 200, "{body}");
    body
}

async fn refusal(server: &Server, status: u16, body: &Value) -> Value {
    error_of(
        status,
        server.complete(body).send().await.expect("a response"),
    )
    .await
}

fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().expect("choices");
    let texts = choices.iter().map(|choice| choice["text"].as_str());
    texts.collect::<Option<_>>().expect("texts")
}

/// The chunks of a stream, which has to end as it should.
async fn chunks(server: &Server, body: &Value) -> Vec<Value> {
    let body = with(body.clone(), json!({"stream": true}));
    let response = server.complete(&body).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut all = events(&response.text().await.expect("text"));
    assert_eq!(all.pop().as_deref(), Some("[DONE]"));
    let chunks = all.iter().map(|event| serde_json::from_str(event));
    chunks.collect::<Result<_, _>>().expect("json")
}

#[tokio::test]
async fn an_answer_has_openai_s_shape() {
    let server = Server::start().await;
    let response = server.complete(&ask("Hi you")).send().await;
    let response = response.expect("a response");
    assert_eq!(response.headers()["x-microllm-cache-status"], "BYPASS");
    assert!(
        response
            .headers()
            .contains_key("x-ratelimit-remaining-requests")
    );
    let request_id = response.headers()["x-request-id"].clone();
    let text = response.text().await.expect("text");
    let answer: Value = serde_json::from_str(&text).expect("json");
    let (id, created) = (answer["id"].as_str().expect("an id"), &answer["created"]);
    assert!(id.starts_with("cmpl-"), "{id}");
    let details = "\"prompt_tokens_details\":{\"cached_tokens\":1,\"audio_tokens\":0},\
                   \"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\
                   \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}";
    let expected = format!(
        "{{\"id\":\"{id}\",\"object\":\"text_completion\",\"created\":{created},\
         \"model\":\"echo\",\"choices\":[{{\"text\":\"Hi you\",\"index\":0,\"logprobs\":null,\
         \"finish_reason\":\"stop\"}}],\"system_fingerprint\":\"fp_test\",\
         \"usage\":{{\"prompt_tokens\":6,\"completion_tokens\":2,\"total_tokens\":8,{details}}}}}"
    );
    assert_eq!(text, expected);
    let row = server.row().await;
    assert_eq!(request_id, row.request_id.as_str());
    assert_eq!(
        (row.endpoint.as_str(), row.model.as_str()),
        ("completions", "echo")
    );
    assert_eq!(
        (row.status, row.outcome, row.stream),
        (200, Outcome::Completed, false)
    );
    assert_eq!(
        (row.input_tokens, row.output_tokens, row.cached_tokens),
        (6, 2, 1)
    );
    assert_eq!(row.finish_reason.as_deref(), Some("stop"));
    assert!(row.guardrails.is_some(), "the guards have seen it");
}

#[tokio::test]
async fn prompts_come_in_four_forms_and_are_answered_in_order() {
    let server = Server::start().await;
    for (prompt, expected) in [
        (json!("a b"), vec!["a b"]),
        (json!(["a b", "c", "d"]), vec!["a b", "c", "d"]),
        (json!([97, 32, 98]), vec!["a b"]),
        (json!([[97], [98, 99]]), vec!["a", "bc"]),
    ] {
        let answer = answer(&server, &ask(prompt.clone())).await;
        assert_eq!(texts(&answer), expected, "{prompt}");
    }
    let both = with(ask(json!(["a b", "c"])), json!({"n": 2, "echo": true}));
    let answer = answer(&server, &both).await;
    assert_eq!(texts(&answer), ["a ba b", "a ba b", "cc", "cc"]);
    let indices: Vec<_> = answer["choices"]
        .as_array()
        .expect("choices")
        .iter()
        .map(|choice| choice["index"].as_u64())
        .collect();
    assert_eq!(indices, [Some(0), Some(1), Some(2), Some(3)]);
    // Each prompt counts once, each answer too; the engine reuses a token of each prompt.
    assert_eq!(answer["usage"]["prompt_tokens"], 4);
    assert_eq!(answer["usage"]["completion_tokens"], 6);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    let rows = server.rows().await;
    let row = rows.last().expect("rows");
    assert_eq!((row.input_tokens, row.output_tokens), (4, 6));
}

#[tokio::test]
async fn a_stream_tells_the_same() {
    let server = Server::start().await;
    let body = with(ask(json!(["a b", "c"])), json!({"n": 2, "echo": true}));
    let whole = answer(&server, &body).await;
    let body = with(body, json!({"stream_options": {"include_usage": true}}));
    let chunks = chunks(&server, &body).await;
    let (last, others) = chunks.split_last().expect("chunks");
    let mut told = vec![String::new(); 4];
    let mut ended = Vec::new();
    for chunk in others {
        assert_eq!(chunk["object"], "text_completion");
        assert_eq!(chunk["id"], chunks[0]["id"]);
        assert!(chunk["usage"].is_null() && chunk.get("usage").is_some());
        let choice = &chunk["choices"][0];
        let index = choice["index"].as_u64().expect("an index");
        told[usize::try_from(index).expect("small")] += choice["text"].as_str().expect("text");
        if !choice["finish_reason"].is_null() {
            ended.push(index);
        }
    }
    assert_eq!(told, texts(&whole));
    assert_eq!(ended, [0, 1, 2, 3]);
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    let plain = self::chunks(&server, &ask("a")).await;
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
    let rows = server.rows().await;
    assert!(rows[1].stream && rows[1].output_tokens == 6);
}

#[tokio::test]
async fn every_blank_of_a_continued_text_counts() {
    let server = Server::start().await;
    let text = "\n\n  one <think>two</think>\n\n\n\nthree  ";
    for prompt in [text, "<think>x</think> y "] {
        assert_eq!(texts(&answer(&server, &ask(prompt)).await), [prompt]);
        let streamed = chunks(&server, &ask(prompt)).await;
        let told: String = streamed.iter().flat_map(texts).collect();
        assert_eq!(told, prompt);
    }
}

#[tokio::test]
async fn log_probabilities_are_in_the_older_shape() {
    let server = Server::start().await;
    let body = with(ask("é b"), json!({"logprobs": 2}));
    let answer = answer(&server, &body).await;
    let expected = json!({
        "text_offset": [0, 2],
        "token_logprobs": [-0.5, -0.5],
        "tokens": ["é ", "b"],
        "top_logprobs": [{"é ": -0.5}, {"b": -0.5}],
    });
    assert_eq!(answer["choices"][0]["logprobs"], expected);
    let streamed = chunks(&server, &body).await;
    let second = &streamed[1]["choices"][0]["logprobs"];
    assert_eq!(
        (&second["tokens"], &second["text_offset"]),
        (&json!(["b"]), &json!([2]))
    );
    let none = self::answer(&server, &with(ask("a"), json!({"logprobs": 0}))).await;
    let none = &none["choices"][0]["logprobs"];
    assert_eq!(
        (&none["tokens"], &none["top_logprobs"]),
        (&json!(["a"]), &Value::Null)
    );
}

#[tokio::test]
async fn the_likeliest_of_several_are_given() {
    let server = Server::start().await;
    let body = json!({
        "model": "seed", "prompt": ["x", "y"], "seed": 2, "best_of": 4, "n": 2,
    });
    // Seeds 2, 3, 4 and 5, of which the first two are the unlikelier ones.
    let best = answer(&server, &body).await;
    assert_eq!(texts(&best), ["s4", "s5", "s4", "s5"]);
    assert_eq!(best["choices"][3]["index"], 3);
    assert!(
        best["choices"]
            .as_array()
            .expect("choices")
            .iter()
            .all(|c| c["logprobs"].is_null())
    );
    // All that was made is paid for.
    assert_eq!(best["usage"]["completion_tokens"], 8);
    let told = answer(&server, &with(body, json!({"logprobs": 0}))).await;
    assert_eq!(
        told["choices"][0]["logprobs"]["token_logprobs"],
        json!([0.0])
    );
    let as_many = json!({"model": "seed", "prompt": "x", "seed": 2, "best_of": 2, "n": 2});
    assert_eq!(texts(&answer(&server, &as_many).await), ["s2", "s3"]);
    assert_eq!(chunks(&server, &as_many).await.len(), 4);
}

#[tokio::test]
async fn options_reach_the_model() {
    let server = Server::start().await;
    let body = json!({
        "model": "echo", "prompt": "a b c", "seed": -1, "temperature": 0.5, "top_p": 0.25,
        "stop": ["x", "y"], "logit_bias": {"5": -3}, "presence_penalty": 1.5,
        "frequency_penalty": -1.5, "max_tokens": 2, "user": "ada", "suffix": "", "unknown": [1],
    });
    let answer = answer(&server, &body).await;
    assert_eq!(texts(&answer), ["a b "]);
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    self::answer(&server, &ask(Value::Null)).await;
    let asked = server.engine("echo").asked();
    let sampling = &asked[0].sampling;
    assert_eq!((sampling.temperature, sampling.top_p), (0.5, 0.25));
    assert_eq!(
        (sampling.presence_penalty, sampling.frequency_penalty),
        (1.5, -1.5)
    );
    assert_eq!(sampling.stop, ["x", "y"]);
    assert_eq!(sampling.logit_bias, [(5, -3.0)]);
    assert_eq!(
        (sampling.seed, sampling.max_tokens),
        (Some(u64::MAX), Some(2))
    );
    assert_eq!(asked[1].sampling.max_tokens, Some(16), "OpenAI's default");
    assert_eq!(asked[1].prompt, [0; 0]);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_by_name() {
    let server = Server::start().await;
    let long = "word ".repeat(200);
    let many: Vec<_> = (0..65).map(|i| i.to_string()).collect();
    for (more, param, code) in [
        (json!({"suffix": "end"}), "suffix", "unsupported_parameter"),
        (
            json!({"echo": true, "logprobs": 1}),
            "logprobs",
            "unsupported_parameter",
        ),
        (
            json!({"logprobs": 6}),
            "logprobs",
            "integer_above_max_value",
        ),
        (json!({"best_of": 1, "n": 2}), "best_of", "invalid_value"),
        (
            json!({"best_of": 2, "stream": true}),
            "best_of",
            "invalid_value",
        ),
        (json!({"best_of": 21}), "best_of", "integer_above_max_value"),
        (json!({"n": 0}), "n", "integer_below_min_value"),
        (json!({"n": 129}), "n", "integer_above_max_value"),
        (
            json!({"max_tokens": 0}),
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            json!({"prompt": many, "n": 2}),
            "prompt",
            "array_above_max_length",
        ),
        (json!({"prompt": []}), "prompt", "empty_array"),
        (json!({"prompt": 5}), "prompt", "invalid_type"),
        (json!({"prompt": {"a": 1}}), "prompt", "invalid_type"),
        (json!({"prompt": ["a", 5]}), "prompt", "invalid_value"),
        (json!({"prompt": [-1]}), "prompt", "invalid_value"),
        (json!({"prompt": [55296]}), "prompt", "invalid_value"),
        (json!({"prompt": long}), "prompt", "context_length_exceeded"),
        (
            json!({"prompt": ["a", long]}),
            "prompt",
            "context_length_exceeded",
        ),
        (
            json!({"temperature": 2.5}),
            "temperature",
            "decimal_above_max_value",
        ),
        (
            json!({"logit_bias": {"60000": 1}}),
            "logit_bias",
            "invalid_value",
        ),
        (
            json!({"stop": ["a", "b", "c", "d", "e"]}),
            "stop",
            "array_above_max_length",
        ),
    ] {
        let error = refusal(&server, 400, &with(ask("Hi"), more.clone())).await;
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(param), &json!(code)),
            "{more}"
        );
        let words = error["message"].as_str().expect("words");
        assert!(!words.contains("messages"), "{words}");
    }
    let error = refusal(
        &server,
        400,
        &with(ask("Hi"), json!({"stream_options": {}})),
    )
    .await;
    assert_eq!(error["param"], "stream_options");
    let error = refusal(&server, 400, &json!({"prompt": "Hi"})).await;
    assert_eq!(error["param"], "model");
    let error = refusal(&server, 404, &json!({"model": "none", "prompt": "Hi"})).await;
    assert_eq!(error["code"], "model_not_found");
    let rows = server.rows().await;
    assert!(
        rows.iter()
            .all(|row| row.endpoint == "completions" && row.status >= 400)
    );
    assert_eq!(rows.len(), 24, "each has its row");
}

#[tokio::test]
async fn the_guards_see_prompts_in_every_form() {
    let dir = TempDir::new().expect("a directory");
    let policy =
        "[pii]\npre_call = 'mask'\n[secrets]\npre_call = 'block'\n[injection]\npre_call = 'off'";
    std::fs::write(dir.path().join("mine.toml"), policy).expect("a file");
    let path = dir.path().to_owned();
    let server = Server::with(|config| {
        config.guardrails.dir = path;
        config.guardrails.policy = "mine".to_owned();
    })
    .await;
    let ids = |text: &str| text.chars().map(u32::from).collect::<Vec<_>>();
    let address = "write to ada@example.org please";
    for prompt in [
        json!(address),
        json!(ids(address)),
        json!(["x", address]),
        json!([ids("x"), ids(address)]),
    ] {
        let answer = answer(&server, &ask(prompt.clone())).await;
        let last = *texts(&answer).last().expect("texts");
        assert!(
            last.starts_with("write to ") && !last.contains("ada@"),
            "{prompt}: {last}"
        );
        let asked = server.engine("echo").asked();
        let prompt = &asked.last().expect("asked").prompt;
        let seen: String = prompt.iter().filter_map(|c| char::from_u32(*c)).collect();
        assert!(
            seen.starts_with("write to ") && !seen.contains("ada@"),
            "{seen}"
        );
    }
    // What the client wrote itself is no news to it.
    let echoed = answer(&server, &with(ask(address), json!({"echo": true}))).await;
    assert!(texts(&echoed)[0].starts_with(address));
    let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    for (prompt, param) in [
        (json!(token), "prompt"),
        (json!(ids(token)), "prompt"),
        (json!(["x", token]), "prompt[1]"),
    ] {
        let error = refusal(&server, 400, &ask(prompt)).await;
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(param), &json!("content_filter"))
        );
        let words = error["message"].as_str().expect("words");
        assert!(words.contains(&format!("'{param}'")), "{words}");
    }
}

#[tokio::test]
async fn the_cache_tells_prompts_from_conversations_and_from_tokens() {
    let server = Server::start().await;
    let status = async |path: &str, body: Value| {
        let body = with(
            body,
            json!({"model": "echo", "temperature": 0, "max_tokens": 16}),
        );
        let request = server
            .client
            .post(server.url(path))
            .bearer_auth(&server.key)
            .json(&body);
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200);
        let status = response.headers()["x-microllm-cache-status"]
            .to_str()
            .expect("text")
            .to_owned();
        (status, response.json::<Value>().await.expect("json"))
    };
    let chat = json!({"messages": [{"role": "user", "content": "ab"}]});
    let (way, _) = status("/v1/chat/completions", chat).await;
    assert_eq!(way, "MISS");
    let completions = "/v1/completions";
    for prompt in [
        json!("ab"),
        json!([97, 98]),
        json!(["ab", "ab"]),
        json!([[97, 98], [97, 98]]),
    ] {
        let (way, first) = status(completions, json!({ "prompt": prompt })).await;
        assert_eq!(way, "MISS", "{prompt}");
        let (way, again) = status(completions, json!({ "prompt": prompt })).await;
        assert_eq!(way, "HIT", "{prompt}");
        assert_eq!(texts(&first), texts(&again));
        assert_ne!(first["id"], again["id"]);
    }
    // An array of one is one.
    let (way, _) = status(completions, json!({"prompt": ["ab"], "echo": true})).await;
    assert_eq!(way, "HIT");
}

#[tokio::test]
async fn a_client_that_leaves_and_a_model_that_fails() {
    let server = Server::start().await;
    for (model, status) in [("fail-start", 500), ("fail-first", 500), ("down", 503)] {
        let error = refusal(
            &server,
            status,
            &json!({"model": model, "prompt": ["x", "y"]}),
        )
        .await;
        assert_eq!(error["type"], "server_error", "{model}");
    }
    let body = json!({"model": "fail-mid", "prompt": "x y z", "stream": true});
    let response = server.complete(&body).send().await.expect("a response");
    let all = events(&response.text().await.expect("text"));
    assert!(
        all.last().expect("events").contains("server_error"),
        "{all:?}"
    );
    let body = json!({"model": "slow", "prompt": ["x", "y"], "max_tokens": 500, "stream": true});
    let mut response = server.complete(&body).send().await.expect("a response");
    response.chunk().await.expect("a chunk");
    drop(response);
    crate::harness::eventually("a row", async || {
        let rows = server.rows().await;
        rows.last()
            .is_some_and(|row| row.outcome == Outcome::Cancelled && row.input_tokens == 1)
    })
    .await;
}

#[tokio::test]
async fn usage_counts_them_with_other_completions() {
    let server = Server::start().await;
    answer(&server, &ask("a b")).await;
    server.answer(&crate::harness::ask("echo", "c")).await;
    let path = "/organization/usage/completions?start_time=1700000000&bucket_width=1d&limit=31";
    let now = server.app.clock.now_secs();
    let path = path.replace("1700000000", &(now - 60).to_string());
    let (status, page) = server.admin(Method::GET, &path, None).await;
    assert_eq!(status, 200, "{page}");
    let buckets = page["data"].as_array().expect("buckets").iter();
    let requests: i64 = buckets
        .flat_map(|bucket| bucket["results"].as_array().expect("results"))
        .filter_map(|result| result["num_model_requests"].as_i64())
        .sum();
    assert_eq!(requests, 2);
}

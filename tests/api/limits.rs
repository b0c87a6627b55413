//! Rates, budgets and their headers: never above the limit, and nothing lost below it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use microllm::limits::LimitSet;
use serde_json::{Value, json};

use crate::administration::id;
use crate::harness::{Server, ask, error_of, eventually, with};
use crate::identity::Person;

const CLIENTS: usize = 200;

/// A project with limits, and a key of it.
pub async fn limited(server: &Server, limits: Value) -> (String, String) {
    let made = server
        .make(
            "/organization/projects",
            json!({"name": "L", "limits": limits}),
        )
        .await;
    let project = id(&made).to_owned();
    let path = format!("/organization/projects/{project}/service_accounts");
    let account = server.make(&path, json!({"name": "Robot"})).await;
    let key = account["api_key"]["value"]
        .as_str()
        .expect("a key")
        .to_owned();
    (project, key)
}

pub async fn chat(server: &Server, key: &str, body: &Value) -> reqwest::Response {
    let request = server.client.post(server.url("/v1/chat/completions"));
    request
        .bearer_auth(key)
        .json(body)
        .send()
        .await
        .expect("a response")
}

fn number(response: &reqwest::Response, header: &str) -> u64 {
    let value = response.headers()[header].to_str().expect("text");
    value.parse().expect("a number")
}

/// Uses of a limit as the caller itself is told them.
pub async fn used(server: &Server, key: &str, scope: &str) -> Value {
    let response = server
        .client
        .get(server.url("/v1/limits"))
        .bearer_auth(key)
        .send()
        .await;
    let told: Value = response.expect("a response").json().await.expect("json");
    let scopes = told["limits"].as_array().expect("limits");
    let found = scopes.iter().find(|limits| limits["scope"] == scope);
    found.expect("the scope")["used"].clone()
}

/// Many at once; how many were let in.
async fn crowd(server: &Server, key: &str, body: &Value) -> usize {
    let answers = join_all((0..CLIENTS).map(|_| chat(server, key, body))).await;
    for answer in &answers {
        assert!(
            [200, 429].contains(&answer.status().as_u16()),
            "{}",
            answer.status()
        );
    }
    answers
        .iter()
        .filter(|answer| answer.status() == 200)
        .count()
}

async fn roomy() -> Server {
    Server::wide(CLIENTS, |config| {
        config.limits.requests_per_minute = 1_000_000
    })
    .await
}

#[tokio::test]
async fn two_hundred_clients_get_exactly_the_requests_of_a_minute() {
    let server = roomy().await;
    let (_, key) = limited(&server, json!({"requests_per_minute": 120})).await;
    assert_eq!(crowd(&server, &key, &ask("echo", "hi")).await, 120);
    assert_eq!(
        used(&server, &key, "project").await["requests_per_minute"],
        120
    );
}

#[tokio::test]
async fn two_hundred_clients_get_exactly_the_tokens_of_a_minute() {
    let server = roomy().await;
    // Each reserves 4 characters and 1 word.
    let (_, key) = limited(&server, json!({"tokens_per_minute": 500})).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 1}));
    assert_eq!(crowd(&server, &key, &body).await, 100);
    assert_eq!(
        used(&server, &key, "project").await["tokens_per_minute"],
        500
    );
}

#[tokio::test]
async fn many_keys_share_what_their_project_may_use() {
    let server = roomy().await;
    let (project, _) = limited(&server, json!({"requests_per_minute": 50})).await;
    let path = format!("/organization/projects/{project}/api_keys");
    let mut keys = Vec::new();
    for _ in 0..20 {
        let made = server.make(&path, json!({})).await;
        keys.push(made["value"].as_str().expect("a key").to_owned());
    }
    let body = ask("echo", "hi");
    let asked = keys
        .iter()
        .cycle()
        .take(CLIENTS)
        .map(|key| chat(&server, key, &body));
    let answers = join_all(asked).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status() == 200)
            .count(),
        50
    );
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let server = Server::wide(CLIENTS, |_| {}).await;
    let (_, key) = limited(&server, json!({"concurrent_requests": 3})).await;
    let body = ask("gate", "hi");
    let asked = join_all((0..10).map(|_| chat(&server, &key, &body)));
    let free = async {
        let used = async || used(&server, &key, "project").await["concurrent_requests"].clone();
        eventually("three run", async || used().await == 3).await;
        eventually("the others do not", async || server.rows().await.len() == 7).await;
        // And some that nobody is to need: whoever ran beside them would wait for one.
        server.engine("gate").gate.add_permits(10);
    };
    let (answers, ()) = tokio::join!(asked, free);
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status() == 200)
            .count(),
        3
    );
    assert_eq!(
        used(&server, &key, "project").await["concurrent_requests"],
        0
    );
}

#[tokio::test]
async fn what_was_reserved_is_given_back_however_it_ends() {
    let server = Server::start().await;
    let limits = json!({"tokens_per_minute": 100_000, "concurrent_requests": 10});
    let (_, key) = limited(&server, limits).await;
    let tokens = async || used(&server, &key, "project").await["tokens_per_minute"].clone();
    let mut expected = 0;
    for (model, tokens_used) in [
        ("echo", 4 + 1),
        ("fail-start", 4),
        ("fail-first", 4),
        ("panic", 0),
        ("vanish", 4 + 1),
        ("down", 4),
    ] {
        chat(&server, &key, &ask(model, "four")).await;
        expected += tokens_used;
        assert_eq!(tokens().await, expected, "{model}");
    }
    // Somebody who leaves.
    let body = with(ask("gate", "four"), json!({"max_tokens": 500}));
    let leaving = {
        let request = server.client.post(server.url("/v1/chat/completions"));
        tokio::spawn(request.bearer_auth(&key).json(&body).send())
    };
    eventually("reserved", async || tokens().await == expected + 504).await;
    leaving.abort();
    eventually("given back", async || tokens().await == expected + 4).await;
    let left = used(&server, &key, "project").await;
    assert_eq!(left["concurrent_requests"], 0);
    assert_eq!(server.engine("gate").cancelled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_headers_say_what_is_left() {
    let begun = Instant::now();
    let server = Server::start().await;
    let limits = json!({"requests_per_minute": 3, "tokens_per_minute": 1000});
    let (_, key) = limited(&server, limits).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 6}));
    for (requests, tokens) in [(2, 990), (1, 985), (0, 980)] {
        let answer = chat(&server, &key, &body).await;
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 3);
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), requests);
        assert_eq!(number(&answer, "x-ratelimit-limit-tokens"), 1000);
        assert_eq!(number(&answer, "x-ratelimit-remaining-tokens"), tokens);
        let reset = answer.headers()["x-ratelimit-reset-requests"]
            .to_str()
            .expect("text");
        assert!(reset.ends_with('s'), "{reset}");
        answer.bytes().await.expect("all of it");
    }
    let refused = chat(&server, &key, &body).await;
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    let wait = number(&refused, "retry-after-ms");
    let took = u64::try_from(begun.elapsed().as_millis()).expect("a short while");
    // Until a minute after the first of them.
    let least = 55_000_u64.saturating_sub(took);
    assert!((least..=60_100).contains(&wait), "{wait}");
    let error = error_of(429, refused).await;
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("requests"), &json!("rate_limit_exceeded"))
    );
    // What uses nothing has them too.
    let url = server.url("/v1/models");
    let listed = server
        .client
        .get(url)
        .bearer_auth(&key)
        .send()
        .await
        .expect("a response");
    assert_eq!(number(&listed, "x-ratelimit-remaining-requests"), 0);
    assert_eq!(number(&listed, "x-ratelimit-remaining-tokens"), 985);
    let rows = server.rows().await;
    let last = rows.last().expect("rows");
    assert_eq!((last.status, last.input_tokens), (429, 0));
}

#[tokio::test]
async fn errors_and_what_is_about_no_model_have_the_headers_too() {
    let server = Server::start().await;
    let (project, limited) = limited(&server, json!({"requests_per_minute": 2})).await;
    let path = format!("/organization/projects/{project}/api_keys");
    let made = server.make(&path, json!({"scopes": []})).await;
    let scopeless = made["value"].as_str().expect("a key");
    let (key, admin) = (server.key.as_str(), server.admin_key.as_str());
    let send = async |key: &str, path: &str, body: Option<String>| {
        let url = server.url(path);
        let request = match body {
            Some(body) => server.client.post(url).body(body),
            None => server.client.get(url),
        };
        let request = request.header("content-type", "application/json");
        request.bearer_auth(key).send().await.expect("a response")
    };
    let chat = "/v1/chat/completions";
    let stream = with(ask("echo", "hi"), json!({"stream": true}));
    let wrong = with(ask("echo", "hi"), json!({"temperature": 9}));
    for (status, key, path, body) in [
        (200, key, chat, Some(ask("echo", "hi"))),
        (200, key, chat, Some(stream)),
        (400, key, chat, Some(wrong)),
        (400, key, chat, Some(json!({"model": "echo"}))),
        (400, key, chat, Some(json!("no object"))),
        (404, key, chat, Some(ask("none", "hi"))),
        (500, key, chat, Some(ask("panic", "hi"))),
        (503, key, chat, Some(ask("down", "hi"))),
        (200, key, "/v1/moderations", Some(json!({"input": "hi"}))),
        (400, key, "/v1/moderations", Some(json!({"input": []}))),
        (200, key, "/v1/models", None),
        (404, key, "/v1/models/none", None),
        (403, scopeless, "/v1/models", None),
        (403, scopeless, chat, Some(ask("echo", "hi"))),
        (200, &limited, chat, Some(ask("echo", "hi"))),
        (429, &limited, chat, Some(ask("echo", "hi"))),
    ] {
        let told = format!("{path} {body:?}");
        let answer = send(key, path, body.map(|body| body.to_string())).await;
        assert_eq!(answer.status(), status, "{told}");
        for kind in ["requests", "tokens"] {
            for what in ["limit", "remaining", "reset"] {
                let name = format!("x-ratelimit-{what}-{kind}");
                assert!(answer.headers().contains_key(&name), "{name}: {told}");
            }
        }
    }
    for (status, key, path) in [
        (401, "sk-none", "/v1/models"),
        (403, admin, "/v1/models"),
        (404, key, "/v1/none"),
        (405, key, "/v1/completions"),
    ] {
        let answer = send(key, path, None).await;
        assert_eq!(answer.status(), status, "{path}");
        let mut names = answer.headers().keys();
        assert!(!names.any(|name| name.as_str().starts_with("x-ratelimit-")));
    }
}

#[tokio::test]
async fn nonsense_counts_too() {
    let server = Server::start().await;
    let (_, key) = limited(&server, json!({"requests_per_minute": 2})).await;
    for (body, status) in [
        (json!({"model": "echo"}), 400),
        (with(ask("echo", "hi"), json!({"temperature": 9})), 400),
        (ask("echo", "hi"), 429),
    ] {
        error_of(status, chat(&server, &key, &body).await).await;
    }
}

#[tokio::test]
async fn a_request_above_the_whole_limit_is_told_so() {
    let server = Server::start().await;
    let (_, key) = limited(&server, json!({"tokens_per_minute": 50})).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 60}));
    let answer = chat(&server, &key, &body).await;
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let error = error_of(429, answer).await;
    assert_eq!(error["type"], "tokens");
    assert!(
        error["message"]
            .as_str()
            .expect("text")
            .contains("Requested 64"),
        "{error}"
    );
    // Who does not say how much gets what there is.
    assert_eq!(
        chat(&server, &key, &ask("echo", "four")).await.status(),
        200
    );
    let asked = server.engine("echo").asked();
    assert_eq!(asked.last().expect("asked").max_tokens, 46);
}

#[tokio::test]
async fn a_budget_is_spent_once_and_survives_a_restart() {
    let server = Server::start().await;
    let (project, key) = limited(&server, json!({"tokens_per_month": 25})).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 4}));
    for _ in 0..4 {
        assert_eq!(chat(&server, &key, &body).await.status(), 200);
    }
    let answer = chat(&server, &key, &body).await;
    assert_eq!(answer.headers()["x-should-retry"], "false");
    assert_eq!(error_of(429, answer).await["code"], "insufficient_quota");
    let again = server.limits_after_a_restart();
    let principal = server.app.keys.verify(&key).await.expect("a key");
    assert_eq!(principal.project_id, project);
    let mut permit = again
        .begin(&principal, Some("echo"))
        .await
        .expect("20 of 25 are used");
    assert!(permit.reserve(6, 0).await.is_err());
    permit.reserve(5, 0).await.expect("exactly what is left");
}

#[tokio::test]
async fn what_was_refused_is_not_counted_after_a_restart_either() {
    let server = Server::start().await;
    let limits = json!({"requests_per_minute": 1, "requests_per_day": 10});
    let (_, key) = limited(&server, limits).await;
    for status in [200, 429, 429, 429] {
        let answer = chat(&server, &key, &ask("echo", "four")).await;
        assert_eq!(answer.status(), status);
    }
    let again = server.limits_after_a_restart();
    let principal = server.app.keys.verify(&key).await.expect("a key");
    let scopes = again.report(&principal, &[]).await.expect("limits");
    let used = |(_, limits, used): &(_, LimitSet, LimitSet)| {
        limits.requests_per_day.and(used.requests_per_day)
    };
    let used: Vec<_> = scopes.iter().filter_map(used).collect();
    assert_eq!(used, [1]);
}

#[tokio::test]
async fn money_is_counted_by_the_prices() {
    let server = Server::with(|config| {
        let price = microllm::config::Price {
            input: 1000.0,
            cached_input: Some(0.0),
            output: 2000.0,
        };
        config.prices.insert("echo".to_owned(), price);
    })
    .await;
    // Three of four characters at 0.1 cents each (one is reused), a word at 0.2.
    let (_, key) = limited(&server, json!({"cents_per_month": 1})).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 1}));
    assert_eq!(chat(&server, &key, &body).await.status(), 200);
    assert_eq!(server.row().await.cost_nanousd, 5_000_000);
    let refused = chat(&server, &key, &body).await;
    assert_eq!(error_of(429, refused).await["code"], "insufficient_quota");
}

#[tokio::test]
async fn a_short_wait_may_take_the_place_of_a_refusal() {
    let server = Server::wide(10, |config| config.limits.longest_wait_ms = 20_000).await;
    let (_, key) = limited(&server, json!({"concurrent_requests": 1})).await;
    let body = ask("gate", "hi");
    server.engine("gate").gate.add_permits(5);
    let answers = join_all((0..5).map(|_| chat(&server, &key, &body))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
}

#[tokio::test]
async fn a_stream_that_has_waited_long_for_its_limits_is_refused_with_a_status() {
    let server = Server::wide(4, |config| config.limits.longest_wait_ms = 11_000).await;
    let (_, key) = limited(&server, json!({"concurrent_requests": 1})).await;
    let held = server.app.keys.verify(&key).await.expect("a key");
    let _held = server.app.limits.begin(&held, None).await.expect("room");
    let body = with(ask("echo", "hi"), json!({"stream": true}));
    let refused = chat(&server, &key, &body).await;
    error_of(429, refused).await;
}

#[tokio::test]
async fn the_tightest_of_all_limits_wins_and_binds_everybody_whose_it_is() {
    // Whose limit is tight, and whom else it refuses once it is used up: another key of the same
    // person, the same person in another project, a program in the project, one in another.
    for (tight, others) in [
        ("key", [200, 200, 200, 200]),
        ("user", [429, 429, 200, 200]),
        ("project", [429, 200, 429, 200]),
        ("organization", [429, 429, 429, 429]),
    ] {
        let server = Server::start().await;
        let limits = |whose: &str| {
            let most = if whose == tight { 2 } else { 50 };
            json!({"requests_per_minute": most, "tokens_per_minute": most * 1000})
        };
        let (project, program) = limited(&server, limits("project")).await;
        let (elsewhere, other_program) = limited(&server, json!({})).await;
        let member = |id: &str| json!({"id": id, "role": "member"});
        let projects = json!([member(&project), member(&elsewhere)]);
        let ada = Person::invited(&server, "ada@example.org", "reader", projects).await;
        let (_, ada) = server.me(&ada.access).await;
        let key = async |project: &str, limits: Value| {
            let path = format!("/organization/projects/{project}/api_keys");
            let made = json!({"user_id": id(&ada), "limits": limits});
            let made = server.make(&path, made).await;
            made["value"].as_str().expect("a key").to_owned()
        };
        let asking = key(&project, limits("key")).await;
        let others_keys = [
            key(&project, json!({})).await,
            key(&elsewhere, json!({})).await,
            program,
            other_program,
        ];
        let of_user = json!({"limits": limits("user")});
        let user = format!("/organization/users/{}", id(&ada));
        server.make(&user, of_user).await;
        let of_all = limits("organization");
        server.make("/organization/limits", of_all).await;

        let body = with(ask("echo", "hi"), json!({"max_tokens": 1}));
        for (left, status) in [(1, 200), (0, 200), (0, 429)] {
            let answer = chat(&server, &asking, &body).await;
            assert_eq!(answer.status(), status, "{tight}");
            assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 2, "{tight}");
            let remaining = number(&answer, "x-ratelimit-remaining-requests");
            assert_eq!(remaining, left, "{tight}");
            assert_eq!(number(&answer, "x-ratelimit-limit-tokens"), 2000, "{tight}");
        }
        let answers = join_all(others_keys.iter().map(|key| chat(&server, key, &body)));
        let statuses: Vec<_> = answers.await.iter().map(|a| a.status().as_u16()).collect();
        assert_eq!(statuses, others, "{tight}");
    }
}

/// Another key of a project.
pub async fn another_key(server: &Server, project: &str) -> String {
    let path = format!("/organization/projects/{project}/api_keys");
    let made = server.make(&path, json!({})).await;
    made["value"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn a_light_key_does_not_wait_for_all_that_a_heavy_one_has_in_line() {
    let server = Server::wide(20, |config| config.limits.longest_wait_ms = 60_000).await;
    let (project, heavy) = limited(&server, json!({"concurrent_requests": 1})).await;
    let light = another_key(&server, &project).await;
    let ask_for = |key: &str, text| {
        let request = server.client.post(server.url("/v1/chat/completions"));
        let sent = request.bearer_auth(key).json(&ask("gate", text)).send();
        tokio::spawn(sent)
    };
    let in_line = async |many| {
        eventually("in line", async || server.app.limits.waiting() == many).await;
    };
    let engine = server.engine("gate");
    let mut answers = vec![ask_for(&heavy, "h")];
    eventually("running", async || engine.asked().len() == 1).await;
    answers.extend((0..10).map(|_| ask_for(&heavy, "h")));
    in_line(10).await;
    answers.push(ask_for(&light, "l"));
    in_line(11).await;
    engine.gate.add_permits(12);
    for answer in answers {
        let answer = answer.await.expect("no panic").expect("a response");
        assert_eq!(answer.status(), 200);
    }
    let asked = engine.asked();
    let order: Vec<_> = asked.iter().filter_map(|p| p.prompt.last()).collect();
    let light_at = order.iter().position(|text| **text == u32::from('l'));
    // The one that ran, the heavy key's turn, and then its own.
    assert_eq!(light_at, Some(2), "{order:?}");
}

#[tokio::test]
async fn nobody_overtakes_who_waits_for_the_same_limit() {
    let server = Server::with(|config| config.limits.longest_wait_ms = 60_000).await;
    let (project, heavy) = limited(&server, json!({"concurrent_requests": 1})).await;
    let light = another_key(&server, &project).await;
    let heavy = server.app.keys.verify(&heavy).await.expect("a key");
    let light = server.app.keys.verify(&light).await.expect("a key");
    let limits = &server.app.limits;
    let first = limits.begin(&heavy, None).await.expect("there is room");
    let mut waiting = Box::pin(limits.begin(&light, None));
    eventually("it waits", async || {
        assert!((&mut waiting).now_or_never().is_none());
        limits.waiting() > 0
    })
    .await;
    drop(first);
    // There is room again, but it is not theirs.
    assert!(limits.begin(&heavy, None).now_or_never().is_none());
    let second = waiting.await.expect("its turn");
    drop(second);
    limits.begin(&heavy, None).await.expect("there is room");
    assert_eq!(limits.waiting(), 0);
}

#[tokio::test]
async fn whoever_leaves_the_line_leaves_nothing_behind() {
    let server = Server::with(|config| config.limits.longest_wait_ms = 60_000).await;
    let (_, key) = limited(&server, json!({"concurrent_requests": 1})).await;
    let key = server.app.keys.verify(&key).await.expect("a key");
    let limits = &server.app.limits;
    let first = limits.begin(&key, None).await.expect("there is room");
    let leaving = tokio::time::timeout(Duration::from_millis(20), limits.begin(&key, None));
    assert!(leaving.await.is_err(), "there is no room");
    assert_eq!(limits.waiting(), 0, "whoever leaves is not in line");
    drop(first);
    limits.begin(&key, None).await.expect("nothing was lost");
}

#[tokio::test]
async fn a_budget_that_is_set_later_counts_what_was_used_once() {
    let server = Server::start().await;
    let (project, key) = limited(&server, json!({"requests_per_minute": 100})).await;
    let body = with(ask("echo", "four"), json!({"max_tokens": 1}));
    for _ in 0..2 {
        assert_eq!(chat(&server, &key, &body).await.status(), 200);
    }
    let limits = json!({"limits": {"tokens_per_month": 25, "requests_per_day": 100}});
    let path = format!("/organization/projects/{project}");
    server.make(&path, limits).await;
    let used = used(&server, &key, "project").await;
    assert_eq!(
        (&used["tokens_per_month"], &used["requests_per_day"]),
        (&json!(10), &json!(2))
    );
    for status in [200, 200, 200, 429] {
        assert_eq!(chat(&server, &key, &body).await.status(), status);
    }
}

#[tokio::test]
async fn what_is_used_while_a_budget_is_lifted_counts_when_it_is_set_again() {
    let server = Server::start().await;
    let budget = json!({"tokens_per_month": 25});
    let (project, key) = limited(&server, budget.clone()).await;
    let path = format!("/organization/projects/{project}");
    let body = with(ask("echo", "four"), json!({"max_tokens": 1}));
    assert_eq!(chat(&server, &key, &body).await.status(), 200);
    server.make(&path, json!({"limits": {}})).await;
    for _ in 0..3 {
        assert_eq!(chat(&server, &key, &body).await.status(), 200);
    }
    server.make(&path, json!({"limits": budget})).await;
    assert_eq!(used(&server, &key, "project").await["tokens_per_month"], 20);
    for status in [200, 429] {
        assert_eq!(chat(&server, &key, &body).await.status(), status);
    }
}

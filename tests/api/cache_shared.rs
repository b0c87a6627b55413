//! Answers that several processes share through a real Redis, and what happens when it fails.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use microllm::config::{Config, SecretUrl};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Server, ask, eventually, with};
use crate::redis::support::{Fault, Proxy, RedisServer};
use crate::redis::{PATIENT_MS, SLOW, metrics, promptly};

fn sure(model: &str, text: &str) -> Value {
    with(ask(model, text), json!({"temperature": 0}))
}

fn through(url: String) -> impl FnOnce(&mut Config) {
    move |config| {
        config.redis.urls = vec![SecretUrl::new(url)];
        config.redis.timeout_ms = PATIENT_MS;
    }
}

async fn said(server: &Server, body: &Value) -> (String, String) {
    let response = server.chat(body).send().await.expect("a response");
    let status = response.headers()["x-microllm-cache-status"].to_str();
    let status = status.expect("text").to_owned();
    let answer: Value = response.json().await.expect("json");
    let text = answer["choices"][0]["message"]["content"].as_str();
    (status, text.expect("an answer").to_owned())
}

fn asked(server: &Server, model: &str) -> usize {
    server.engine(model).asked().len()
}

/// The names of the answers that Redis holds, once there are so many.
async fn stored(redis: &RedisServer, many: usize) -> Vec<String> {
    let mut names = Vec::new();
    eventually("they are in Redis", async || {
        let told = redis.say(&["--raw", "KEYS", "*answer:*"]);
        names = told.lines().map(str::to_owned).collect();
        names.len() == many
    })
    .await;
    names
}

/// How often somebody who waits for another process has looked whether that is done.
fn looks(redis: &RedisServer) -> u32 {
    let told = redis.say(&["INFO", "commandstats"]);
    let calls = told.split_once("cmdstat_mget:calls=");
    let calls = calls.and_then(|(_, rest)| rest.split_once(','));
    calls.map_or(0, |(calls, _)| calls.parse().expect("a number"))
}

/// How often a process has asked Redis.
async fn questions(server: &Server) -> u32 {
    let told = metrics(server).await;
    let name = "microllm_redis_duration_seconds_count{outcome=\"ok\"} ";
    let count = told.lines().find_map(|line| line.strip_prefix(name));
    count.expect("a count").parse().expect("a number")
}

type Sent = JoinHandle<reqwest::Result<Response>>;

/// Two processes, and a question that the model of the first has, which says nothing yet.
async fn leading(redis: &RedisServer) -> (Server, Server, Value, Sent) {
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let body = sure("gate", "a b c");
    let leading = tokio::spawn(one.chat(&body).send());
    eventually("it is asked", async || asked(&one, "gate") == 1).await;
    (one, other, body, leading)
}

#[tokio::test]
async fn what_one_process_has_answered_another_need_not() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    // Long enough to be packed.
    let text: String = (0..200).map(|i| format!("{i} ")).collect();
    let body = sure("echo", &text);
    let (_, first) = said(&one, &body).await;
    stored(&redis, 1).await;
    let (status, second) = said(&other, &body).await;
    assert_eq!((status.as_str(), &first), ("HIT", &second));
    assert_eq!(asked(&other, "echo"), 0);
}

#[tokio::test]
async fn one_generation_is_enough_for_all_processes() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let body = sure("gate", "a b c");
    let asking = (0..50).map(|i| {
        let request = if i % 2 == 0 { &one } else { &other }.chat(&body);
        tokio::spawn(async move {
            let answer: Value = request.send().await?.json().await?;
            Ok::<_, reqwest::Error>(answer["choices"][0]["message"]["content"].clone())
        })
    });
    let asking: Vec<_> = asking.collect();
    eventually("it is asked", async || {
        asked(&one, "gate") + asked(&other, "gate") > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    one.engine("gate").gate.add_permits(50);
    other.engine("gate").gate.add_permits(50);
    for answer in join_all(asking).await {
        assert_eq!(answer.expect("a task").expect("json"), "a b c");
    }
    assert_eq!(asked(&one, "gate") + asked(&other, "gate"), 1);
}

#[tokio::test]
async fn who_waits_for_another_process_is_kept_awake() {
    let redis = RedisServer::start();
    let (one, other, body, leading) = leading(&redis).await;
    let waiting = with(body, json!({"stream": true}));
    let waiting = other.chat(&waiting).send().await.expect("a head");
    assert_eq!(waiting.status(), 200);
    assert!(!leading.is_finished());
    assert!(!waiting.headers().contains_key("x-microllm-cache-status"));
    // Of ten seconds, nearly all was waiting.
    let cost = waiting.headers()["x-microllm-overhead-duration-ms"].to_str();
    let cost: f64 = cost.expect("text").parse().expect("a number");
    assert!(cost < 9_000.0, "{cost}");
    one.engine("gate").gate.add_permits(1);
    let told = waiting.text().await.expect("text");
    assert!(told.starts_with(": keep-alive\n\n"), "{told}");
    assert!(told.contains("\"content\":\"a"), "{told}");
    assert!(told.ends_with("data: [DONE]\n\n"), "{told}");
    assert_eq!(asked(&other, "gate"), 0);
    let rows = other.rows().await;
    let mut caches: Vec<_> = rows.iter().filter_map(|row| row.cache.as_deref()).collect();
    caches.sort_unstable();
    assert_eq!(caches, ["HIT", "MISS"]);
}

#[tokio::test]
async fn who_wants_a_new_answer_waits_for_the_one_that_is_being_made() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let body = sure("gate", "a b c");
    one.engine("gate").gate.add_permits(1);
    said(&one, &body).await;
    stored(&redis, 1).await;
    let anew = with(body, json!({"cache": {"s-maxage": 0}}));
    let leading = tokio::spawn(one.chat(&anew).send());
    eventually("it is asked", async || asked(&one, "gate") == 2).await;
    // Whoever asks the model all the same is not to wait for that, but to be seen.
    other.engine("gate").gate.add_permits(1);
    let waiting = tokio::spawn(other.chat(&anew).send());
    eventually("it waits", async || {
        waiting.is_finished() || looks(&redis) >= 3
    })
    .await;
    assert!(!waiting.is_finished(), "it took the old answer");
    one.engine("gate").gate.add_permits(1);
    for answer in [leading, waiting] {
        let answer = answer.await.expect("a task").expect("a response");
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(asked(&other, "gate"), 0);
}

#[tokio::test]
async fn who_pays_in_the_place_of_somebody_who_left_uses_their_limits() {
    let redis = RedisServer::start();
    let alone = Server::start().await;
    let shared = Server::with(through(redis.url())).await;
    for server in [alone, shared] {
        let more = json!({"temperature": 0, "stream": true, "max_tokens": 40});
        let body = with(ask("steps", "x"), more);
        let gate = &server.engine("steps").gate;
        gate.add_permits(1);
        let first = server.chat(&body).send().await.expect("a response");
        let mut first = first.bytes_stream();
        first.next().await.expect("a chunk").expect("bytes");
        let second = server.chat(&body).send().await.expect("a response");
        drop(first);
        eventually("it is recorded", async || server.rows().await.len() == 1).await;
        gate.add_permits(39);
        second.text().await.expect("text");
        let mut paid = 0;
        eventually("both are recorded", async || {
            let rows = server.rows().await;
            paid = rows.iter().map(|row| row.input_tokens).max().unwrap_or(0) + 40;
            rows.len() == 2
        })
        .await;
        let key = server.app.keys.verify(&server.key).await.expect("a key");
        eventually("it is counted", async || {
            let told = server.app.limits.report(&key, &["steps".to_owned()]).await;
            let told = told.expect("a report");
            let used = told.iter().map(|(_, _, used)| used.tokens_per_day);
            used.max().flatten() == Some(u64::from(paid))
        })
        .await;
    }
}

#[tokio::test]
async fn what_somebody_who_left_has_reserved_counts_while_others_read_on() {
    let redis = RedisServer::start();
    let limited = |config: &mut Config| {
        config.limits.tokens_per_minute = 1000;
        config.limits.requests_per_minute = 1_000_000;
    };
    let alone = Server::with(limited).await;
    let shared = Server::with(|config| {
        through(redis.url())(config);
        limited(config);
    })
    .await;
    for server in [alone, shared] {
        let more = json!({"temperature": 0, "stream": true, "max_tokens": 900});
        let asking = |text: &str| with(ask("slow", text), more.clone());
        let first = server.chat(&asking("x")).send().await.expect("a response");
        let mut first = first.bytes_stream();
        first.next().await.expect("a chunk").expect("bytes");
        let second = server.chat(&asking("x")).send().await.expect("a response");
        assert_eq!(second.headers()["x-microllm-cache-status"], "HIT");
        drop(first);
        eventually("it is recorded", async || server.rows().await.len() == 1).await;
        let error = server.refusal(429, &asking("y")).await;
        assert_eq!(error["code"], "rate_limit_exceeded");
        drop(second);
        eventually("it is free again", async || {
            let fewer = with(asking("z"), json!({"max_tokens": 200}));
            let third = server.chat(&fewer).send().await.expect("a response");
            third.status() == 200
        })
        .await;
    }
}

#[tokio::test]
async fn what_placeholders_stand_for_does_not_go_to_redis() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let policy = "[pii]\nstyle = 'reversible'";
    std::fs::write(dir.path().join("mine.toml"), policy).expect("a file");
    let server = Server::with(|config| {
        through(redis.url())(config);
        config.guardrails.dir = dir.path().to_owned();
        config.guardrails.policy = "mine".to_owned();
    })
    .await;
    let text = "Write to jane.doe@example.org.";
    for expected in ["MISS", "HIT"] {
        let said = said(&server, &sure("echo", text)).await;
        assert_eq!(said, (expected.to_owned(), text.to_owned()));
    }
    said(&server, &sure("echo", "Nobody's address.")).await;
    let names = stored(&redis, 1).await;
    let value = redis.say(&["--raw", "GET", &names[0]]);
    assert!(
        value.contains("address") && !value.contains("jane"),
        "{value}"
    );
}

#[tokio::test]
async fn whoever_waits_for_a_process_that_gives_up_asks_for_themselves() {
    let redis = RedisServer::start();
    let (_one, other, body, leading) = leading(&redis).await;
    let waiting = tokio::spawn(other.chat(&body).send());
    eventually("it waits", async || looks(&redis) > 0).await;
    assert_eq!(asked(&other, "gate"), 0);
    leading.abort();
    other.engine("gate").gate.add_permits(1);
    let answer = waiting.await.expect("a task").expect("a response");
    assert_eq!(answer.status(), 200);
    assert_eq!(asked(&other, "gate"), 1);
}

#[tokio::test]
async fn those_who_have_waited_for_nothing_do_not_wait_for_one_another() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let others = [one.beside().await, one.beside().await];
    // The first answer of a process takes longer than the next ones.
    for server in others.iter().chain([&one]) {
        said(server, &sure("echo", "x")).await;
    }
    let body = sure("gate", "a b c");
    let leading = tokio::spawn(one.chat(&body).send());
    eventually("it is asked", async || asked(&one, "gate") == 1).await;
    let mut before = Vec::new();
    for other in &others {
        before.push(questions(other).await);
    }
    let waiting = others.each_ref();
    let waiting = waiting.map(|other| tokio::spawn(other.chat(&body).send()));
    for (other, before) in others.iter().zip(before) {
        // More than a request has that does not look again and again.
        eventually("it waits", async || questions(other).await > before + 15).await;
    }
    let both = || others.each_ref().map(|other| asked(other, "gate"));
    assert_eq!(both(), [0, 0]);
    leading.abort();
    eventually("both are asked", async || both() == [1, 1]).await;
    for other in &others {
        other.engine("gate").gate.add_permits(1);
    }
    for answer in waiting {
        let answer = answer.await.expect("a task").expect("a response");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn nobody_waits_for_an_answer_of_their_own_process_that_is_too_large_to_be_joined() {
    let redis = RedisServer::start();
    let server = Server::wide(2, |config| {
        through(redis.url())(config);
        config.cache.largest_kib = 0;
    })
    .await;
    // Longer than anybody waits here.
    let more = json!({"temperature": 0, "stream": true, "max_tokens": 900});
    let body = with(ask("slow", "x"), more);
    let first = server.chat(&body).send().await.expect("a response");
    let mut first = first.bytes_stream();
    let mut text = String::new();
    while !text.contains("tick") {
        let chunk = first.next().await.expect("a chunk").expect("bytes");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let second = tokio::spawn(server.chat(&body).send());
    eventually("it is asked again", async || asked(&server, "slow") == 2).await;
    second.abort();
}

#[tokio::test]
async fn what_is_changed_in_redis_is_not_believed() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let (mine, yours) = (sure("echo", "mine"), sure("echo", "yours"));
    said(&one, &mine).await;
    let first = stored(&redis, 1).await.remove(0);
    said(&one, &yours).await;
    let both = stored(&redis, 2).await;
    let second = both.iter().find(|name| **name != first);
    let second = second.expect("another name");
    // One answer in the place of the other, and one with a byte that is another.
    assert_eq!(redis.say(&["COPY", &first, second, "REPLACE"]), "1");
    redis.say(&["SETRANGE", &first, "60", "X"]);
    let answer = said(&other, &yours).await;
    assert_eq!(answer, ("MISS".into(), "yours".into()));
    let answer = said(&other, &mine).await;
    assert_eq!(answer, ("MISS".into(), "mine".into()));
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_forgotten_everywhere() {
    let redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let watch = other.app.clone().watch_flushes(other.shutdown.clone());
    let watching = tokio::spawn(watch);
    let body = sure("echo", "x");
    said(&one, &body).await;
    stored(&redis, 1).await;
    assert_eq!(said(&other, &body).await.0, "HIT");
    let flush = one.url("/v1/organization/cache");
    let flush = one.client.request(Method::DELETE, flush);
    let flushed = flush.bearer_auth(&one.admin_key).send().await;
    assert_eq!(flushed.expect("a response").status(), 200);
    assert_eq!(said(&one, &body).await.0, "MISS");
    eventually("the other has heard", async || {
        other.app.cache.held().answers == 0
    })
    .await;
    watching.abort();
}

#[tokio::test]
async fn a_redis_that_fails_costs_answers_from_the_cache_and_nothing_else() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(&redis).await;
    let server = Server::with(|config| {
        through(proxy.url())(config);
        config.redis.timeout_ms = 200;
    })
    .await;
    let redis = server.app.redis.as_ref().expect("Redis");
    let mut question = 0;
    for fault in [
        Fault::None,
        Fault::Delay(SLOW),
        Fault::Cut,
        Fault::Reset,
        Fault::Silence,
        Fault::Garbage,
        Fault::Half,
    ] {
        promptly(&format!("{fault:?}"), async || {
            // What has just failed would not be asked.
            proxy.set(Fault::None);
            eventually("it is up", async || redis.ping().await.is_ok()).await;
            proxy.set(fault);
            let mut longest = Duration::ZERO;
            for _ in 0..3 {
                question += 1;
                let begun = Instant::now();
                let body = sure("echo", &format!("question {question}"));
                let (status, text) = said(&server, &body).await;
                longest = longest.max(begun.elapsed());
                assert_eq!(status, "MISS", "{fault:?}");
                assert_eq!(text, format!("question {question}"));
                // The answers of this process are still there.
                assert_eq!(said(&server, &body).await.0, "HIT", "{fault:?}");
            }
            longest
        })
        .await;
    }
    proxy.set(Fault::None);
    eventually("it is used again", async || {
        question += 1;
        said(&server, &sure("echo", &format!("question {question}"))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.health().is_up
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_full_costs_nothing_but_its_answers() {
    let full = ["--maxmemory", "1", "--maxmemory-policy", "noeviction"];
    let redis = RedisServer::with(&full);
    let server = Server::with(through(redis.url())).await;
    for _ in 0..3 {
        let body = sure("echo", "full");
        assert_eq!(said(&server, &body).await.1, "full");
    }
    assert_eq!(asked(&server, "echo"), 1);
}

#[tokio::test]
async fn a_redis_that_dies_and_comes_back_is_used_again() {
    let mut redis = RedisServer::start();
    let one = Server::with(through(redis.url())).await;
    let other = one.beside().await;
    let body = |i: u32| sure("echo", &format!("question {i}"));
    said(&one, &body(0)).await;
    stored(&redis, 1).await;
    redis.kill();
    for i in 1..4 {
        assert_eq!(said(&one, &body(i)).await.0, "MISS");
        assert_eq!(said(&one, &body(i)).await.0, "HIT");
    }
    redis.restart();
    let mut i = 4;
    eventually("it is used again", async || {
        i += 1;
        said(&one, &body(i)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        said(&other, &body(i)).await.0 == "HIT"
    })
    .await;
}

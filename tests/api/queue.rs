//! The queue in front of a model.

use std::time::Duration;

use microllm::records::UsageRow;
use serde_json::json;

use crate::harness::{Server, ask, error_of, eventually, with};

#[tokio::test]
async fn a_full_queue_says_when_to_come_back_and_keeps_its_order() {
    let server = Server::start().await;
    let admission = &server.model("gate").admission;
    let mut waiting = Vec::new();
    for i in 0..3 {
        let body = ask("gate", &format!("request {i}"));
        waiting.push(tokio::spawn(server.chat(&body).send()));
        eventually("in the queue", async || admission.depth() == i + 1).await;
    }
    for stream in [false, true] {
        let body = with(ask("gate", "one too many"), json!({"stream": stream}));
        let response = server.chat(&body).send().await.expect("a response");
        let number = |name: &str| -> u64 {
            let value = response.headers()[name].to_str().expect("text");
            value.parse().expect("a number")
        };
        let (millis, seconds) = (number("retry-after-ms"), number("retry-after"));
        assert!((100..=60_000).contains(&millis));
        assert_eq!(seconds, millis.div_ceil(1000));
        let error = error_of(429, response).await;
        assert_eq!(error["type"], "rate_limit_error");
        assert_eq!(error["code"], "rate_limit_exceeded");
    }
    server.engine("gate").gate.add_permits(3);
    for answer in waiting {
        let answer = answer.await.expect("no panic").expect("a response");
        assert_eq!(answer.status(), 200);
    }
    let asked = server.engine("gate").asked();
    let order: Vec<_> = asked.iter().filter_map(|p| p.prompt.last()).collect();
    assert_eq!(order, [&u32::from('0'), &u32::from('1'), &u32::from('2')]);
    assert_eq!(admission.depth(), 0);
    let rows = server.rows().await;
    let refused: Vec<_> = rows.iter().filter(|row| row.status == 429).collect();
    assert_eq!(refused.len(), 2);
    assert!(
        refused.iter().all(|row| row.input_tokens == 0),
        "no model has read it: {refused:?}"
    );
}

#[tokio::test]
async fn whoever_leaves_the_queue_leaves_it_to_others() {
    let server = Server::start().await;
    let admission = &server.model("gate").admission;
    let first = tokio::spawn(server.chat(&ask("gate", "a")).send());
    eventually("running", async || admission.depth() == 1).await;
    for stream in [false, true] {
        let body = with(ask("gate", "b"), json!({"stream": stream}));
        let second = tokio::spawn(server.chat(&body).send());
        eventually("waiting", async || admission.depth() == 2).await;
        second.abort();
        eventually("gone", async || admission.depth() == 1).await;
    }
    eventually("recorded", async || server.rows().await.len() == 2).await;
    let gone = |row: &UsageRow| row.status == 499 && row.input_tokens == 0;
    assert!(server.rows().await.iter().all(gone));
    server.engine("gate").gate.add_permits(1);
    assert_eq!(
        first.await.expect("no panic").expect("a response").status(),
        200
    );
}

#[tokio::test]
async fn an_answer_frees_its_place_before_it_is_recorded() {
    let server = Server::start().await;
    for _ in 0..20 {
        server.answer(&ask("echo", "a b")).await;
        assert_eq!(server.model("echo").admission.depth(), 0);
    }
    let body = with(ask("fail-mid", "a b c"), json!({"n": 2}));
    server.refusal(500, &body).await;
    assert_eq!(server.model("fail-mid").admission.depth(), 0);
    tokio::time::sleep(Duration::from_millis(10)).await;
}

//! Several models: loaded on demand, other names for them, defaults of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use microllm::engine::admission::{Admission, Place};
use microllm::engine::pool::{Load, Pool, PoolOptions};
use microllm::engine::registry::ServedModel;
use microllm::engine::{
    Engine, EngineError, GenerateRequest, Generation, ModelInfo, Prepared, Sampling,
};
use serde_json::{Value, json};

use crate::engine::{Script, Scripted};
use crate::harness::{Server, ask, error_of, with};

const BYTES: u64 = 100;

/// Two models of which only one has room, and the switch without which none can be loaded.
struct Two {
    server: Server,
    works: Arc<AtomicBool>,
    first: Arc<Scripted>,
}

/// What a load gives is nobody else's, but the test wants to look into it.
struct Loaded(Arc<Scripted>);

#[async_trait]
impl Engine for Loaded {
    fn info(&self) -> &ModelInfo {
        self.0.info()
    }

    async fn prepare(&self, request: GenerateRequest) -> Result<Prepared, EngineError> {
        self.0.prepare(request).await
    }

    async fn text_of(&self, tokens: &[u32]) -> Result<String, EngineError> {
        self.0.text_of(tokens).await
    }

    async fn generate(
        &self,
        prepared: Prepared,
        place: Arc<Place>,
    ) -> Result<Generation, EngineError> {
        self.0.generate(prepared, place).await
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

async fn two(patience: Duration, takes: Duration) -> Two {
    let server = Server::loading(|config| {
        for (alias, target) in [("gpt-4o-mini", "first"), ("gpt-4o", "second")] {
            config.aliases.insert(alias.into(), target.into());
        }
    })
    .await;
    let pool = Pool::new(PoolOptions {
        memory: BYTES,
        idle: Duration::ZERO,
        patience,
    });
    let works = Arc::new(AtomicBool::new(true));
    let first = Arc::new(Scripted::new("first", Script::Echo));
    let second = Arc::new(Scripted::new("second", Script::Echo));
    let served = [first.clone(), second].map(|engine| {
        let (info, works) = (engine.info().clone(), works.clone());
        let load: Load = Arc::new(move || {
            let (engine, works) = (engine.clone(), works.clone());
            async move {
                tokio::time::sleep(takes).await;
                if works.load(Ordering::SeqCst) {
                    Ok(Arc::new(Loaded(engine)) as Arc<dyn Engine>)
                } else {
                    Err("its file is damaged".to_owned())
                }
            }
            .boxed()
        });
        ServedModel {
            engine: pool.add(info, BYTES, false, load),
            admission: Admission::new(1, 2),
            defaults: Sampling {
                temperature: 0.25,
                top_k: Some(20),
                min_p: Some(0.5),
                ..Sampling::default()
            },
        }
    });
    server.app.models.set(served.into(), Vec::new());
    Two {
        server,
        works,
        first,
    }
}

async fn soon() -> Two {
    two(Duration::from_secs(60), Duration::ZERO).await
}

/// Names, states and what they stand for.
async fn listed(server: &Server) -> Value {
    let list = server.get("/v1/models").send().await.expect("a response");
    let list: Value = list.json().await.expect("json");
    let models = list["data"].as_array().expect("models").iter();
    models
        .map(|m| json!([m["id"], m["state"], m["alias_of"]]))
        .collect()
}

#[tokio::test]
async fn a_model_is_loaded_when_it_is_asked_and_makes_room_for_the_next() {
    let Two { server, .. } = soon().await;
    let states = |first: &str, second: &str| {
        json!([
            ["first", first, null],
            ["second", second, null],
            ["gpt-4o", second, "second"],
            ["gpt-4o-mini", first, "first"],
        ])
    };
    assert_eq!(listed(&server).await, states("unloaded", "unloaded"));
    let ready = server.client.get(server.url("/health/readiness"));
    assert_eq!(ready.send().await.expect("a response").status(), 200);
    server.answer(&ask("first", "Hi")).await;
    assert_eq!(listed(&server).await, states("loaded", "unloaded"));
    server.answer(&ask("second", "Hi")).await;
    assert_eq!(listed(&server).await, states("unloaded", "loaded"));
    // Also by a prompt of tokens, which only a loaded model can read.
    let tokens = json!({"model": "first", "prompt": [72, 105]});
    let response = server.complete(&tokens).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(listed(&server).await, states("loaded", "unloaded"));
}

#[tokio::test]
async fn an_alias_is_another_name_for_a_model() {
    let Two { server, .. } = soon().await;
    let answer = server.answer(&ask("gpt-4o-mini", "Hi")).await;
    assert_eq!(answer["model"], "first");
    assert_eq!(server.row().await.model, "first");
    let one = server.get("/v1/models/gpt-4o").send().await;
    let one: Value = one.expect("a response").json().await.expect("json");
    assert_eq!(
        (&one["id"], &one["alias_of"]),
        (&json!("gpt-4o"), &json!("second"))
    );
    let stored = with(ask("gpt-4o-mini", "Keep this"), json!({"store": true}));
    let stored = server.answer(&stored).await;
    let found = server.get("/v1/chat/completions?model=gpt-4o-mini").send();
    let found: Value = found.await.expect("a response").json().await.expect("json");
    assert_eq!(found["data"][0]["id"], stored["id"], "{found}");
}

#[tokio::test]
async fn an_alias_of_what_somebody_may_not_use_does_not_exist_for_them() {
    let Two { server, .. } = soon().await;
    let project = server.client.get(server.url("/v1/organization/projects"));
    let project = project.bearer_auth(&server.admin_key).send().await;
    let project: Value = project.expect("a response").json().await.expect("json");
    let id = project["data"][0]["id"].as_str().expect("an id");
    let path = format!("/v1/organization/projects/{id}/model_permissions");
    let only = json!({"mode": "allow_list", "model_ids": ["first"]});
    let set = server.client.post(server.url(&path)).json(&only);
    let set = set.bearer_auth(&server.admin_key).send().await;
    assert_eq!(set.expect("a response").status(), 200);
    server.answer(&ask("gpt-4o-mini", "Hi")).await;
    let error = server.refusal(404, &ask("gpt-4o", "Hi")).await;
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("gpt-4o") && !message.contains("second"));
    let shown = server.get("/v1/models/gpt-4o").send().await;
    error_of(404, shown.expect("a response")).await;
    assert_eq!(
        listed(&server).await,
        json!([
            ["first", "loaded", null],
            ["gpt-4o-mini", "loaded", "first"]
        ])
    );
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_model_is_told_when_to_come_back() {
    let (short, long) = (Duration::from_millis(1), Duration::from_millis(300));
    let Two { server, .. } = two(short, long).await;
    let early = server.chat(&ask("first", "Hi")).send().await;
    let early = early.expect("a response");
    assert_eq!(early.headers()["retry-after"], "5");
    let error = error_of(503, early).await;
    assert_eq!(error["type"], "server_error");
    // What it has begun goes on without it.
    crate::harness::eventually("it is loaded", async || {
        listed(&server).await[0][1] == "loaded"
    })
    .await;
    server.answer(&ask("first", "Hi")).await;
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_503_and_loaded_once_it_can_be() {
    let Two { server, works, .. } = soon().await;
    works.store(false, Ordering::SeqCst);
    let error = server.refusal(503, &ask("first", "Hi")).await;
    let message = error["message"].as_str().expect("a message");
    assert!(!message.contains("damaged"), "{message}");
    works.store(true, Ordering::SeqCst);
    // Not at once: whoever asks meanwhile is told to come back.
    crate::harness::eventually("it is tried again", async || {
        let again = server.chat(&ask("first", "Hi")).send().await;
        again.expect("a response").status() == 200
    })
    .await;
}

#[tokio::test]
async fn what_a_request_does_not_say_is_the_model_s_to_say() {
    let Two { server, first, .. } = soon().await;
    server.answer(&ask("first", "Hi")).await;
    let own = json!({"temperature": 1, "top_p": 0.5, "top_k": 0, "min_p": 0});
    server.answer(&with(ask("first", "Hi"), own)).await;
    let prompt = json!({"model": "first", "prompt": "Hi"});
    let response = server.complete(&prompt).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    let asked = first.asked();
    let said = |i: usize| {
        let sampling = &asked[i].sampling;
        (
            sampling.temperature,
            sampling.top_p,
            sampling.top_k,
            sampling.min_p,
        )
    };
    assert_eq!(said(0), (0.25, 1.0, Some(20), Some(0.5)));
    assert_eq!(said(1), (1.0, 0.5, None, Some(0.0)));
    assert_eq!(said(2), said(0));
}

//! An OpenAI-compatible server that says the same thing to everybody: at `/v1` at once, at
//! `/60ms/v1` after so long. `GET /asked` tells how often it was asked, so that an answer which is
//! said to come from a cache can be held against it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poem::http::header;
use poem::listener::TcpListener;
use poem::web::Path;
use poem::{Body, EndpointExt, Response, Route, Server, get, handler, post};
use serde_json::json;

use crate::{ANSWER, BYTES_A_TOKEN};

static ASKED: AtomicU64 = AtomicU64::new(0);

pub async fn serve(listen: String) -> std::io::Result<()> {
    let routes = Route::new()
        .at("/v1/chat/completions", post(at_once))
        .at("/:delay<[0-9]+>ms/v1/chat/completions", post(later))
        .at("/v1/models", get(models))
        .at("/:delay<[0-9]+>ms/v1/models", get(models))
        .at("/asked", get(asked));
    Server::new(TcpListener::bind(listen))
        .run(routes.boxed())
        .await
}

#[handler]
async fn at_once(body: Body) -> poem::Result<Response> {
    answer(body).await
}

#[handler]
async fn later(Path(milliseconds): Path<u64>, body: Body) -> poem::Result<Response> {
    let answer = answer(body).await?;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(answer)
}

#[handler]
async fn models() -> Response {
    let models = ["stub", "stub-60ms"].map(|id| json!({"id": id, "object": "model"}));
    say(&json!({"object": "list", "data": models}))
}

#[handler]
async fn asked() -> String {
    ASKED.load(Ordering::Relaxed).to_string()
}

async fn answer(body: Body) -> poem::Result<Response> {
    let prompt = body.into_bytes().await?.len() / BYTES_A_TOKEN;
    let said = ANSWER.len() / BYTES_A_TOKEN;
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    Ok(say(&json!({
        "id": format!("chatcmpl-{number}"),
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "stub",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
    })))
}

fn say(what: &serde_json::Value) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(what.to_string())
}

//! Chat completions that are stored: what their project, other projects, retention and people see
//! of it.

use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use microllm::clock::Clock;
use microllm::records::{Housekeeping, Outcome};
use microllm::store::StoredCompletion;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::administration::id;
use crate::harness::{Server, ask, error_of, events, with};
use crate::identity::Person;

const PATH: &str = "/v1/chat/completions";
const DAY: u64 = 24 * 60 * 60;

fn stored(text: &str) -> Value {
    with(ask("echo", text), json!({"store": true}))
}

async fn send(
    server: &Server,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Response {
    let mut request = server.client.request(method, server.url(path));
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.bearer_auth(key).send().await.expect("a response")
}

/// The answer to a question about what is stored, with the first key.
async fn look(server: &Server, path: &str) -> (u16, Value) {
    let response = send(server, &server.key, Method::GET, path, None).await;
    let status = response.status().as_u16();
    (status, response.json().await.expect("json"))
}

async fn list(server: &Server, query: &str) -> Vec<Value> {
    let (status, page) = look(server, &format!("{PATH}{query}")).await;
    assert_eq!((status, &page["object"]), (200, &json!("list")), "{page}");
    page["data"].as_array().expect("entries").clone()
}

fn text(completion: &Value) -> &str {
    let text = completion["choices"][0]["message"]["content"].as_str();
    text.expect("text")
}

fn texts(completions: &[Value]) -> Vec<&str> {
    completions.iter().map(text).collect()
}

async fn key_of_another_project(server: &Server, name: &str) -> (String, String) {
    let made = server
        .make("/organization/projects", json!({ "name": name }))
        .await;
    let project = id(&made).to_owned();
    let path = format!("/organization/projects/{project}/api_keys");
    let made = server.make(&path, json!({"name": "k"})).await;
    (project, made["value"].as_str().expect("a key").to_owned())
}

async fn keep_house(server: &Server, later: u64) {
    let clock = Clock::from_fn(move || SystemTime::now() + Duration::from_secs(later));
    let alerts = &server.app.config.alerts;
    let housekeeping = Housekeeping::new(server.app.store.clone(), clock, alerts);
    housekeeping.once(&CancellationToken::new()).await;
}

#[tokio::test]
async fn an_answer_is_told_again_as_it_was() {
    let server = Server::start().await;
    let body = json!({
        "model": "echo",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "ada", "content": [
                {"type": "text", "text": "one"}, {"type": "text", "text": "two"},
            ]},
        ],
        "store": true, "metadata": {"topic": "counting", "ü": "ß"},
        "n": 2, "logprobs": true, "moderation": {"model": "omni-moderation-latest"},
    });
    let answer = server.answer(&body).await;
    let path = format!("{PATH}/{}", id(&answer));
    let (status, again) = look(&server, &path).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(again["metadata"], json!({"topic": "counting", "ü": "ß"}));
    let mut expected = with(answer.clone(), json!({"metadata": again["metadata"]}));
    for choice in expected["choices"].as_array_mut().expect("choices") {
        assert!(choice["logprobs"]["content"].is_array());
        choice["logprobs"] = Value::Null;
    }
    assert!(expected["moderation"].is_object());
    assert_eq!(again, expected);
    assert_eq!(list(&server, "").await, [again]);

    let (status, page) = look(&server, &format!("{path}/messages")).await;
    assert_eq!(status, 200, "{page}");
    let message = |i: usize, role: &str, content: &str, name: Value| {
        json!({
            "id": format!("{}-{i}", id(&answer)), "role": role, "content": content, "name": name,
            "content_parts": null,
        })
    };
    let both = [
        message(0, "system", "Be brief.", Value::Null),
        message(1, "user", "one\ntwo", json!("ada")),
    ];
    assert_eq!(page["data"], json!(both));
    assert_eq!(page["has_more"], false);
    let (_, page) = look(&server, &format!("{path}/messages?limit=1&order=desc")).await;
    assert_eq!(page["data"], json!([both[1]]));
    assert_eq!(page["has_more"], true);
    let after = page["last_id"].as_str().expect("an id");
    let (_, page) = look(
        &server,
        &format!("{path}/messages?order=desc&after={after}"),
    )
    .await;
    assert_eq!(page["data"], json!([both[0]]));
}

#[tokio::test]
async fn nothing_is_stored_that_nobody_wants_stored() {
    let server = Server::start().await;
    let plain = server.answer(&ask("echo", "one")).await;
    let unwanted = with(
        ask("echo", "two"),
        json!({"store": false, "metadata": {"a": "b"}}),
    );
    server.answer(&unwanted).await;
    // An answer that has no end.
    let failing = with(ask("fail-mid", "x y z"), json!({"store": true}));
    server.refusal(500, &failing).await;
    assert_eq!(list(&server, "").await, [Value::Null; 0]);
    let path = format!("{PATH}/{}", id(&plain));
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::GET, format!("{path}/messages"), None),
        (Method::POST, path.clone(), Some(json!({"metadata": {}}))),
        (Method::DELETE, path, None),
    ] {
        let response = send(&server, &server.key, method, &path, body).await;
        error_of(404, response).await;
    }
}

#[tokio::test]
async fn a_stream_is_stored_before_its_end_and_a_copy_from_the_cache_too() {
    let server = Server::start().await;
    let body = with(stored("a b c"), json!({"stream": true, "temperature": 0}));
    let response = server.chat(&body).send().await.expect("a response");
    let all = events(&response.text().await.expect("text"));
    let first: Value = serde_json::from_str(&all[0]).expect("json");
    let (status, streamed) = look(&server, &format!("{PATH}/{}", id(&first))).await;
    assert_eq!((status, text(&streamed)), (200, "a b c"), "{streamed}");
    assert_eq!(streamed["created"], first["created"]);
    assert_eq!(streamed["usage"]["completion_tokens"], 3);

    let again = with(stored("a b c"), json!({"temperature": 0}));
    let response = server.chat(&again).send().await.expect("a response");
    assert_eq!(response.headers()["x-microllm-cache-status"], "HIT");
    let copy: Value = response.json().await.expect("json");
    assert_ne!(id(&copy), id(&first));
    let (_, kept) = look(&server, &format!("{PATH}/{}", id(&copy))).await;
    assert_eq!(kept, with(copy.clone(), json!({"metadata": {}})));
    let (_, page) = look(&server, &format!("{PATH}/{}/messages", id(&copy))).await;
    assert_eq!(page["data"][0]["content"], "a b c");
}

#[tokio::test]
async fn the_list_is_read_in_pages_and_narrowed() {
    let server = Server::start().await;
    for (i, color) in ["red", "blue", "red", "blue", "red"].iter().enumerate() {
        let metadata = json!({"color": color, "place": i.to_string()});
        let body = with(stored(&format!("n{i}")), json!({ "metadata": metadata }));
        server.answer(&body).await;
    }
    let other = with(ask("slow", "x"), json!({"store": true, "max_tokens": 1}));
    server.answer(&other).await;

    let (_, page) = look(&server, &format!("{PATH}?limit=2")).await;
    assert_eq!(page["has_more"], true);
    let data = page["data"].as_array().expect("entries");
    assert_eq!(texts(data), ["n0", "n1"]);
    assert_eq!(page["first_id"], data[0]["id"]);
    let last = page["last_id"].as_str().expect("an id");
    let rest = list(&server, &format!("?limit=100&after={last}&model=echo")).await;
    assert_eq!(texts(&rest), ["n2", "n3", "n4"]);
    let down = list(&server, "?order=desc&limit=2&model=echo").await;
    assert_eq!(texts(&down), ["n4", "n3"]);
    assert_eq!(list(&server, "?model=slow").await.len(), 1);
    assert_eq!(list(&server, "?model=none").await.len(), 0);
    let red = list(&server, "?metadata[color]=red").await;
    assert_eq!(texts(&red), ["n0", "n2", "n4"]);
    let one = list(&server, "?metadata%5Bcolor%5D=red&metadata%5Bplace%5D=2").await;
    assert_eq!(texts(&one), ["n2"]);
    assert_eq!(list(&server, "?metadata[none]=red").await.len(), 0);
    // What would be syntax anywhere is a name here.
    assert_eq!(list(&server, "?metadata[%22%5D.%27]=%25").await.len(), 0);

    for (query, param) in [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?order=up", "order"),
        ("?metadata=red", "metadata"),
    ] {
        let (status, answer) = look(&server, &format!("{PATH}{query}")).await;
        assert_eq!(
            (status, &answer["error"]["param"]),
            (400, &json!(param)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn metadata_has_openai_s_bounds_and_can_be_changed() {
    let server = Server::start().await;
    let many: Value = (0..17)
        .map(|i| (i.to_string(), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let (key, value) = ("k".repeat(64), "ü".repeat(512));
    for (metadata, param, code) in [
        (many, "metadata", "object_above_max_properties"),
        (
            json!({"k".repeat(65): ""}),
            "metadata",
            "property_name_above_max_length",
        ),
        (
            json!({"k": "v".repeat(513)}),
            "metadata.k",
            "string_above_max_length",
        ),
        (json!({"k": 1}), "metadata.k", "invalid_type"),
    ] {
        let body = with(stored("x"), json!({ "metadata": metadata }));
        let error = server.refusal(400, &body).await;
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!(param), &json!(code))
        );
    }
    let body = with(
        stored("x"),
        json!({"metadata": {key.clone(): value.clone()}}),
    );
    let answer = server.answer(&body).await;
    let path = format!("{PATH}/{}", id(&answer));
    let update = async |body: Value| {
        let response = send(&server, &server.key, Method::POST, &path, Some(body)).await;
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("json"),
        )
    };
    let (_, kept) = look(&server, &path).await;
    assert_eq!(kept["metadata"], json!({key: value}));
    let (status, changed) = update(json!({"metadata": {"a": "b"}})).await;
    assert_eq!((status, &changed["metadata"]), (200, &json!({"a": "b"})));
    assert_eq!(look(&server, &path).await.1, changed);
    let (_, changed) = update(json!({"metadata": null})).await;
    assert_eq!(changed["metadata"], json!({}));
    let (status, refused) = update(json!({})).await;
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("metadata"))
    );
    let (status, refused) = update(json!({"metadata": {"k".repeat(65): ""}})).await;
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("metadata"))
    );

    let response = send(&server, &server.key, Method::DELETE, &path, None).await;
    let deleted: Value = response.json().await.expect("json");
    assert_eq!(
        deleted,
        json!({"id": id(&answer), "object": "chat.completion.deleted", "deleted": true})
    );
    assert_eq!(look(&server, &path).await.0, 404);
}

#[tokio::test]
async fn another_project_sees_and_changes_nothing() {
    let server = Server::start().await;
    let answer = server.answer(&stored("secret plans")).await;
    let (_, foreign) = key_of_another_project(&server, "Foreign").await;
    let path = format!("{PATH}/{}", id(&answer));
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::GET, format!("{path}/messages"), None),
        (Method::POST, path.clone(), Some(json!({"metadata": {}}))),
        (Method::DELETE, path.clone(), None),
    ] {
        let response = send(&server, &foreign, method, &path, body).await;
        let error = error_of(404, response).await;
        assert_eq!(error["message"], "There is no such stored chat completion.");
    }
    let response = send(&server, &foreign, Method::GET, PATH, None).await;
    let page: Value = response.json().await.expect("json");
    assert_eq!(page["data"], json!([]));
    let query = format!("{PATH}?after=chatcmpl-0&order=asc&metadata[project_id]=x");
    let response = send(&server, &foreign, Method::GET, &query, None).await;
    let page: Value = response.json().await.expect("json");
    assert_eq!(page["data"], json!([]));
    assert_eq!(look(&server, &path).await.0, 200);
}

#[tokio::test]
async fn what_is_stored_went_through_the_guards() {
    let dir = TempDir::new().expect("a directory");
    let policy = "[pii]\npre_call = 'mask'\n[leak]\npost_call = 'block'\ncanary = true";
    std::fs::write(dir.path().join("mine.toml"), policy).expect("a file");
    let path = dir.path().to_owned();
    let server = Server::with(|config| {
        config.guardrails.dir = path;
        config.guardrails.policy = "mine".to_owned();
    })
    .await;
    let body = json!({
        "model": "echo",
        "messages": [
            {"role": "system", "content": "Help."},
            {"role": "user", "content": "write to ada@example.org please"},
        ],
        "store": true, "temperature": 0,
    });
    for way in ["MISS", "HIT"] {
        let response = server.chat(&body).send().await.expect("a response");
        assert_eq!(response.headers()["x-microllm-cache-status"], way);
        let answer: Value = response.json().await.expect("json");
        let path = format!("{PATH}/{}", id(&answer));
        let (_, page) = look(&server, &format!("{path}/messages")).await;
        let asked = page["data"][1]["content"].as_str().expect("text");
        assert!(
            asked.starts_with("write to ") && !asked.contains("ada@"),
            "{way}: {asked}"
        );
        // The mark that instructions get is nobody's business.
        assert_eq!(page["data"][0]["content"], "Help.", "{way}");
        let (_, again) = look(&server, &path).await;
        assert_eq!(text(&again), text(&answer), "{way}");
    }
}

#[tokio::test]
async fn a_project_that_keeps_no_text_stores_nothing_and_loses_what_it_had() {
    let server = Server::start().await;
    let (project, key) = key_of_another_project(&server, "Quiet").await;
    let count = async |key: &str| {
        let response = send(&server, key, Method::GET, PATH, None).await;
        let page: Value = response.json().await.expect("json");
        page["data"].as_array().expect("entries").len()
    };
    let say = async |key: &str| {
        let response = send(&server, key, Method::POST, PATH, Some(stored("hello"))).await;
        let answer: Value = response.json().await.expect("json");
        assert_eq!(text(&answer), "hello");
    };
    say(&key).await;
    say(&server.key).await;
    assert_eq!((count(&key).await, count(&server.key).await), (1, 1));

    let path = format!("/organization/projects/{project}/data_retention");
    for (kind, keeps) in [
        ("zero_data_retention", false),
        ("modified_abuse_monitoring", true),
        ("none", true),
        ("enhanced_zero_data_retention", false),
    ] {
        server.make(&path, json!({ "retention_type": kind })).await;
        keep_house(&server, 0).await;
        let before = count(&key).await;
        say(&key).await;
        assert_eq!(count(&key).await - before, usize::from(keeps), "{kind}");
    }
    assert_eq!((count(&key).await, count(&server.key).await), (0, 1));

    // The organization's word holds wherever a project has none of its own.
    let zero = json!({"retention_type": "zero_data_retention"});
    server.make("/organization/data_retention", zero).await;
    say(&server.key).await;
    assert_eq!(count(&server.key).await, 1, "until the next round");
    server.make(&path, json!({"retention_type": "none"})).await;
    say(&key).await;
    keep_house(&server, 0).await;
    assert_eq!((count(&key).await, count(&server.key).await), (1, 0));
    assert!(
        server
            .rows()
            .await
            .iter()
            .all(|row| row.outcome == Outcome::Completed)
    );
}

#[tokio::test]
async fn what_is_stored_ends_after_its_days_and_with_its_project() {
    let server = Server::start().await;
    server.answer(&stored("one")).await;
    let (project, key) = key_of_another_project(&server, "Short").await;
    send(&server, &key, Method::POST, PATH, Some(stored("two"))).await;
    keep_house(&server, 1000 * DAY).await;
    assert_eq!(
        list(&server, "").await.len(),
        1,
        "kept unless said otherwise"
    );

    server
        .make(
            &format!("/organization/projects/{project}/archive"),
            json!({}),
        )
        .await;
    keep_house(&server, 0).await;
    let path = "/organization/data_retention";
    let kept = json!({"retention_type": "modified_abuse_monitoring", "stored_days": 30});
    assert_eq!(server.make(path, kept).await["stored_days"], 30);
    assert_eq!(server.look(path).await["stored_days"], 30);
    keep_house(&server, 29 * DAY).await;
    assert_eq!(list(&server, "").await.len(), 1);
    keep_house(&server, 31 * DAY).await;
    assert_eq!(list(&server, "").await.len(), 0);
    let log = "/organization/audit_logs?include_all=true&event_types[]=stored_completions.pruned";
    let told = server.look(log).await;
    let rows: Vec<_> = told["data"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| &entry["details"]["rows"])
        .collect();
    assert_eq!(rows, [1, 1], "the archived project's, and the old one");
    let wrong = json!({"retention_type": "modified_abuse_monitoring", "stored_days": -1});
    let (status, refused) = server.admin(Method::POST, path, Some(wrong)).await;
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("stored_days"))
    );
    let kept = json!({"retention_type": "modified_abuse_monitoring", "stored_days": 0});
    assert_eq!(server.make(path, kept).await.get("stored_days"), None);
}

#[tokio::test]
async fn a_person_s_are_exported_and_erased_with_them() {
    let server = Server::start().await;
    server.answer(&stored("not hers")).await;
    let ada = Person::invited(&server, "ada@example.org", "reader", json!([])).await;
    let projects = server
        .admin_as(&ada.access, Method::GET, "/organization/projects", None)
        .await
        .1;
    assert_eq!(
        projects["data"].as_array().map(Vec::len),
        Some(1),
        "{projects}"
    );
    send(
        &server,
        &ada.access,
        Method::POST,
        PATH,
        Some(stored("hers")),
    )
    .await;
    let (_, me) = server.me(&ada.access).await;
    let store = &server.app.store;
    let of_her = async || -> Vec<StoredCompletion> {
        let pages: Vec<_> = store
            .stored_of_person(id(&me))
            .try_collect()
            .await
            .expect("pages");
        pages.into_iter().flatten().collect()
    };
    let hers = of_her().await;
    assert_eq!(hers.len(), 1);
    assert_eq!(hers[0].messages[0].content, "hers");
    let path = format!("/organization/users/{}", id(&me));
    let (status, _) = server.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, 200);
    assert_eq!(of_her().await.len(), 0);
    // Nor does an answer that was in the making come back.
    assert!(
        !store
            .store_completion(&hers[0])
            .await
            .expect("the database")
    );
    assert_eq!(texts(&list(&server, "").await), ["not hers"]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_is_no_answer() {
    let server = Server::start().await;
    let database = server.app.config.data.dir.join("microllm.db");
    let url = format!("sqlite:{}", database.display());
    use sqlx::Connection;
    let mut connection = sqlx::SqliteConnection::connect(&url)
        .await
        .expect("the database");
    sqlx::query(
        "CREATE TRIGGER broken BEFORE INSERT ON stored_completions
                 BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    .execute(&mut connection)
    .await
    .expect("a trigger");
    let error = server.refusal(503, &stored("hello")).await;
    assert_eq!(error["type"], "server_error");
    assert!(!error.to_string().contains("no room"), "{error}");
    let row = server.row().await;
    assert_eq!((row.status, row.outcome), (503, Outcome::Failed));
    assert_eq!(row.output_tokens, 1);

    let body = with(stored("hello"), json!({"stream": true}));
    let response = server.chat(&body).send().await.expect("a response");
    let all = events(&response.text().await.expect("text"));
    let last = all.last().expect("events");
    assert!(last.contains("server_error"), "{last}");
    assert!(
        !all.iter()
            .any(|event| event.contains("\"finish_reason\":\"stop\""))
    );
    // Whoever does not want it stored is not concerned.
    server.answer(&ask("echo", "hello")).await;
}

#[tokio::test]
async fn calls_are_stored_with_their_answers() {
    let server = Server::start().await;
    let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
    let past = json!({
        "id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":2}"},
    });
    let body = json!({
        "model": "echo", "store": true,
        "tools": [{"type": "function", "function": {"name": "add"}}],
        "messages": [
            {"role": "user", "content": "Add."},
            {"role": "assistant", "content": null, "tool_calls": [past]},
            {"role": "tool", "tool_call_id": "call_1", "content": call},
        ],
    });
    let answer = server.answer(&body).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let path = format!("{PATH}/{}", id(&answer));
    let (_, again) = look(&server, &path).await;
    assert_eq!(again["choices"], answer["choices"]);
    let (_, page) = look(&server, &format!("{path}/messages")).await;
    assert_eq!(page["data"][1]["tool_calls"], json!([past]));
    assert_eq!(page["data"][2]["tool_call_id"], "call_1");
    assert_eq!(page["data"][2]["content"], call);
}

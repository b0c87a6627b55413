//! The OpenAPI document.

use serde_json::{Value, json};

use crate::harness::Server;

const HOW: &str = "openapi/openapi.json is not what the code says. Write it anew:\n\n    \
                   cargo run --no-default-features -- openapi > openapi/openapi.json\n";

#[test]
fn the_checked_in_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    // Not assert_eq: two whole documents would hide what to do.
    let said = microllm::http::openapi_json() + "\n";
    assert!(written == said, "{HOW}");
}

#[tokio::test]
async fn the_document_is_served() {
    let server = Server::start().await;
    let response = server.client.get(server.url("/openapi.json")).send().await;
    let response = response.expect("a response");
    assert_eq!(response.headers()["content-type"], "application/json");
    let served = response.text().await.expect("text");
    assert_eq!(served, microllm::http::openapi_json());
}

#[test]
fn the_document_says_how_to_authorize_and_what_to_expect() {
    let text = microllm::http::openapi_json();
    let document: Value = serde_json::from_str(&text).expect("json");
    let scheme = &document["components"]["securitySchemes"]["ApiKey"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
    let create = &document["paths"]["/v1/chat/completions"]["post"];
    assert_eq!(create["operationId"], "createChatCompletion");
    assert_eq!(create["security"], json!([{"ApiKey": []}]));
    let content = create["responses"]["200"]["content"]
        .as_object()
        .expect("content");
    assert_eq!(
        content.keys().collect::<Vec<_>>(),
        ["application/json", "text/event-stream"]
    );
    for status in ["400", "401", "404", "413", "415", "429", "500", "503"] {
        assert!(create["responses"][status].is_object(), "{status}");
    }
    for path in [
        "/health/liveness",
        "/health/liveliness",
        "/health/readiness",
    ] {
        assert!(
            document["paths"][path]["get"].get("security").is_none(),
            "{path}"
        );
    }
    assert!(document["paths"]["/v1/models"]["get"].is_object());
    assert!(document["paths"]["/v1/models/{model}"]["get"].is_object());
    let request = &document["components"]["schemas"]["CreateChatCompletionRequest"];
    assert_eq!(request["required"], json!(["model", "messages"]));
    assert_eq!(request["properties"]["temperature"]["maximum"], json!(2.0));
    assert_eq!(request["properties"]["temperature"]["nullable"], true);
    assert_eq!(request["properties"]["model"].get("nullable"), None);
}

#[test]
fn a_union_is_not_called_an_object() {
    let text = microllm::http::openapi_json();
    let document: Value = serde_json::from_str(&text).expect("json");
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let unions = schemas.iter().filter(|(_, s)| s.get("anyOf").is_some());
    let mut known = 0;
    for (name, union) in unions {
        assert!(union.get("type").is_none(), "{name}");
        known += 1;
    }
    assert!(known > 3, "{known}");
}

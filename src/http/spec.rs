//! The OpenAPI document, generated from the routes' types.

use std::collections::HashMap;
use std::marker::PhantomData;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService, Tags};
use serde_json::{Map, Value, json};

use super::Api;

/// The document's chapters.
#[derive(Tags)]
pub enum Tag {
    /// Conversations.
    Chat,
    /// Prompts that are continued.
    Completions,
    /// Vectors of texts.
    Embeddings,
    /// What can be asked.
    Models,
    /// What is looked for in texts.
    Guardrails,
    /// What the caller may use.
    Limits,
    /// Signing in and out, one's own account.
    Identity,
    /// People, keys and settings of the whole organization.
    Administration,
    /// Projects and all that belongs to them.
    Projects,
    /// For load balancers and supervisors.
    Health,
}

/// The document, pretty and always the same for the same code.
pub fn openapi_json() -> String {
    let service = OpenApiService::<_, ()>::new(
        Described::<Api>(PhantomData),
        "MicroLLM PrivateStack",
        env!("CARGO_PKG_VERSION"),
    )
    .description("A private server that speaks OpenAI's language: official SDKs work unchanged.")
    .license(LicenseObject::new("MIT"));
    let document: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    format!(
        "{:#}",
        sorted(with_example(with_nulls(with_unions(document))))
    )
}

/// Describes an API without having one: the document is the same whatever it is served with.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    /// In a document a path stands once, with whatever is done at it: also where two APIs share
    /// one.
    fn meta() -> Vec<MetaApi> {
        let mut all: Vec<MetaApi> = Vec::new();
        for mut api in T::meta() {
            api.paths.retain_mut(|path| {
                let known = all.iter_mut().flat_map(|api| &mut api.paths);
                let mut known = known.filter(|known| known.path == path.path);
                let Some(known) = known.next() else {
                    return true;
                };
                known.operations.append(&mut path.operations);
                false
            });
            all.push(api);
        }
        all
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The generator calls every union an object, whatever its members are.
fn with_unions(mut document: Value) -> Value {
    let schemas = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        let is_union = schema.get("anyOf").is_some() || schema.get("oneOf").is_some();
        if let Some(schema) = schema.as_object_mut().filter(|_| is_union) {
            schema.remove("type");
        }
    }
    document
}

/// What is not required may be null, here as at OpenAI; the generator does not say so.
fn with_nulls(mut document: Value) -> Value {
    let schemas = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        let required = schema.get("required").cloned().unwrap_or_default();
        let required = required.as_array().cloned().unwrap_or_default();
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            if required.iter().any(|field| field == name.as_str()) {
                continue;
            }
            // Beside a reference nothing else counts.
            if property.get("$ref").is_some() {
                *property = json!({ "allOf": [property.take()] });
            }
            if let Some(property) = property.as_object_mut() {
                property.insert("nullable".to_owned(), true.into());
            }
        }
    }
    document
}

/// What the documentation page offers to send: made of the types alone it would be refused.
fn with_example(mut document: Value) -> Value {
    let messages = json!([{ "role": "user", "content": "Hello!" }]);
    for (name, field, value) in [
        ("CreateChatCompletionRequest", "messages", messages),
        (
            "CreateCompletionRequest",
            "prompt",
            json!("Once upon a time"),
        ),
    ] {
        let path = format!("/components/schemas/{name}");
        let request = document.pointer_mut(&path).and_then(Value::as_object_mut);
        if let Some(request) = request {
            let example = json!({ "model": "smollm2-135m-instruct", field: value });
            request.insert("example".to_owned(), example);
        }
    }
    document
}

/// Keys in alphabetical order, however the JSON library was built.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(fields.collect())
        }
        plain => plain,
    }
}

//! JSON bodies, in and out.
//!
//! The framework's own payload reports errors without the place they are at; clients need that
//! place in `param`.

use std::fmt;

use poem::http::StatusCode;
use poem::web::Data;
use poem::{Body, FromRequest, IntoResponse, Request, RequestBody, Response, Result};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, impl_apirequest_for_payload,
};
use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::body::{self, Bodies};
use super::error::ApiError;

/// A JSON body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        let Ok(mime) = content_type.parse::<mime::Mime>() else {
            return false;
        };
        mime.essence_str() == mime::APPLICATION_JSON.essence_str()
            && mime
                .get_param(mime::CHARSET)
                .is_none_or(|set| set == mime::UTF_8)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for Json<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bodies = Data::<&Bodies>::from_request_without_body(request).await?;
        let limits = bodies.0.of(request);
        let (bytes, _room) = body::read(request, body.take()?, limits).await?;
        Ok(Self(parse(&bytes)?))
    }
}

impl_apirequest_for_payload!(Json<T>, T: Type + DeserializeOwned);

/// A JSON body, or why it cannot be read: for operations that have something to do in both cases.
#[derive(Debug, Clone)]
pub struct MaybeJson<T>(pub Result<T, ApiError>);

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for MaybeJson<T> {
    const TYPES: &'static [ApiExtractorType] = <Json<T> as ApiExtractor<'a>>::TYPES;

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Json<T> as ApiExtractor<'a>>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        <Json<T> as ApiExtractor<'a>>::request_meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let read = <Json<T> as ApiExtractor<'a>>::from_request(request, body, options).await;
        Ok(Self(match read {
            Ok(json) => Ok(json.0),
            Err(error) => Err(ApiError::of(&error)),
        }))
    }
}

impl<T: Serialize + Send> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => Response::builder()
                .content_type("application/json")
                .body(Body::from_vec(body)),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                poem::Error::from(ApiError::internal()).into_response()
            }
        }
    }
}

impl<T: Type + Serialize> ApiResponse for Json<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Self::CONTENT_TYPE,
                    schema: Self::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Reads JSON in two steps. The first checks all of it alike, fields that nobody looks at
/// included: syntax, depth (128), UTF-8, surrogates; of a key that occurs twice the last one
/// counts. The second knows the fields.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Nearly always both find nothing, and then need not remember what they have seen and where.
    if bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Checked>(bytes).is_ok()
        && let Ok(read) = serde_json::from_slice(bytes)
    {
        return Ok(read);
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let message = format!(
            "We could not parse the JSON body of your request: {error}. The API expects a JSON \
             object in UTF-8 and a Content-Type header of 'application/json'."
        );
        ApiError::request(StatusCode::BAD_REQUEST, None, message)
    })?;
    if !value.is_object() {
        let message = "The body of your request must be a JSON object.";
        return Err(ApiError::request(StatusCode::BAD_REQUEST, None, message));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, &error.into_inner().to_string())
    })
}

/// JSON of which every part has been looked at, and nothing kept. What serde calls ignored is not
/// looked at.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self, A::Error> {
        while all.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self, A::Error> {
        while all.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Serde's words in OpenAI's. The values themselves are left out: they may be long, and secret.
fn explain(path: &str, error: &str) -> ApiError {
    if let Some(rest) = error.strip_prefix("missing field `") {
        let field = rest.split('`').next().unwrap_or_default();
        let param = match path {
            "." => field.to_owned(),
            parent => format!("{parent}.{field}"),
        };
        let message = format!("Missing required parameter: '{param}'.");
        return ApiError::param(param, Some("missing_required_parameter"), message);
    }
    if error.starts_with("unknown field `") {
        let message = format!("Unknown parameter: '{path}'.");
        return ApiError::param(path, Some("unknown_parameter"), message);
    }
    if let Some(rest) = error.strip_prefix("unknown variant `") {
        // "one of `a`, `b`, `c`", "`a` or `b`" or "`a`".
        let known = rest
            .rsplit_once(", expected ")
            .map_or("", |(_, known)| known);
        let known = known.strip_prefix("one of ").unwrap_or(known);
        let known = known.replace("` or `", "`, `").replace('`', "'");
        let message = format!("Invalid value for '{path}'. Supported values are: {known}.");
        return ApiError::param(path, Some("invalid_value"), message);
    }
    let parts = |prefix| error.strip_prefix(prefix)?.rsplit_once(", expected ");
    if let Some((got, expected)) = parts("invalid type: ") {
        let (expected, got) = (expected_words(expected), got_words(got));
        let message =
            format!("Invalid type for '{path}': expected {expected}, but got {got} instead.");
        return ApiError::param(path, Some("invalid_type"), message);
    }
    let message = match parts("invalid value: ") {
        Some((_, expected)) => {
            let expected = expected_words(expected);
            format!("Invalid value for '{path}': expected {expected}.")
        }
        None => format!("Invalid value for '{path}'."),
    };
    ApiError::param(path, Some("invalid_value"), message)
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a decimal number",
        "i64" => "an integer of at most 64 bits",
        "u64" | "usize" => "an integer of 0 or more",
        "u32" => "an integer from 0 to 4294967295",
        "a sequence" => "an array",
        "a map" => "an object",
        known => known,
    }
}

fn got_words(got: &str) -> &'static str {
    match got.split([' ', '`']).next().unwrap_or_default() {
        "string" => "a string",
        "integer" => "an integer",
        "floating" => "a decimal number",
        "boolean" => "a boolean",
        "null" | "unit" => "null",
        "sequence" => "an array",
        "map" => "an object",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::openai::chat::ChatRequest;

    fn refused(body: &str) -> (String, String) {
        let error = parse::<ChatRequest>(body.as_bytes()).expect_err("not a request");
        (error.param.unwrap_or_default(), error.message)
    }

    #[test]
    fn errors_name_the_place_they_are_at() {
        for (body, param, words) in [
            (
                r#"{"messages":[]}"#,
                "model",
                "Missing required parameter: 'model'.",
            ),
            (
                r#"{"model":null,"messages":[]}"#,
                "model",
                "expected a string, but got null",
            ),
            (
                r#"{"model":"m","messages":[{"content":"x"}]}"#,
                "messages[0].role",
                "Missing",
            ),
            (
                r#"{"model":"m","messages":[{"role":"robot"}]}"#,
                "messages[0].role",
                "'developer'",
            ),
            (
                r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
                "messages[0].content",
                "expected a string or an array of content parts, but got an integer",
            ),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":{}}]}]}"#,
                "messages[0].content[1].text",
                "expected a string, but got an object",
            ),
            (
                r#"{"model":"m","messages":[],"temperature":"hot"}"#,
                "temperature",
                "decimal number",
            ),
            (
                r#"{"model":"m","messages":[],"n":1.5}"#,
                "n",
                "but got a decimal number",
            ),
            (
                r#"{"model":"m","messages":[],"cache":[5]}"#,
                "cache",
                "expected an object, but got an array",
            ),
            (
                r#"{"model":"m","messages":[],"stop":[1]}"#,
                "stop[0]",
                "expected a string",
            ),
            (
                r#"{"model":"m","messages":[],"logit_bias":{"5":"x"}}"#,
                "logit_bias.5",
                "decimal",
            ),
            (
                r#"{"model":"m","messages":[],"stream":1}"#,
                "stream",
                "expected a boolean",
            ),
            (
                r#"{"model":"m","messages":{}}"#,
                "messages",
                "expected an array",
            ),
            (
                r#"{"model":"m","messages":[],"stream_options":[]}"#,
                "stream_options",
                "an object",
            ),
            (
                r#"{"model":"m","messages":[["user","x",null,null,null,null]]}"#,
                "messages[0]",
                "expected an object, but got an array",
            ),
            (
                r#"{"model":"m","messages":[],"seed":18446744073709551615}"#,
                "seed",
                "an integer of at most 64 bits",
            ),
        ] {
            let (at, message) = refused(body);
            assert_eq!(at, param, "{body}: {message}");
            assert!(message.contains(words), "{body}: {message}");
        }
    }

    #[test]
    fn what_is_supported_is_listed_however_many_there_are() {
        #[derive(Debug, serde::Deserialize)]
        enum One {
            A,
        }
        #[derive(Debug, serde::Deserialize)]
        enum Two {
            A,
            B,
        }
        let message = |result: Result<(), ApiError>| result.expect_err("no such").message;
        let one = message(parse::<HashMap<String, One>>(br#"{"x":"Z"}"#).map(drop));
        assert!(one.ends_with("Supported values are: 'A'."), "{one}");
        let two = message(parse::<HashMap<String, Two>>(br#"{"x":"Z"}"#).map(drop));
        assert!(two.ends_with("Supported values are: 'A', 'B'."), "{two}");
        let below = parse::<HashMap<String, u64>>(br#"{"x":-1}"#).expect_err("negative");
        assert_eq!(below.code, Some("invalid_value"));
        assert!(below.message.contains("0 or more"), "{}", below.message);
    }

    #[test]
    fn values_are_not_echoed() {
        let (_, message) = refused(r#"{"model":"m","messages":[],"n":"s3cret, expected more"}"#);
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn what_is_not_json_is_refused_wherever_it_is() {
        for body in [
            &b"{"[..],
            b"[]",
            b"null",
            b"",
            b"{\"x\":NaN}",
            b"{\"x\":Infinity}",
            b"{\"x\":1e999}",
            b"{\"x\":\"\\ud800\"}",
            b"{\"x\":\"\xff\"}",
            b"{\"x\":1} {}",
        ] {
            assert!(parse::<ChatRequest>(body).is_err(), "{body:?}");
        }
        let deep = format!(r#"{{"x":{}}}"#, "[".repeat(100_000));
        assert!(parse::<ChatRequest>(deep.as_bytes()).is_err());
    }

    #[test]
    fn null_is_absent_and_the_unknown_is_ignored() {
        let body = br#"{"model":"m","messages":[],"n":null,"stop":null,"brand_new":{"a":[1]}}"#;
        let request = parse::<ChatRequest>(body).expect("a request");
        assert!(request.n.is_none() && request.stop.is_none());
    }

    #[test]
    fn content_types() {
        for (given, fine) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JSON;charset=\"UTF-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("json", false),
        ] {
            assert_eq!(Json::<String>::check_content_type(given), fine, "{given}");
        }
    }
}

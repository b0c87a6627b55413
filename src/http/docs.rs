//! `/openapi.json`, and Swagger UI at `/docs`. Both are public: they say what the server can do,
//! not what it does.

use std::sync::Arc;

use poem::endpoint::{make, make_sync};
use poem::error::NotFoundError;
use poem::http::{StatusCode, header};
use poem::{Body, Request, Response, Result, Route};
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::routing::Methods;
use super::spec::openapi_json;

/// Swagger UI's own scripts may run and may ask this server, and nothing else may happen. It draws
/// its icons from `data:`; the hash is of the one style that its scripts write into the page.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
    'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the routes.
pub fn add(routes: Route) -> Route {
    let document = openapi_json();
    let config = Arc::new(
        Config::from("/openapi.json")
            .display_request_duration(true)
            // Its badge would ask a server on the internet about this one.
            .validator_url("none"),
    );
    let spec = make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .body(document.clone())
    });
    // The page's links are relative.
    let to_page = make_sync(|_| {
        Response::builder()
            .status(StatusCode::PERMANENT_REDIRECT)
            .header(header::LOCATION, "/docs/")
            .finish()
    });
    let page = make(move |request: Request| {
        let config = config.clone();
        async move { page(&request, config) }
    });
    routes
        .at("/openapi.json", Methods::get(spec))
        .at("/docs", Methods::get(to_page))
        .at("/docs/*file", Methods::get(page))
}

fn page(request: &Request, config: Arc<Config<'static>>) -> Result<Response> {
    let file = request.raw_path_param("file").unwrap_or_default();
    let file = match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(NotFoundError.into()),
        Err(error) => {
            tracing::error!(%error, "the documentation page is broken");
            return Err(ApiError::internal().into());
        }
    };
    let mut content_type = file.content_type;
    if content_type.starts_with("text/") {
        content_type.push_str("; charset=utf-8");
    }
    Ok(Response::builder()
        .content_type(content_type)
        .header(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(Body::from_vec(file.bytes.into_owned())))
}

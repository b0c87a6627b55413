//! From a path and a method to an endpoint.

use std::collections::HashMap;

use poem::endpoint::BoxEndpoint;
use poem::error::MethodNotAllowedError;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response, Result, Route};
use poem_openapi::__private::UrlQuery;
use poem_openapi::OpenApi;

use super::error::ApiError;

/// Adds the operations of a typed API. The framework's own way, `OpenApiService`, turns errors into
/// plain text before anybody can turn them into anything else, and forgets `Allow`.
pub fn add(routes: Route, api: impl OpenApi) -> Route {
    let mut table = HashMap::new();
    api.add_routes(&mut table);
    table.into_iter().fold(routes, |routes, (path, methods)| {
        routes.at(path, Methods::new(methods))
    })
}

/// What one path does for each method. `HEAD` and `OPTIONS` come by themselves.
pub struct Methods {
    endpoints: HashMap<Method, BoxEndpoint<'static>>,
    allow: HeaderValue,
}

impl Methods {
    fn new(endpoints: HashMap<Method, BoxEndpoint<'static>>) -> Self {
        let mut names: Vec<&str> = endpoints.keys().map(Method::as_str).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        names.sort_unstable();
        let allow = HeaderValue::from_str(&names.join(", "));
        Self {
            endpoints,
            allow: allow.unwrap_or(HeaderValue::from_static("OPTIONS")),
        }
    }

    /// A path that can only be read.
    pub fn get(endpoint: impl Endpoint<Output = Response> + 'static) -> Self {
        Self::new(HashMap::from([(
            Method::GET,
            Box::new(poem::endpoint::ToDynEndpoint(endpoint)) as _,
        )]))
    }
}

impl Endpoint for Methods {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        // The one thing `OpenApiService` adds: its parameters and security schemes rely on it, and
        // its name is nowhere else to be had.
        let query: Vec<(String, String)> = request.params().unwrap_or_default();
        request.set_data(UrlQuery(query));
        let method = match request.method() {
            // The connection leaves the body out.
            &Method::HEAD => &Method::GET,
            method => method,
        };
        if let Some(endpoint) = self.endpoints.get(method) {
            return endpoint.call(request).await;
        }
        let mut response = if method == Method::OPTIONS {
            StatusCode::NO_CONTENT.into_response()
        } else {
            let refused = poem::Error::from(MethodNotAllowedError);
            poem::Error::from(ApiError::of(&refused)).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, self.allow.clone());
        Ok(response)
    }
}

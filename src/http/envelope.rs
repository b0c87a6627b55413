//! What every request and every answer has in common: an id, OpenAI's headers, the headers that
//! browsers need, one line in the log, and never a panic or plain text in place of an error.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::{Body, Endpoint, IntoResponse, PathPattern, Request, Response, Result};

use super::Cut;
use super::cors::Cors;
use super::error::{ApiError, INSUFFICIENT_PERMISSIONS};
use super::rates;
use crate::app::App;
use crate::auth::{Principal, Refusal};
use crate::cache::{Controls, Key, Status};
use crate::limits::RateStatus;
use crate::pipeline::{Caller, Waited};
use crate::records::{Actor, ActorKind};

/// Headers of an answer, about: room for them is made once.
const HEADERS: usize = 24;
// Names that are made here and not from text each time.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const OPENAI_VERSION: HeaderName = HeaderName::from_static("openai-version");
const CUT: HeaderName = HeaderName::from_static("x-microllm-cut");
const CACHE_STATUS: HeaderName = HeaderName::from_static("x-microllm-cache-status");
const CACHE_KEY: HeaderName = HeaderName::from_static("x-microllm-cache-key");
const OVERHEAD: HeaderName = HeaderName::from_static("x-microllm-overhead-duration-ms");
const VERSION: HeaderValue = HeaderValue::from_static("2020-10-01");
/// For answers that are data: nothing in them may be run, shown in a frame or kept.
const DATA_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// One request as the log and the records know it.
pub struct Trace {
    pub request_id: String,
    pub arrived: Instant,
    /// Unix milliseconds.
    pub arrived_ms: i64,
    /// Known once the caller is.
    pub key_id: OnceLock<String>,
    /// The caller of an inference route.
    pub caller: OnceLock<Principal>,
    /// How full the caller's limits were when the answer began.
    pub rates: Arc<Mutex<Option<RateStatus>>>,
    /// Where the request comes from, and of people and administrators who sends it; known once
    /// that is looked at.
    pub visitor: OnceLock<Actor>,
    /// Why the credential opens nothing, in the words of the audit.
    pub refused: OnceLock<&'static str>,
    /// Whether an answer was cut because it was going nowhere.
    pub cut_loop: Arc<AtomicBool>,
    /// What its headers want of the cache.
    pub controls: Controls,
    /// What the cache did, and under which key.
    pub cache: Arc<OnceLock<(Status, Option<Key>)>>,
    /// How long the model was waited for.
    pub waited: Waited,
}

impl Trace {
    /// Who asks, of an inference route.
    pub fn caller(&self, principal: Principal, cut: &Cut) -> Caller {
        Caller {
            actor: self.actor(&principal),
            principal,
            request_id: self.request_id.clone(),
            arrived: self.arrived,
            arrived_ms: self.arrived_ms,
            cut: cut.0.clone(),
            rates: self.rates.clone(),
            cut_loop: self.cut_loop.clone(),
            controls: self.controls.clone(),
            cache: self.cache.clone(),
            waited: self.waited.clone(),
            admitted: Arc::default(),
        }
    }

    fn actor(&self, principal: &Principal) -> Actor {
        let visitor = self.visitor.get();
        let is_key = principal.key_id.starts_with("key_");
        Actor {
            kind: if is_key {
                ActorKind::ApiKey
            } else {
                ActorKind::Session
            },
            id: Some(principal.key_id.clone()),
            user_id: principal.user_id.clone(),
            ip: visitor.and_then(|visitor| visitor.ip),
            user_agent: visitor.and_then(|visitor| visitor.user_agent.clone()),
            at_ms: self.arrived_ms,
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Wraps all routes.
pub struct Envelope<E> {
    inner: E,
    app: App,
    cors: Cors,
}

impl<E> Envelope<E> {
    pub fn new(inner: E, app: App, cors: Cors) -> Self {
        Self { inner, app, cors }
    }
}

impl<E> Endpoint for Envelope<E>
where
    E: Endpoint,
    E::Output: 'static,
{
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let trace = Arc::new(Trace {
            // Ours always: one that a client made up could be anybody's.
            request_id: self.app.clock.id("req_"),
            arrived: Instant::now(),
            arrived_ms: self.app.clock.now_ms(),
            key_id: OnceLock::new(),
            caller: OnceLock::new(),
            rates: Arc::default(),
            visitor: OnceLock::new(),
            refused: OnceLock::new(),
            cut_loop: Arc::default(),
            controls: Controls::of_headers(request.headers()),
            cache: Arc::default(),
            waited: Waited::default(),
        });
        let mut line = Line::new(trace.clone(), request.method().clone());
        request.set_data(trace.clone());
        let origin = self.cors.allowed(&request);

        let mut response = match Cors::preflight(&request, origin.as_ref()) {
            Some(preflight) => preflight,
            None => self.answer(request, &mut line).await,
        };
        response.headers_mut().reserve(HEADERS);
        self.cors.mark(response.headers_mut(), origin);
        common_headers(response.headers_mut(), &trace);
        if let Some(principal) = trace.caller.get() {
            let told = *trace.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let status = match told {
                Some(RateStatus {
                    requests: Some(_),
                    tokens: Some(_),
                }) => told,
                // It was about no model, or about none that there is.
                _ => {
                    let models = self.app.models_of(principal);
                    let of_all = self.app.limits.status(principal, &models).await;
                    told.map_or(of_all, |told| {
                        Some(RateStatus {
                            requests: told.requests.or(of_all.and_then(|all| all.requests)),
                            tokens: told.tokens.or(of_all.and_then(|all| all.tokens)),
                        })
                    })
                }
            };
            rates::add(response.headers_mut(), principal, status);
            overhead(response.headers_mut(), &trace);
        }
        if trace.cut_loop.load(Ordering::Relaxed) {
            let cut = HeaderValue::from_static("loop");
            response.headers_mut().insert(CUT, cut);
        }
        line.status = response.status().as_u16();
        // The line is written when the last of the answer has gone out, or cannot.
        let body: BoxBody<Bytes, std::io::Error> = response.take_body().into();
        response.set_body(Body::from(BoxBody::new(Logged { body, _line: line })));
        Ok(response)
    }
}

impl<E> Envelope<E>
where
    E: Endpoint,
    E::Output: 'static,
{
    async fn answer(&self, request: Request, line: &mut Line) -> Response {
        let called = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match called.await {
            Ok(Ok(response)) => {
                let response = response.into_response();
                line.route = response.data::<PathPattern>().cloned();
                response
            }
            Ok(Err(error)) => {
                line.route = error.data::<PathPattern>().cloned();
                let error = ApiError::of(&error);
                self.tell_refusal(&line.trace, &error).await;
                poem::Error::from(error).into_response()
            }
            Err(_) => {
                tracing::error!(request_id = %line.trace.request_id, "a handler panicked");
                poem::Error::from(ApiError::internal()).into_response()
            }
        }
    }

    /// Tells the audit of a credential that opens nothing, or not this.
    async fn tell_refusal(&self, trace: &Trace, error: &ApiError) {
        let reason = match (trace.refused.get(), error.code) {
            (Some(reason), _) => reason,
            // Known, and then told no by an operation.
            (None, Some(code @ INSUFFICIENT_PERMISSIONS)) => code,
            _ => return,
        };
        let by = match trace.caller.get() {
            Some(principal) => trace.actor(principal),
            None => match trace.visitor.get() {
                Some(visitor) => visitor.clone(),
                None => return,
            },
        };
        let id = trace.key_id.get().cloned();
        let refusal = Refusal { reason, id, by };
        self.app.refusals.note(refusal).await;
    }
}

fn common_headers(headers: &mut HeaderMap, trace: &Trace) {
    let millis = u64::try_from(trace.arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Ok(id) = HeaderValue::from_str(&trace.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(PROCESSING_MS, millis.into());
    headers.insert(OPENAI_VERSION, VERSION);
    for (name, value) in [
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ] {
        headers.insert(name, value);
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(DATA_POLICY);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// What the cache did, and what the request has cost besides the model until now, in milliseconds.
fn overhead(headers: &mut HeaderMap, trace: &Trace) {
    if let Some((status, key)) = trace.cache.get() {
        let status = HeaderValue::from_static(status.as_str());
        headers.insert(CACHE_STATUS, status);
        let key = key.and_then(|key| HeaderValue::from_str(&key.to_string()).ok());
        headers.extend(key.map(|key| (CACHE_KEY, key)));
    }
    let took = trace.arrived.elapsed();
    let micros = took.saturating_sub(trace.waited.total()).as_micros();
    let millis = format!("{}.{:03}", micros / 1000, micros % 1000);
    if let Ok(took) = HeaderValue::from_str(&millis) {
        headers.insert(OVERHEAD, took);
    }
}

/// The log's line of one request, written when dropped: at the end of the answer, or when the
/// client has gone.
struct Line {
    trace: Arc<Trace>,
    method: Method,
    /// The pattern, not the path: paths may carry anything.
    route: Option<PathPattern>,
    status: u16,
}

impl Line {
    fn new(trace: Arc<Trace>, method: Method) -> Self {
        Self {
            trace,
            method,
            route: None,
            status: 499,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration_ms = self.trace.arrived.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(
            request_id = %self.trace.request_id,
            method = %self.method,
            route = self.route.as_ref().map(|pattern| pattern.0.as_ref()),
            status = self.status,
            duration_ms,
            key_id = self.trace.key_id.get().map(String::as_str),
            "request"
        );
    }
}

/// A body that takes the log's line along.
struct Logged {
    body: BoxBody<Bytes, std::io::Error>,
    _line: Line,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

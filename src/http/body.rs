//! Reading request bodies: not too much, not for too long, not too many at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use poem::http::{StatusCode, header};
use poem::{Body, Request};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::envelope::Trace;
use super::error::ApiError;

/// Bounds of request bodies.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Of each.
    pub bytes: usize,
    /// From the head of a request to the end of its body.
    pub time: Duration,
    /// One permit for each byte that may be in memory, of all bodies together, until it is parsed.
    pub room: Arc<Semaphore>,
}

/// Whose bodies are how bounded: what nobody answers for must not take the room of the others.
#[derive(Debug, Clone)]
pub struct Bodies {
    pub known: BodyLimits,
    /// Of who has not shown who they are.
    pub strangers: BodyLimits,
}

impl Bodies {
    /// Credentials are checked before bodies are read.
    pub fn of(&self, request: &Request) -> &BodyLimits {
        let trace = request.data::<Arc<Trace>>();
        match trace.and_then(|trace| trace.key_id.get()) {
            Some(_) => &self.known,
            None => &self.strangers,
        }
    }
}

/// Reads a body within its limits, whether or not it says how long it is. What is returned beside
/// it is the room that it takes.
pub async fn read<'a>(
    request: &Request,
    body: Body,
    limits: &'a BodyLimits,
) -> Result<(Bytes, Option<SemaphorePermit<'a>>), ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.bytes as u64) {
        return Err(too_large(limits.bytes));
    }
    let whole = async {
        let mut chunks = Box::pin(body.into_bytes_stream());
        let mut whole = BytesMut::new();
        let mut room: Option<SemaphorePermit<'a>> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| unreadable())?;
            if whole.len().saturating_add(chunk.len()) > limits.bytes {
                return Err(too_large(limits.bytes));
            }
            let size = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            // Waiting for room while holding some could go on for ever.
            let more = limits.room.try_acquire_many(size).map_err(|_| no_room())?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.freeze(), room))
    };
    let whole = tokio::time::timeout(limits.time, whole).await;
    whole.unwrap_or_else(|_| Err(too_late()))
}

fn too_late() -> ApiError {
    let message = "The request body did not arrive in time.";
    ApiError::request(StatusCode::REQUEST_TIMEOUT, None, message)
}

fn no_room() -> ApiError {
    let message = "The server is reading as many requests as it can.";
    ApiError::unavailable(message, Some(Duration::from_secs(1)))
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("The request body is too large: this server reads up to {limit} bytes.");
    ApiError::request(StatusCode::PAYLOAD_TOO_LARGE, None, message)
}

fn unreadable() -> ApiError {
    ApiError::request(
        StatusCode::BAD_REQUEST,
        None,
        "The request body could not be read.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_within(body: Body, bytes: usize, room: usize) -> Result<Bytes, u16> {
        let limits = BodyLimits {
            bytes,
            time: Duration::from_millis(50),
            room: Arc::new(Semaphore::new(room)),
        };
        let read = read(&Request::default(), body, &limits).await;
        read.map(|(bytes, _)| bytes).map_err(|error| error.status)
    }

    #[tokio::test]
    async fn bodies_are_bounded_in_size_in_time_and_together() {
        let body = || Body::from("0123456789");
        assert_eq!(
            read_within(body(), 10, 10).await.as_deref(),
            Ok(&b"0123456789"[..])
        );
        assert_eq!(read_within(body(), 9, 10).await, Err(413));
        assert_eq!(read_within(body(), 10, 9).await, Err(503));
        let endless = futures_util::stream::pending::<std::io::Result<Bytes>>();
        let endless = Body::from_bytes_stream(endless);
        assert_eq!(read_within(endless, 10, 10).await, Err(408));
    }
}

//! Connections: how many, how slow they may be, and how they end.
//!
//! The framework's own server waits for ever for the head of a request, counts nothing, and spins
//! when the system has no file descriptors left; so the loop is ours, on the same HTTP library.
//! HTTP/1.1 only: whoever wants TLS and HTTP/2 has a proxy in front.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stall::Stall;

/// After `cut`, time to write the last events; whoever has not read them then is left.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The system is out of something; trying again at once would only take more of it.
const PAUSE: Duration = Duration::from_millis(100);
/// A head is read into memory before anybody knows whose it is.
const LONGEST_HEAD: usize = 64 * 1024;

/// Bounds of all connections and of each.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    pub connections: usize,
    /// Until a request's head is complete; also how long a connection may idle.
    pub head: Duration,
    /// How long a client may take nothing of what is ready for it.
    pub stall: Duration,
    /// What answers in the making get at the end.
    pub drain: Duration,
}

/// Serves until `shutdown`; then waits for what is in the making, cancels `cut` when it takes
/// longer than `drain`, and returns.
pub async fn run<E>(
    endpoint: E,
    listener: TcpListener,
    limits: ServerLimits,
    shutdown: CancellationToken,
    cut: CancellationToken,
) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let local = listener.local_addr()?;
    let endpoint = Arc::new(endpoint);
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let endpoint = endpoint.clone();
                let shutdown = shutdown.clone();
                connections.spawn(async move {
                    let _place = place;
                    connection(endpoint, stream, (local, remote), limits, shutdown).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    drain(connections, limits.drain, cut).await;
    Ok(())
}

async fn drain(mut connections: JoinSet<()>, patience: Duration, cut: CancellationToken) {
    tracing::info!(connections = connections.len(), "shutting down");
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_ok() {
        return;
    }
    cut.cancel();
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections left open are closed"
        );
        connections.shutdown().await;
    }
}

async fn connection<E>(
    endpoint: Arc<E>,
    stream: TcpStream,
    (local, remote): (SocketAddr, SocketAddr),
    limits: ServerLimits,
    shutdown: CancellationToken,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // Tokens are small and wanted now.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let endpoint = endpoint.clone();
        let local = LocalAddr(Addr::SocketAddr(local));
        let remote = RemoteAddr(Addr::SocketAddr(remote));
        async move {
            let request = (request, local, remote, Scheme::HTTP).into();
            let response = endpoint.get_response(request).await;
            Ok::<hyper::Response<_>, std::convert::Infallible>(response.into())
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Stall::new(stream, limits.stall)), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // Clients that leave, mostly.
        tracing::debug!(%remote, %error, "a connection broke");
    }
}

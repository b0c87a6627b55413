//! What the wire needs of the configuration, and the bounds that nobody has to configure.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::auth::TrustedProxies;
use super::body::{Bodies, BodyLimits};
use super::cors::Cors;
use super::server::ServerLimits;
use super::sse::KeepAlive;
use crate::config::Config;

/// A body comes within this time or not at all.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Memory for bodies that are being read, in bytes, unless a single one may be longer.
const ROOM_FOR_BODIES: usize = 256 * 1024 * 1024;
/// Of who has not shown who they are: signing in takes little.
const LONGEST_STRANGERS_BODY: usize = 16 * 1024;
const ROOM_FOR_STRANGERS: usize = 4 * 1024 * 1024;
/// A head comes within this time; also the life of an idle connection.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// A client that takes nothing for this long has gone, whatever its socket says.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Below the minute after which proxies give up on a silent line.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// More wait in the operating system's own queue.
const MOST_CONNECTIONS: usize = 4096;

/// Everything about HTTP that is set before the first request.
#[derive(Debug, Clone)]
pub struct Settings {
    pub bodies: Bodies,
    pub keep_alive: KeepAlive,
    pub proxies: TrustedProxies,
    pub cors: Cors,
    pub server: ServerLimits,
}

impl Settings {
    pub fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            bodies: Bodies {
                known: BodyLimits {
                    bytes: server.max_body_bytes,
                    time: BODY_TIME,
                    room: Arc::new(Semaphore::new(server.max_body_bytes.max(ROOM_FOR_BODIES))),
                },
                strangers: BodyLimits {
                    bytes: LONGEST_STRANGERS_BODY,
                    time: BODY_TIME,
                    room: Arc::new(Semaphore::new(ROOM_FOR_STRANGERS)),
                },
            },
            keep_alive: KeepAlive(KEEP_ALIVE),
            proxies: TrustedProxies(server.trusted_networks().into()),
            cors: Cors::new(&server.cors_allowed_origins),
            server: ServerLimits {
                connections: MOST_CONNECTIONS,
                head: HEAD_TIME,
                stall: STALL_TIME,
                drain: Duration::from_secs(server.drain_seconds),
            },
        }
    }
}

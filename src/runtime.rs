//! The threads that requests run on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Tasks after which a thread looks at what others have handed over: a row that is on the disk, for
/// those who wait for it.
const HANDED_OVER_EVERY: u32 = 2;
/// Tasks after which it looks at the network.
const NETWORK_EVERY: u32 = 4;

/// tokio's runtime, for few and long tasks: by itself it would go on with those that are there and
/// look up after dozens of them, which is right where a task is over in a microsecond.
///
/// # Errors
/// When the operating system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(HANDED_OVER_EVERY)
        .event_interval(NETWORK_EVERY)
        .build()
}

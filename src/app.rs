//! Every shared part, built once and handed to whoever needs it.

use std::sync::Arc;

use crate::auth::Keys;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::registry::Registry;
use crate::records::UsageRecorder;
use crate::store::Store;

/// The program's parts. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub store: Store,
    pub keys: Keys,
    pub usage: UsageRecorder,
    pub models: Registry,
}

//! Structured logs on standard error: without secrets, without prompts.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Starts logging for the rest of the process. A second call changes nothing.
pub fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // The engine narrates at `info` and `warn`, and what it narrates may hold prompts.
    let filter = EnvFilter::new(format!(
        "warn,microllm={level},mistralrs=error,mistralrs_core=error,mistralrs_quant=error"
    ));
    let json = match config.format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(io::stderr().is_terminal()).try_init()
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// A panic's place, and its message only where that is a literal: a formatted one may quote the
/// text that was being worked on.
fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload().downcast_ref::<&'static str>().copied();
    let thread = std::thread::current();
    tracing::error!(
        place,
        reason = message.unwrap_or("(withheld)"),
        thread = thread.name().unwrap_or_default(),
        "panic"
    );
}

//! How far a download is, for whoever waits at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on standard error, with room for a line beside it. Off a terminal only the lines
/// appear.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For people.
    pub fn stderr() -> Self {
        Self {
            bar: ProgressBar::no_length(),
        }
    }

    /// For tests.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// Something worth a line: a source that did not serve, a file taken on trust.
    pub fn note(&self, line: &str) {
        tracing::debug!("{line}");
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// A transfer of `total` bytes begins, `done` of them already there.
    pub(super) fn transfer(&self, what: &str, done: u64, total: Option<u64>) {
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_message(what.to_owned());
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_position(done);
    }

    /// Work begins whose length nobody knows.
    pub(super) fn wait(&self, what: &str) {
        self.bar.set_style(ProgressStyle::default_spinner());
        self.bar.reset();
        self.bar.set_message(what.to_owned());
        self.bar
            .enable_steady_tick(std::time::Duration::from_millis(120));
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }
}

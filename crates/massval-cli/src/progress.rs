//! Progress bars on standard error, for work that takes more than a second.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work is not worth a bar before it has taken this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that shows itself when the work turns out to be long, on a terminal only.
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
}

impl Progress {
    /// `what` is being done, in the words of a person: `loading`.
    pub fn new(what: &'static str) -> Self {
        Self::with(what, "{msg:>10} [{bar:30}] {pos}/{len}  {elapsed}")
    }

    /// The same for bytes that come over a network.
    #[cfg(feature = "hub")]
    pub fn bytes(what: &'static str) -> Self {
        Self::with(what, "{msg:>10} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta}")
    }

    fn with(what: &'static str, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        Self { bar, begun: Instant::now(), shown: false }
    }

    /// `done` of `total` steps are behind us.
    pub fn at(&mut self, done: usize, total: usize) {
        self.at_byte(done as u64, total as u64);
    }

    /// `done` of `total` bytes are here.
    pub fn at_byte(&mut self, done: u64, total: u64) {
        if !self.shown && self.begun.elapsed() > PATIENCE && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Wipes the bar away; returns the seconds that the work took.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.begun.elapsed().as_secs_f64()
    }
}

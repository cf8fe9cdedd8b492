//! Progress on a terminal, for work that takes over a second.

use std::{
    fmt,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use metadata_image::image::Progress;

/// How long the work takes before the bar is shown.
const DELAY: Duration = Duration::from_secs(1);

/// What a bar counts.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Bytes,
    Images,
}

impl Unit {
    /// The template of the bar. `known`: the total is known.
    fn template(self, known: bool) -> &'static str {
        match (self, known) {
            (Self::Bytes, true) => "{bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left",
            (Self::Bytes, false) => "{bytes}, {bytes_per_sec}",
            (Self::Images, true) => "{human_pos} of {human_len} images [{bar:30}] {rate}/s, {eta} left",
            (Self::Images, false) => "{human_pos} images, {rate}/s",
        }
    }
}

/// A bar on standard error, where that is a terminal.
pub(super) struct Bar {
    started: Instant,
    unit: Unit,
    /// `None`: the bar is not wanted, or standard error is not a terminal.
    shown: Option<ProgressBar>,
}

impl Bar {
    /// A bar that counts bytes. `quiet`: it is not shown.
    pub(super) fn new(quiet: bool) -> Self {
        Self::of(Unit::Bytes, quiet)
    }

    /// A bar that counts images. `quiet`: it is not shown.
    pub(super) fn of_images(quiet: bool) -> Self {
        Self::of(Unit::Images, quiet)
    }

    fn of(unit: Unit, quiet: bool) -> Self {
        let wanted = !quiet && io::stderr().is_terminal();
        let shown = wanted.then(|| ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()));
        Self { started: Instant::now(), unit, shown }
    }

    fn draw(&self, bar: &ProgressBar) {
        if !bar.is_hidden() || self.started.elapsed() < DELAY {
            return;
        }
        // The length of a pipe is not known.
        let known = bar.length().is_some_and(|len| len > 0);
        let style = ProgressStyle::with_template(self.unit.template(known))
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Writing to a string does not fail.
                let _ = write!(out, "{:.0}", state.per_sec());
            });
        bar.set_style(style.progress_chars("=> "));
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Bar {
    /// Hides the bar while `write` writes to standard error.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &self.shown {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Progress for Bar {
    fn expect(&mut self, bytes: u64) {
        if let Some(bar) = &self.shown {
            bar.inc_length(bytes);
        }
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.shown {
            bar.inc(bytes);
            self.draw(bar);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

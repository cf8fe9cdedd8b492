//! Progress on a terminal, for work that takes over a second.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use metadata_image::image::Progress;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error, where that is a terminal.
pub(super) struct Bar {
    started: Instant,
    /// `None` where there is nobody to look.
    bar: Option<ProgressBar>,
}

impl Bar {
    /// `quiet`: there shall be none.
    pub(super) fn new(quiet: bool) -> Self {
        let wanted = !quiet && io::stderr().is_terminal();
        let bar = wanted.then(|| ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()));
        Self { started: Instant::now(), bar }
    }

    fn draw(&self, bar: &ProgressBar) {
        if !bar.is_hidden() || self.started.elapsed() < PATIENCE {
            return;
        }
        // Of a pipe nobody knows the length.
        let known = bar.length().is_some_and(|len| len > 0);
        let template = if known {
            "{bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left"
        } else {
            "{bytes}, {bytes_per_sec}"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Progress for Bar {
    fn expect(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc_length(bytes);
        }
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
            self.draw(bar);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! How the bar looks.
//!
//! Owns its templates and words. It must not know how fast anything goes.

use std::time::Duration;

use executor::{event::Phase, threads};
use indicatif::{ProgressBar, ProgressStyle};

/// Steps of the bar.
pub(super) const STEPS: u64 = 1000;

/// A bar for this work.
pub(super) fn new_bar(phase: Phase) -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    bar.set_style(endless_style());
    bar.set_prefix(phase_verb(phase));
    // Drawn while no event comes, as during a sync. The crate's own thread would panic where none can
    // be started.
    let drawn = bar.downgrade();
    let _ = threads::start_thread("progress", move || {
        while let Some(bar) = drawn.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    bar
}

/// A bar of something whose end is known.
pub(super) fn counted_style() -> ProgressStyle {
    style_of("{prefix:9} [{bar:16}] {wide_msg}").progress_chars("=> ")
}

/// A sign of life.
pub(super) fn endless_style() -> ProgressStyle {
    style_of("{prefix:9} {spinner} {wide_msg}").tick_chars("|/-\\ ")
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What the work is, for people.
pub(super) fn phase_verb(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scanning",
        Phase::Rsync => "rsync",
        Phase::Copy => "copying",
        Phase::Sync => "syncing",
        Phase::Remove => "removing",
        Phase::Restore => "restoring",
        Phase::Verify => "verifying",
        Phase::Cloud => "transferring",
    }
}

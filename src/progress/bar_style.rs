//! How the bar looks.
//!
//! Owns its templates and words. It must not know how fast anything goes.

use std::{fmt, time::Duration};

use executor::{event::Phase, threads};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use schema::columns;
use terminal_size::terminal_size_of;

/// Steps of the bar.
pub(super) const STEPS: u64 = 1000;

/// Columns before the file at hand: it stands below what is told of it.
const INDENT: usize = 10;

/// A bar for this work.
pub(super) fn new_bar(phase: Phase) -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    bar.set_style(endless_style(None));
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

/// A bar of something whose end is known, with the file at hand below it.
pub(super) fn counted_style(file: Option<&str>) -> ProgressStyle {
    style_of("{prefix:9} [{bar:16}] {wide_msg}", file).progress_chars("=> ")
}

/// A sign of life.
pub(super) fn endless_style(file: Option<&str>) -> ProgressStyle {
    style_of("{prefix:9} {spinner} {wide_msg}", file).tick_chars("|/-\\ ")
}

fn style_of(template: &str, file: Option<&str>) -> ProgressStyle {
    let Some(file) = file else {
        return style_from(template);
    };
    let columns = terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
    let file = end_within(file, columns.saturating_sub(INDENT));
    let line = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = write!(out, "{:INDENT$}{file}", "");
    };
    style_from(&format!("{template}\n{{file}}")).with_key("file", line)
}

fn style_from(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The end of a path that fills at most so many columns: its name says more than the folders above.
fn end_within(path: &str, columns: usize) -> String {
    if columns::width(path) <= columns {
        return path.to_owned();
    }
    let from_name = path.char_indices().map(|(at, _)| &path[at..]);
    let fits = |rest: &&str| columns::width(rest) < columns;
    format!("…{}", { from_name }.find(fits).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_the_end_is_shown() {
        assert_eq!(end_within("/home/ann/a", 20), "/home/ann/a");
        assert_eq!(end_within("/home/ann/video.mkv", 12), "…n/video.mkv");
        assert_eq!(end_within("/日本/日本語", 7), "…日本語");
    }
}

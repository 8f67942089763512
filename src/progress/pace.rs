//! How fast a phase goes and when it will end, from what it tells now and then.
//!
//! Pure but for the instants that it is given. The pace is that of the last seconds, so that a slow
//! start does not spoil the estimate for long.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use executor::event::{Phase, Progress};

use crate::render::amount;

/// How far back the pace is measured.
const WINDOW: Duration = Duration::from_secs(20);

/// Between two kept samples.
const BETWEEN: Duration = Duration::from_millis(500);

/// Estimates beyond this are noise.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// Time below which a pace says nothing.
const LEAST: Duration = Duration::from_secs(2);

/// The pace of one phase.
#[derive(Debug)]
pub(crate) struct Pace {
    latest: Progress,
    latest_at: Instant,
    samples: VecDeque<(Instant, Progress)>,
}

impl Pace {
    pub(crate) fn new(progress: &Progress, now: Instant) -> Self {
        Self {
            latest: *progress,
            latest_at: now,
            samples: VecDeque::from([(now, *progress)]),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.latest.phase
    }

    pub(crate) fn advance(&mut self, progress: &Progress, now: Instant) {
        self.latest = *progress;
        self.latest_at = now;
        let since = |at: Instant| now.saturating_duration_since(at);
        if self
            .samples
            .back()
            .is_none_or(|(at, _)| since(*at) >= BETWEEN)
        {
            self.samples.push_back((now, *progress));
        }
        // One sample beyond the window stays, to measure from.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| since(*at) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// How much is done, from 0 to 1, where the end is known.
    pub(crate) fn fraction(&self) -> Option<f64> {
        fraction_of(&self.latest)
    }

    /// Bytes per second.
    fn rate(&self) -> Option<u64> {
        let (began, first) = self.samples.front()?;
        let took = self.latest_at.saturating_duration_since(*began);
        if took < LEAST {
            return None;
        }
        let bytes = self.latest.bytes.saturating_sub(first.bytes);
        let rate = u128::from(bytes) * 1000 / took.as_millis();
        u64::try_from(rate).ok().filter(|rate| *rate > 0)
    }

    /// Time until the end at this pace.
    fn remaining(&self) -> Option<Duration> {
        let (began, first) = self.samples.front()?;
        let took = self.latest_at.saturating_duration_since(*began);
        let (now, then) = (self.fraction()?, fraction_of(first)?);
        if took < LEAST || now <= then || now >= 1.0 {
            return None;
        }
        let seconds = took.as_secs_f64() * (1.0 - now) / (now - then);
        let remaining = Duration::try_from_secs_f64(seconds).ok()?;
        Some(remaining).filter(|time| *time < LONGEST)
    }

    /// How far it is, in words.
    pub(crate) fn describe(&self) -> String {
        let progress = &self.latest;
        let mut parts = Vec::new();
        if let Some(fraction) = self.fraction() {
            parts.push(format!("{:.0} %", (fraction * 100.0).floor()));
        }
        if let Some(remaining) = self.remaining() {
            // Whole seconds: tenths of an estimate are noise.
            parts.push(if remaining.as_secs() < 10 {
                "a few seconds left".to_owned()
            } else {
                let remaining = Duration::from_secs(remaining.as_secs());
                format!("{} left", amount::span(remaining))
            });
        }
        if progress.bytes > 0 {
            parts.push(amount::bytes(progress.bytes));
        }
        // A scan reads no content: bytes a second would say nothing.
        if let Some(rate) = self.rate().filter(|_| progress.phase != Phase::Scan) {
            parts.push(format!("{}/s", amount::bytes(rate)));
        }
        // Last, because a narrow terminal cuts here.
        if progress.entries > 0 || progress.entries_total > 0 {
            parts.push(match progress.entries_total {
                0 => amount::plural(progress.entries, "entry", "entries"),
                // What came into being since the scan makes the total larger.
                total => format!(
                    "{} of {}",
                    amount::count(progress.entries),
                    amount::plural(total.max(progress.entries), "entry", "entries")
                ),
            });
        }
        if parts.is_empty() {
            parts.push("waiting for the disk".to_owned());
        }
        parts.join(", ")
    }
}

/// How much is done, from 0 to 1: entries and bytes count half each, since many small files cost
/// as much time as few large ones.
fn fraction_of(progress: &Progress) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    let share = |done: u64, total: u64| (total > 0).then(|| (done as f64 / total as f64).min(1.0));
    let entries = share(progress.entries, progress.entries_total);
    let bytes = share(progress.bytes, progress.bytes_total);
    match (entries, bytes) {
        (Some(entries), Some(bytes)) => Some(f64::midpoint(entries, bytes)),
        (one, other) => one.or(other),
    }
}

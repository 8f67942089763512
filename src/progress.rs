//! What a run shows while it works: a bar, plain lines, or one JSON object per line.
//!
//! Owns the pace at which events are shown, and standard error while a run lasts. It must never
//! end or delay the work: what cannot be written is dropped.

mod bar_style;
mod pace;

pub(crate) use self::pace::Pace;

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use executor::event::{Event, Observer, Phase, Progress};
use indicatif::ProgressBar;
use schema::{
    Severity, StoredPath,
    journal::Status,
    output::progress::{ProgressEvent, ProgressLine},
    outside::visible,
};

use self::bar_style::{STEPS, counted_style, endless_style, new_bar, phase_verb};
use crate::{
    render::{amount, messages, report},
    style::{Style, guarded, printable},
};

/// The step that begins each plan of a verb that a person types.
const CHECKED: &str = "destination-check";

/// Between two plain lines of one phase.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Between two JSON objects of one phase.
const BETWEEN_OBJECTS: Duration = Duration::from_millis(500);

/// Between two looks of the bar.
const BETWEEN_DRAWS: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A bar that is drawn again and again.
    Terminal,
    /// Lines, few of them.
    Lines,
    /// One JSON object per line.
    Json,
    /// Nothing.
    Quiet,
}

/// Shows a run while it works.
pub(crate) struct Bar {
    mode: Mode,
    style: Style,
    verbose: bool,
    notes: bool,
    /// Whether it is told as it goes which steps begin and end.
    records: bool,
    /// Whether what a step did is said at the end.
    told_at_end: bool,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
    pace: Option<Pace>,
    step: Option<(String, Instant)>,
    shown_at: Option<Instant>,
    /// The file at hand, and when that was told.
    file: Option<(String, Instant)>,
}

impl Bar {
    /// Shows on standard error.
    ///
    /// `verbose` shows finished steps beside a bar too.
    pub(crate) fn new(mode: Mode, verbose: bool, style: Style) -> Self {
        Self::writing_to(mode, verbose, style, Box::new(io::stderr()))
    }

    /// Shows a run that another process is at, which is what was asked for: a bar on standard error, all else
    /// on standard output.
    pub(crate) fn watching(mode: Mode, style: Style) -> Self {
        let out: Box<dyn Write + Send> = match mode {
            Mode::Terminal => Box::new(io::stderr()),
            _ => Box::new(io::stdout()),
        };
        Self::writing_to(mode, mode != Mode::Quiet, style, out)
    }

    fn writing_to(mode: Mode, verbose: bool, style: Style, out: Box<dyn Write + Send>) -> Self {
        Self {
            mode,
            style,
            verbose,
            notes: true,
            records: verbose || mode == Mode::Lines,
            told_at_end: false,
            state: Mutex::new(State {
                out,
                bar: None,
                pace: None,
                step: None,
                shown_at: None,
                file: None,
            }),
        }
    }

    /// Leaves notes out, because the plan that was shown has them.
    pub(crate) fn without_notes(mut self) -> Self {
        self.notes = false;
        self
    }

    /// Tells no step as it goes unless more is to be told, because what was done is said at the end.
    pub(crate) fn told_at_end(mut self) -> Self {
        self.records = self.verbose;
        self.told_at_end = true;
        self
    }

    /// Shows what a unit says that another process is.
    pub(crate) fn say_of_unit(&self, unit: &str, says: &str) {
        let mut state = self.state();
        match self.mode {
            Mode::Quiet => {}
            Mode::Json => state.write_json_line(ProgressEvent::Unit { unit, says }),
            Mode::Lines => state.write_text(&format!("{unit}: {}\n", printable(says))),
            Mode::Terminal => {
                let bar = state
                    .bar
                    .get_or_insert_with(|| new_bar(Phase::default()).with_prefix("at work"));
                bar.set_message(format!("{unit}: {}", printable(says)));
            }
        }
    }

    /// Removes the bar, so that something else can be printed.
    pub(crate) fn clear(&self) {
        self.state().end_phase();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing here half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened at this instant.
    fn show_event(&self, event: &Event<'_>, now: Instant) {
        match self.mode {
            Mode::Quiet => {}
            Mode::Json => self.state().write_json_event(event, now),
            Mode::Terminal | Mode::Lines => self.show_lines(event, now),
        }
    }

    fn show_lines(&self, event: &Event<'_>, now: Instant) {
        let mut state = self.state();
        let style = &self.style;
        let plain = self.mode == Mode::Lines;
        match event {
            Event::RunStarted { run_id, continued } => {
                if *continued {
                    state.write_text(&format!("continuing run {run_id}\n"));
                } else if self.records {
                    state.write_text(&format!("run {run_id}\n"));
                }
            }
            Event::StepStarted { step } => {
                state.end_phase();
                state.step = Some(((*step).to_owned(), now));
                if plain && self.records {
                    state.write_text(&format!("{step}: started\n"));
                }
            }
            Event::Progress(progress) => {
                if plain {
                    state.progress_line(progress, now);
                } else {
                    state.draw_bar(progress, now);
                }
            }
            // The report has the graver findings.
            Event::Noticed(finding) => {
                if self.notes && finding.severity == Severity::Note {
                    state.write_text(&messages::finding_lines(finding, style));
                }
            }
            Event::ScriptLine { step, line } => {
                let prefix = style.dim(format!("{step} |"));
                state.write_text(&format!("{prefix} {}\n", printable(line.trim_end())));
            }
            Event::StepFinished { step, outcome } => {
                let took = state.end_step(step, now);
                state.end_phase();
                if self.records {
                    // What is checked first is told here alone.
                    let is_told = !self.told_at_end
                        || (*step == CHECKED && outcome.status == Status::Succeeded);
                    let message = Some(&*outcome.message).filter(|_| is_told);
                    state.write_text(&step_end_line(step, outcome.status, message, took, style));
                }
            }
        }
    }
}

impl Observer for Bar {
    fn event(&self, event: Event<'_>) {
        self.show_event(&event, Instant::now());
    }

    fn at_hand(&self, path: &StoredPath) {
        if matches!(self.mode, Mode::Quiet | Mode::Lines) {
            return;
        }
        // Whoever holds it shows something now, and this is told again.
        if let Ok(mut state) = self.state.try_lock() {
            state.take_in_hand(path, Instant::now());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

impl State {
    /// Writes above the bar what people read.
    fn write_text(&mut self, text: &str) {
        self.write_above(&guarded(text));
    }

    fn write_above(&mut self, text: &str) {
        let Self { out, bar, .. } = self;
        let mut write = || {
            // Whoever closed the pipe does not want to read it; the work goes on.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        };
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// How long the step took, if its start was seen.
    fn end_step(&mut self, step: &str, now: Instant) -> Option<Duration> {
        let (_, began) = self.step.take().filter(|(name, _)| name == step)?;
        Some(now.saturating_duration_since(began))
    }

    fn end_phase(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.pace = None;
        self.shown_at = None;
        self.file = None;
    }

    fn take_in_hand(&mut self, path: &StoredPath, now: Instant) {
        let is_new = |at: &Instant| now.saturating_duration_since(*at) < BETWEEN_DRAWS;
        if !self.file.as_ref().is_some_and(|(_, at)| is_new(at)) {
            self.file = Some((path.shown(), now));
        }
    }

    /// Takes progress in. Returns whether it is time to show it, which it is when this much has
    /// passed since it was last shown.
    fn advance(&mut self, progress: &Progress, now: Instant, between: Duration) -> bool {
        let same = self
            .pace
            .as_ref()
            .is_some_and(|pace| pace.phase() == progress.phase);
        if !same {
            self.end_phase();
        }
        let pace = self.pace.get_or_insert_with(|| Pace::new(progress, now));
        pace.advance(progress, now);
        let due = self
            .shown_at
            .is_none_or(|at| now.saturating_duration_since(at) >= between);
        if due {
            self.shown_at = Some(now);
        }
        due
    }

    fn progress_line(&mut self, progress: &Progress, now: Instant) {
        let first = self.shown_at.is_none()
            || self
                .pace
                .as_ref()
                .is_none_or(|pace| pace.phase() != progress.phase);
        // The first of a phase says nothing yet: its line comes when the phase turns out long.
        if self.advance(progress, now, BETWEEN_LINES) && !first {
            let said = self.pace.as_ref().map(Pace::describe).unwrap_or_default();
            let step = self.step.as_ref();
            let step = step.map_or_else(String::new, |(step, _)| format!("{step}: "));
            let line = format!("{step}{}, {said}\n", phase_verb(progress.phase));
            self.write_text(&line);
        }
    }

    fn draw_bar(&mut self, progress: &Progress, now: Instant) {
        if !self.advance(progress, now, BETWEEN_DRAWS) {
            return;
        }
        let Some(pace) = &self.pace else {
            return;
        };
        let (fraction, said) = (pace.fraction(), pace.describe());
        let file = self.file.as_ref().map(|(path, _)| path.as_str());
        let bar = self.bar.get_or_insert_with(|| new_bar(progress.phase));
        match fraction {
            Some(fraction) => {
                bar.set_style(counted_style(file));
                // Truncation is meant: the bar is full when the work is done.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "between 0 and 1000"
                )]
                bar.set_position((fraction * STEPS as f64) as u64);
            }
            None => bar.set_style(endless_style(file)),
        }
        bar.set_message(said);
    }

    fn write_json_event(&mut self, event: &Event<'_>, now: Instant) {
        let file = self.file.as_ref().map(|(path, _)| path.clone());
        let event = match event {
            Event::Progress(progress) => {
                if !self.advance(progress, now, BETWEEN_OBJECTS) && !is_done(progress) {
                    return;
                }
                ProgressEvent::Progress {
                    phase: progress.phase,
                    entries: progress.entries,
                    entries_total: progress.entries_total,
                    bytes: progress.bytes,
                    bytes_total: progress.bytes_total,
                    path: file.as_deref(),
                }
            }
            Event::RunStarted { run_id, continued } => ProgressEvent::RunStarted {
                run_id,
                continued: *continued,
            },
            Event::StepStarted { step } => {
                self.end_phase();
                ProgressEvent::StepStarted { step }
            }
            Event::Noticed(finding) => ProgressEvent::Noticed { finding },
            Event::ScriptLine { step, line } => ProgressEvent::ScriptLine { step, line },
            Event::StepFinished { step, outcome } => ProgressEvent::StepFinished { step, outcome },
        };
        self.write_json_line(event);
    }

    fn write_json_line(&mut self, event: ProgressEvent<'_>) {
        if let Ok(line) = serde_json::to_string(&ProgressLine::from(event)) {
            self.write_above(&format!("{}\n", visible(&line)));
        }
    }
}

/// Whether this is the last that a phase with a known end tells.
fn is_done(progress: &Progress) -> bool {
    progress.entries_total > 0 && progress.entries == progress.entries_total
}

fn step_end_line(
    step: &str,
    status: Status,
    message: Option<&str>,
    took: Option<Duration>,
    style: &Style,
) -> String {
    let took = took.map_or_else(String::new, |took| format!(", {}", amount::span(took)));
    let message = message.filter(|message| !message.is_empty());
    let message = message.map_or_else(String::new, |message| format!(": {}", printable(message)));
    format!(
        "{step}: {}{took}{message}\n",
        report::status_mark(status, style)
    )
}

#[cfg(test)]
mod tests;

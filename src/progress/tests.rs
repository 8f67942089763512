//! What is shown of a run, by mode and time.

use std::sync::Arc;

use executor::event::Phase;
use schema::Finding;
use schema::{Severity, journal::Outcome};
use serde_json::Value;

use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn copied(share: u64) -> Event<'static> {
    Event::Progress(Progress {
        phase: Phase::Copy,
        entries: share * 100,
        entries_total: 10_000,
        bytes: share << 20,
        bytes_total: 100 << 20,
    })
}

/// A run of a hundred seconds, with an event of progress each second.
fn run(mode: Mode, verbose: bool) -> String {
    let written = Written::default();
    let bar = Bar::writing_to(mode, verbose, Style::PLAIN, Box::new(written.clone()));
    let start = Instant::now();
    let at = |event: Event<'_>, seconds: u64| {
        bar.show_event(&event, start + Duration::from_secs(seconds))
    };
    at(
        Event::RunStarted {
            run_id: "2025-01-12_02-00-00-8c1f",
            continued: false,
        },
        0,
    );
    let line = Event::ScriptLine {
        step: "pre-script",
        line: "dumping \x1b[31mdatabase\n",
    };
    at(line, 0);
    at(Event::StepStarted { step: "snapshot" }, 0);
    for second in 0..=100 {
        at(copied(second), second);
    }
    let note = Finding::new(Severity::Note, "x", "worth knowing");
    at(Event::Noticed(&note), 100);
    let warning = Finding::new(Severity::Warning, "x", "look here").hint("look");
    at(Event::Noticed(&warning), 100);
    let outcome = Outcome::success("sealed");
    let event = Event::StepFinished {
        step: "snapshot",
        outcome: &outcome,
    };
    at(event, 100);
    bar.clear();
    written.text()
}

#[test]
fn lines_come_every_ten_seconds_and_at_the_ends_of_steps() {
    insta::assert_snapshot!(run(Mode::Lines, false));
}

#[test]
fn a_terminal_keeps_only_what_must_be_read() {
    let text = run(Mode::Terminal, false);
    assert_eq!(
        text, "pre-script | dumping \\033[31mdatabase\nnote: worth knowing\n",
        "the report has what is graver"
    );
    let text = run(Mode::Terminal, true);
    assert!(
        text.ends_with("snapshot: ok, 1 min 40 s: sealed\n"),
        "{text}"
    );
}

#[test]
fn objects_stand_one_to_a_line_at_most_two_a_second() {
    let text = run(Mode::Json, false);
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["event"], "run-started");
    let progress: Vec<&Value> = objects
        .iter()
        .filter(|one| one["event"] == "progress")
        .collect();
    assert_eq!(progress.len(), 101);
    assert_eq!(progress[50]["phase"], "copy");
    assert_eq!(progress[50]["entries"], 5000);
    assert_eq!(objects.last().unwrap()["outcome"]["status"], "succeeded");

    let written = Written::default();
    let bar = Bar::writing_to(Mode::Json, false, Style::PLAIN, Box::new(written.clone()));
    let start = Instant::now();
    for tick in 0..=1000 {
        let event = copied(tick / 10);
        bar.show_event(&event, start + Duration::from_millis(tick * 10));
    }
    // Ten seconds, and the end is told even if it comes too soon.
    assert_eq!(written.text().lines().count(), 21);
}

#[test]
fn quiet_shows_nothing() {
    assert_eq!(run(Mode::Quiet, true), "");
}

#[test]
fn nobody_reading_ends_no_run() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let bar = Bar::writing_to(Mode::Json, false, Style::PLAIN, Box::new(Closed));
    let observer: &dyn Observer = &bar;
    observer.event(copied(1));
}

#[test]
fn work_without_a_known_end_still_tells_how_far_it_is() {
    let start = Instant::now();
    let mut progress = Progress {
        phase: Phase::Scan,
        ..Progress::default()
    };
    let mut pace = Pace::new(&progress, start);
    assert_eq!(pace.describe(), "waiting for the disk");
    progress.entries = 12_345;
    pace.advance(&progress, start + Duration::from_secs(5));
    assert_eq!(pace.fraction(), None);
    assert_eq!(pace.describe(), "12,345 entries");
}

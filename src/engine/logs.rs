//! Records of what happens: in the log files, and under systemd in the journal.
//!
//! Owns which event becomes which record and which file it goes to. It is never in anyone's way:
//! what cannot be written is told once and does not fail the backup.

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use executor::{
    clock::Clock,
    event::{Event, Observer},
    logs::{Files, Journald, Kind, Level, Record},
};
use schema::{finding::Finding, journal::Outcome};

/// Records of the run as a whole.
const COORDINATOR: &str = "backup-coordinator.log";
/// Records of steps that work on the destination.
const LOCAL: &str = "backup-local.log";
/// Records of steps that work on the cloud.
const CLOUD: &str = "backup-cloud.log";
/// Records of health checks.
const HEALTH: &str = "backup-health.log";

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogKind {
    /// Runs and their steps.
    Runs,
    /// A health check, which has a log of its own.
    HealthCheck,
}

/// Writes what happens to the logs, then tells another observer.
pub(super) struct Logs<'a> {
    next: &'a dyn Observer,
    clock: Clock,
    files: Option<Files>,
    journal: Option<Journald>,
    run: Mutex<Option<String>>,
    kind: LogKind,
}

impl<'a> Logs<'a> {
    /// Opens the log files in this folder; without one that can be written nothing goes there, and
    /// the error says why.
    pub(super) fn open(
        folder: &Path,
        kind: LogKind,
        clock: Clock,
        next: &'a dyn Observer,
    ) -> (Self, Option<io::Error>) {
        let (files, error) = match Files::open(folder) {
            Ok(files) => (Some(files), None),
            Err(error) => (None, Some(error)),
        };
        let logs = Self {
            next,
            clock,
            files,
            journal: Journald::of_stderr(),
            run: Mutex::default(),
            kind,
        };
        (logs, error)
    }

    /// Why something could not be written, if that happened.
    pub(super) fn fault(&self) -> Option<io::Error> {
        self.files.as_ref()?.fault()
    }

    /// Whether standard error goes to the journal, which has every record already.
    pub(super) fn is_in_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Writes a record to its file and the journal.
    fn write_record(&self, record: &Record<'_>) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let record = &Record {
            run_id: record.run_id.or(run.as_deref()),
            ..*record
        };
        if let Some(files) = &self.files {
            let name = match self.kind {
                LogKind::HealthCheck => HEALTH,
                LogKind::Runs => log_file_of(record),
            };
            files.write(name, record);
        }
        if let Some(journal) = &self.journal {
            journal.write(record);
        }
    }

    fn new_record<'r>(&self, level: Level, kind: Kind, text: &'r str) -> Record<'r> {
        Record::new(self.clock.now(), level, kind, text)
    }

    fn write_of_step(&self, step: &str, level: Level, kind: Kind, text: &str) {
        self.write_record(&Record {
            step: Some(step),
            ..self.new_record(level, kind, text)
        });
    }

    fn write_finding(&self, finding: &Finding) {
        let text = text_with_hint(&finding.message, finding.hint.as_deref());
        let kind = match self.kind {
            LogKind::HealthCheck => Kind::Health,
            LogKind::Runs => Kind::Finding,
        };
        self.write_record(&self.new_record(finding.severity.into(), kind, &text));
    }

    fn write_step_end(&self, step: &str, outcome: &Outcome) {
        let text = match outcome.message.as_str() {
            "" => outcome.status.word().to_owned(),
            message => text_with_hint(message, outcome.hint.as_deref()),
        };
        let snapshot = outcome.sealed.as_ref().map(|sealed| sealed.id.to_string());
        let snapshot = snapshot.as_deref();
        self.write_record(&Record {
            step: Some(step),
            snapshot,
            ..self.new_record(outcome.status.into(), Kind::StepFinished, &text)
        });
        for problem in &outcome.problems {
            self.write_record(&Record {
                step: Some(step),
                snapshot,
                path: Some(&problem.path),
                ..self.new_record(Level::Warning, Kind::Problem, &problem.message)
            });
        }
    }
}

/// The file that a record belongs to: its step's, wherever that runs.
fn log_file_of(record: &Record<'_>) -> &'static str {
    match record.step {
        Some("destination-check" | "space-check" | "snapshot" | "rotate" | "repair") => LOCAL,
        Some(step) if step.starts_with("cloud") => CLOUD,
        _ => COORDINATOR,
    }
}

fn text_with_hint(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(
        || message.to_owned(),
        |hint| format!("{message}; hint: {hint}"),
    )
}

impl Observer for Logs<'_> {
    fn event(&self, event: Event<'_>) {
        match &event {
            Event::RunStarted { run_id, continued } => {
                *self.run.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((*run_id).to_owned());
                let how = if *continued { "continued" } else { "started" };
                let text = format!("run {run_id} {how}");
                self.write_record(&self.new_record(Level::Info, Kind::Run, &text));
            }
            Event::StepStarted { step } => {
                self.write_of_step(step, Level::Info, Kind::StepStarted, "started");
            }
            Event::ScriptLine { step, line } => {
                self.write_of_step(step, Level::Info, Kind::Output, line);
            }
            Event::Noticed(finding) => self.write_finding(finding),
            Event::StepFinished { step, outcome } => self.write_step_end(step, outcome),
            Event::Progress(_) => {}
        }
        self.next.event(event);
    }
}

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
    Error,
    clock::Clock,
    event::{Event, Observer},
    logs::{Files, Journald, Kind, Level, Record},
};
use planner::{findings::code::part_of, units};
use schema::{
    Config, StoredPath,
    config::DestinationName,
    finding::Finding,
    journal::Outcome,
    plan::{
        Part,
        chain::{plain_id, split_id},
        copies_away,
    },
};

/// Records of the run as a whole.
const COORDINATOR: &str = "backup-coordinator.log";
/// Records of steps that work on the destination.
const LOCAL: &str = "backup-local.log";
/// Records of steps that work on the cloud.
const CLOUD: &str = "backup-cloud.log";
/// Records of health checks.
const HEALTH: &str = "backup-health.log";
/// Records of drills.
const DRILL: &str = "backup-drill.log";

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogKind {
    /// Backups and their steps.
    Backups,
    /// Other runs and their steps.
    Runs,
    /// A health check, which has a log of its own.
    HealthCheck,
    /// A drill, which has one too.
    Drill,
}

/// Writes what happens to the logs, then tells another observer.
pub(super) struct Logs<'a> {
    next: &'a dyn Observer,
    clock: Clock,
    files: Option<Files>,
    journal: Option<Journald>,
    run: Mutex<Option<String>>,
    kind: LogKind,
    /// The part without which there is no backup: what keeps a run from being one is told there too.
    main: Part,
}

impl<'a> Logs<'a> {
    /// Opens the log files in this folder; without one that can be written nothing goes there, and
    /// the error says why.
    pub(super) fn open(
        folder: &Path,
        kind: LogKind,
        config: &Config,
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
            main: match config.local.enable || !config.chains().is_empty() {
                true => Part::Local,
                false => Part::Cloud,
            },
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

    /// Writes a record to the file of its step and the journal.
    fn write_record(&self, record: &Record<'_>) {
        self.write_record_of(&[part_of_step(record.step)], record);
    }

    /// Writes a record to the files of these parts and the journal, where the last of them is the one
    /// that it is about.
    fn write_record_of(&self, parts: &[Part], record: &Record<'_>) {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let named = record.step.and_then(|step| split_id(step).1);
        let named = named.map(|name| units::service_of(&DestinationName::new(name)));
        let unit = named.as_deref().or(parts.last().copied().and_then(unit_of));
        let record = &Record {
            run_id: record.run_id.or(run.as_deref()),
            unit: unit.filter(|_| matches!(self.kind, LogKind::Backups | LogKind::Runs)),
            ..*record
        };
        self.write_to_files(parts, record);
        if let Some(journal) = &self.journal {
            journal.write(record);
        }
    }

    fn write_to_files(&self, parts: &[Part], record: &Record<'_>) {
        let Some(files) = &self.files else {
            return;
        };
        match self.kind {
            LogKind::HealthCheck => files.write(HEALTH, record),
            LogKind::Drill => files.write(DRILL, record),
            LogKind::Backups | LogKind::Runs => {
                for part in parts {
                    files.write(log_file_of(*part), record);
                }
            }
        }
    }

    /// Writes the error that ends a verb to the files: the journal gets it from whoever ends with it.
    pub(super) fn write_error(&self, error: &Error) {
        if error.kind.step_status().is_none() {
            return;
        }
        let text = text_with_hint(&error.message, error.hint.as_deref());
        let record = self.new_record(Level::Error, Kind::Error, &text);
        let parts: &[Part] = match self.kind {
            LogKind::Backups => &[Part::Coordinator, self.main],
            LogKind::Runs | LogKind::HealthCheck | LogKind::Drill => &[Part::Coordinator],
        };
        self.write_to_files(parts, &record);
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
            LogKind::Backups | LogKind::Runs | LogKind::Drill => Kind::Finding,
        };
        let record = self.new_record(finding.severity.into(), kind, &text);
        // Who looks for why there is no snapshot looks at the part that makes it.
        match part_of(finding, self.main) {
            Part::Coordinator => self.write_record_of(&[Part::Coordinator], &record),
            part => self.write_record_of(&[Part::Coordinator, part], &record),
        }
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

/// The part that a record belongs to: its step's, wherever that runs.
fn part_of_step(step: Option<&str>) -> Part {
    match step.map(plain_id) {
        Some("destination-check" | "space-check" | "snapshot" | "rotate" | "repair") => Part::Local,
        Some(step) if copies_away(step) => Part::Cloud,
        _ => Part::Coordinator,
    }
}

/// The file of a part.
fn log_file_of(part: Part) -> &'static str {
    match part {
        Part::Coordinator => COORDINATOR,
        Part::Local => LOCAL,
        Part::Cloud => CLOUD,
    }
}

/// The unit of a part, where a record of it may come from another process than that unit's.
fn unit_of(part: Part) -> Option<&'static str> {
    match part {
        Part::Coordinator => None,
        Part::Local => Some(units::LOCAL),
        Part::Cloud => Some(units::CLOUD),
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

    fn at_hand(&self, path: &StoredPath) {
        self.next.at_hand(path);
    }
}

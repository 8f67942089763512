//! The log files: one line a record, control characters escaped, never in anyone's way.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Mutex,
};

use executor::{
    clock::Clock,
    event::{Event, Observer},
};
use schema::{escape, finding::Finding};

/// Steps whose records go to `backup-local.log`; the others' go to `backup-coordinator.log`.
const LOCAL: [&str; 4] = ["destination-check", "space-check", "snapshot", "rotate"];

/// Writes what happens to the log files, then tells another observer.
pub(crate) struct Logs<'a> {
    next: &'a dyn Observer,
    clock: Clock,
    files: Option<(Mutex<File>, Mutex<File>)>,
}

impl<'a> Logs<'a> {
    /// Opens the log files, making the folder and those above it with `mode`; without a folder that
    /// can be written nothing is logged, and the error says why.
    pub(crate) fn new(
        folder: &Path,
        mode: u32,
        clock: Clock,
        next: &'a dyn Observer,
    ) -> (Self, Option<std::io::Error>) {
        let open = |name: &str| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o640)
                .open(folder.join(name))
                .map(Mutex::new)
        };
        let files = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(folder)
            .and_then(|()| Ok((open("backup-coordinator.log")?, open("backup-local.log")?)));
        let (files, error) = match files {
            Ok(files) => (Some(files), None),
            Err(error) => (None, Some(error)),
        };
        (Self { next, clock, files }, error)
    }

    fn write(&self, step: Option<&str>, level: &str, text: &str) {
        let Some((coordinator, local)) = &self.files else {
            return;
        };
        let is_local = step.is_some_and(|step| LOCAL.contains(&step));
        let file = if is_local { local } else { coordinator };
        let time = self.clock.now().format("%Y-%m-%dT%H:%M:%S%:z");
        let text = escape::display(text.as_bytes());
        let step = step.map(|step| format!(" {step}:")).unwrap_or_default();
        if let Ok(mut file) = file.lock() {
            let _ = writeln!(file, "{time} {level}{step} {text}");
        }
    }

    /// Logs a finding of the plan.
    pub(crate) fn finding(&self, finding: &Finding) {
        let level = format!("{:?}", finding.severity).to_lowercase();
        self.write(None, &level, &finding.message);
    }
}

impl Observer for Logs<'_> {
    fn event(&self, event: Event<'_>) {
        match &event {
            Event::RunStarted { run_id, continued } => {
                let how = if *continued { "continued" } else { "started" };
                self.write(None, "info", &format!("run {run_id} {how}"));
            }
            Event::StepStarted { step } => self.write(Some(step), "info", "started"),
            Event::ScriptLine { step, line } => self.write(Some(step), "info", line),
            Event::Noticed(finding) => self.finding(finding),
            Event::StepFinished { step, outcome } => {
                let level = if outcome.status.serves() {
                    "info"
                } else {
                    "error"
                };
                self.write(Some(step), level, &outcome.message);
                for problem in &outcome.problems {
                    let text = format!("{}: {}", problem.path, problem.message);
                    self.write(Some(step), "warning", &text);
                }
            }
            Event::Progress(_) => {}
        }
        self.next.event(event);
    }
}

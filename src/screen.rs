//! What a person sees while the engine works: progress, and what is noticed meanwhile.

use std::{
    io::IsTerminal as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use backup::{Notice, Observer};
use chrono::{DateTime, FixedOffset};
use executor::event::{self, Event};
use schema::StoredPath;

use crate::{
    out::Out,
    progress::{Bar, Mode},
    render::{self, amount, report::Told},
    service::Service,
    settings::Settings,
    style::shown,
};

/// When a plan is shown that is run next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlanShown {
    Never,
    BeforeRun,
    InTrial,
}

/// Shows a person what the engine tells.
pub(crate) struct Screen<'a> {
    settings: &'a Settings,
    out: &'a Out,
    bar: Bar,
    service: Service,
    plan_shown: PlanShown,
    /// The words of `--as-of`, where they say which snapshot is restored from.
    as_of: Option<&'a str>,
    /// Whether what is damaged is repaired.
    repairs: bool,
    /// Whether standard error is the journal of systemd, which has every event already.
    muted: AtomicBool,
    /// What the plan that was shown told.
    told: Mutex<Option<Told>>,
}

impl<'a> Screen<'a> {
    /// A screen on standard error, as the options want it.
    pub(crate) fn new(settings: &'a Settings, out: &'a Out) -> Self {
        let mode = if settings.quiet {
            Mode::Quiet
        } else if settings.json {
            Mode::Json
        } else if std::io::stderr().is_terminal() {
            Mode::Terminal
        } else {
            Mode::Lines
        };
        Self {
            settings,
            out,
            bar: Bar::new(mode, settings.verbose, settings.error_style),
            service: Service::default(),
            plan_shown: PlanShown::Never,
            as_of: None,
            repairs: false,
            muted: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// The same screen, which leaves notes out because something else shows them.
    pub(crate) fn without_notes(mut self) -> Self {
        self.bar = self.bar.without_notes();
        self
    }

    /// The same screen, which shows a plan before it is run, with its notes.
    pub(crate) fn showing_plan(self) -> Self {
        Self {
            plan_shown: PlanShown::BeforeRun,
            ..self.without_notes()
        }
    }

    /// The same screen, which shows progress in a terminal only, and the plan if that is wanted.
    pub(crate) fn for_trial(mut self, shows_plan: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            self.bar = Bar::new(Mode::Quiet, false, self.settings.error_style);
        }
        if shows_plan {
            self.plan_shown = PlanShown::InTrial;
            return self.without_notes();
        }
        self
    }

    /// The same screen, which tells no step as it goes unless more is to be told: what was done is said in
    /// one line at the end.
    pub(crate) fn told_at_end(mut self) -> Self {
        self.bar = self.bar.told_at_end();
        self
    }

    /// The same screen, for a restore as of a time in these words.
    pub(crate) fn with_as_of(self, words: Option<&'a str>) -> Self {
        Self {
            as_of: words,
            ..self
        }
    }

    /// The same screen, for a comparison that repairs what is damaged.
    pub(crate) fn repairing(self, repairs: bool) -> Self {
        Self { repairs, ..self }
    }

    /// Takes the progress away, before something else is shown.
    pub(crate) fn clear(&self) {
        self.bar.clear();
    }

    /// What the plan that was shown told; none where none was.
    pub(crate) fn told(&self) -> Option<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone()
    }

    /// What a notice says on standard error in one line, unless only errors are wanted.
    fn say(&self, text: &str) {
        self.out
            .print_line_unless_quiet(&render::hint::pasted(text));
    }

    fn show_plan(&self, plan: &schema::Plan, inventory: &schema::Inventory) {
        let settings = self.settings;
        let is_whole = settings.verbose || self.plan_shown == PlanShown::InTrial;
        let text = || render::plan::backup_plan(plan, inventory, is_whole, &settings.style);
        match self.plan_shown {
            PlanShown::Never => {}
            PlanShown::BeforeRun if !settings.json && !settings.quiet => {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.get_or_insert_default().add(plan);
                self.out.print_data(&text());
                self.out.print_data("\n");
            }
            PlanShown::InTrial if !settings.quiet => {
                self.out.print_data(&text());
                self.out.print_unless_quiet("");
            }
            PlanShown::BeforeRun | PlanShown::InTrial => {}
        }
    }

    fn show_verification(&self, found: &schema::verify::Verification) {
        let settings = self.settings;
        let text = |style| render::verify::verification_page(found, self.repairs, style);
        if settings.json {
            // The whole of it is one document, at the end.
        } else if !settings.quiet {
            self.out.print_data(&text(&settings.style));
        } else if found.damage_count > 0 {
            self.out.print_message(&text(&settings.error_style));
        }
    }

    fn show_repair(&self, report: &schema::Report, remaining: u64) {
        let settings = self.settings;
        let text = render::verify::repair_lines(report, remaining, &settings.style);
        if settings.json {
            // As above.
        } else if !settings.quiet {
            self.out.print_data(&format!("\n{text}"));
        } else if report.result != schema::RunResult::Success {
            self.out.print_message(&text);
        }
    }

    fn say_no_metrics(&self, error: &executor::Error) {
        self.say(&format!(
            "warning: no metrics are written: {}",
            error.message
        ));
        if let Some(hint) = &error.hint {
            self.say(&render::hint::line(2, hint));
        }
    }

    /// Says which folder is restored from, when it was made, and whether its manifest is damaged.
    fn say_restoring_from(&self, folder: &str, made: Option<(DateTime<FixedOffset>, bool)>) {
        // Otherwise what was done says it.
        let is_damaged = made.is_some_and(|(_, is_damaged)| is_damaged);
        if self.as_of.is_none() && !is_damaged {
            return;
        }
        let made = made.map_or_else(String::new, |(at, is_damaged)| {
            let damaged = if is_damaged {
                ", whose manifest is damaged"
            } else {
                ""
            };
            format!(", made {}{damaged}", at.format("%Y-%m-%d %H:%M"))
        });
        self.say(&match self.as_of {
            Some(words) => format!("as of {words}: {folder}{made}"),
            None => format!("from {folder}{made}"),
        });
    }

    fn say_downloaded(
        &self,
        files: u64,
        id: schema::SnapshotId,
        remote: &str,
        damaged: &[schema::SnapshotId],
    ) {
        let files = amount::plural(files, "file", "files");
        self.say(&format!("{files} of {id} downloaded from {remote}"));
        for one in damaged {
            self.say(&format!(
                "note: the record or the manifest of {one} at {remote} is damaged: {id} is the \
                 newest that can be restored"
            ));
        }
    }
}

impl event::Observer for Screen<'_> {
    fn event(&self, event: Event<'_>) {
        self.service.notify_event(&event);
        if !self.muted.load(Ordering::Relaxed) {
            self.bar.event(event);
        }
    }

    fn at_hand(&self, path: &StoredPath) {
        if !self.muted.load(Ordering::Relaxed) {
            self.bar.at_hand(path);
        }
    }
}

impl Observer for Screen<'_> {
    fn notice(&self, notice: &Notice<'_>) {
        self.clear();
        match notice {
            Notice::Planned { plan, inventory } => self.show_plan(plan, inventory),
            Notice::NotContinued { run_id, because } => {
                self.say(&format!("run {run_id} is not continued: {because}"));
            }
            Notice::HadFailed { run_id } => self.say(&format!(
                "run {run_id} had failed before it was interrupted; a new one takes its place"
            )),
            Notice::UnreadableBasis { run_id, basis } => self.say(&format!(
                "run {run_id} ended early: {basis}, which it was to be linked to, cannot be read; a \
                 new one, which does without it, takes its place"
            )),
            Notice::LogOpened { in_journal } => {
                let muted = *in_journal && !self.settings.json;
                self.muted.store(muted, Ordering::Relaxed);
            }
            Notice::LogClosed => self.muted.store(false, Ordering::Relaxed),
            Notice::NotLogged { folder, because } => self.say(&format!(
                "note: not everything is logged in {}: {because}",
                shown(folder)
            )),
            Notice::NotRemembered { because } => {
                self.say(&format!("note: this is not remembered: {because}"));
            }
            Notice::ReportNotMailed { error } => self.say(&format!(
                "warning: the report by mail (notifications.report) was not sent: {}",
                error.message
            )),
            Notice::NoMetrics { error } => self.say_no_metrics(error),
            Notice::RestoringFrom { folder, made } => self.say_restoring_from(folder, *made),
            Notice::NewerPassedOver(warning) => {
                self.out.print_message(&render::hint::pasted(warning))
            },
            Notice::OtherTaken(text) => self.say(&format!("note: {text}")),
            Notice::NotAsked { remote, because } => self.say(&format!(
                "note: {remote} cannot be asked now, and this is what is known of it here: {because}"
            )),
            Notice::DamagedThere { remote, damaged } => {
                for one in *damaged {
                    self.say(&format!(
                        "note: the record or the manifest of {one} at {remote} is damaged, and it \
                         cannot be used"
                    ));
                }
            }
            Notice::Downloaded {
                files,
                id,
                remote,
                damaged,
            } => self.say_downloaded(*files, *id, remote, damaged),
            Notice::CopiesTakenOver { remote } => self.say(&format!(
                "the next copy to {remote} makes what is there this machine's"
            )),
            Notice::Verified(found) => self.show_verification(found),
            Notice::Repaired { report, remaining } => self.show_repair(report, *remaining),
            // What this program is too old to know.
            _ => {}
        }
    }
}

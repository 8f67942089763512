//! `setup`: a first configuration from questions or options, checked, with its units.
//!
//! What is proposed and what an answer means is the planner's; what is written is the engine's. Here it
//! is asked for and told.

mod asking;
mod enabling;
mod places;
mod telling;

use std::{io::IsTerminal as _, path::Path};

use anyhow::Result;
use backup::engine::{
    self, InitRequest, RunOutcome, UnitPlace, check_config, check_new_config, look_around,
    may_write_readme, readme_path, write_new_config,
};
use executor::Error;
use planner::setup::{Answers, PlaceFault, Schedule, judge_place};
use schema::{
    Config, FailureCode, RunResult,
    journal::Status,
    output::setup::{FORMAT_VERSION, SetupOutcome, SetupWarning},
    setup::Surroundings,
};

use self::{asking::Person, enabling::Enabling};
use crate::{
    cli::Setup,
    exit::{self, invalid_input},
    out::Out,
    render,
    screen::Screen,
    settings::{self, Settings, home_folder},
    style::shown,
};

/// Makes a first configuration, and what was asked for besides.
pub(crate) fn set_up(arguments: &Setup, settings: &Settings, out: &Out) -> Result<u8> {
    let is_there = settings.config_path.symlink_metadata().is_ok();
    let found = look_around(&home_folder());
    if is_there && !arguments.replace {
        if only_enables(arguments) {
            return enable_existing(arguments, &found, settings, out);
        }
        return Err(refuse_existing(settings).into());
    }
    let person = (!settings.json && !arguments.yes && std::io::stdin().is_terminal())
        .then(|| Person::new(settings, out, &found));
    let answers = asking::find_answers(arguments, &found, person.as_ref())?;
    let found = look_again(person.as_ref(), &found);
    let text = answers.to_config_text();
    let config = check_new_config(&text)
        .map_err(|fault| settings.explain_fault(&settings.config_path, fault, out))?;
    let faults = judge_answers(&answers, &found)?;
    let mut steps = Steps {
        settings,
        out,
        outcome: begin_outcome(arguments, settings, text),
        code: exit::DONE,
    };
    for fault in &faults {
        steps.warn(&fault.message, Some(&fault.hint));
    }
    let is_absent = faults.iter().any(|fault| fault.is_absence);
    if is_absent {
        // What is asked for is done, and no backup can be made yet.
        steps.code = exit::INCOMPLETE;
    }
    let wishes = wishes_of(arguments, &answers, is_absent, person.as_ref(), &found)?;
    let enabling = wishes
        .enables
        .then(|| Enabling::prepare(wishes.installs, &config, &found, settings))
        .transpose()?;
    if !arguments.dry_run {
        steps.write()?;
        steps.check()?;
        if wishes.inits && steps.code < exit::REFUSED {
            steps.init(config.clone());
        }
    }
    steps.enable(enabling.as_ref(), arguments.dry_run)?;
    let program = enabling.as_ref().and_then(Enabling::installed);
    steps.outcome.next = telling::next_steps(
        &steps.outcome,
        &config,
        true,
        is_absent,
        program,
        &found,
        settings,
    );
    steps.tell();
    Ok(steps.code)
}

/// What there is now: while a person was asked, the drive may have been mounted.
fn look_again(person: Option<&Person<'_>>, found: &Surroundings) -> Surroundings {
    person.map_or_else(|| found.clone(), |_| look_around(&home_folder()))
}

/// What was decided besides the answers.
struct Wishes {
    inits: bool,
    enables: bool,
    installs: bool,
}

fn wishes_of(
    arguments: &Setup,
    answers: &Answers,
    is_absent: bool,
    person: Option<&Person<'_>>,
    found: &Surroundings,
) -> Result<Wishes> {
    let is_scheduled = answers.schedule != Schedule::ByHand;
    let has_drive = answers.mount_point.is_some();
    if arguments.enable && !is_scheduled {
        return Err(invalid_input(
            "--enable needs a schedule: with `--schedule none` nothing starts backups",
            "say --schedule daily, or leave --enable out",
        ));
    }
    let mut wishes = Wishes {
        inits: has_drive && (arguments.init || arguments.yes) && !is_absent,
        enables: arguments.enable,
        installs: arguments.install,
    };
    let Some(person) = person.filter(|_| !arguments.dry_run) else {
        return Ok(wishes);
    };
    person.confirm_writing()?;
    if has_drive && !is_absent && !wishes.inits {
        wishes.inits = person.agrees("Set the drive up for this machine now?")?;
    }
    if !wishes.enables && is_scheduled && found.has_systemd && !enabling::is_nix_made(found) {
        wishes.enables = person.agrees("Have systemd start backups on this schedule?")?;
    }
    if wishes.enables
        && !wishes.installs
        && let Some(because) = enabling::why_untrusted(found)?
    {
        person.tell(&format!("Root would run this program, and {because}."));
        wishes.installs = person.agrees("Install a copy as /usr/local/bin/backup?")?;
    }
    Ok(wishes)
}

/// Whether nothing is wanted but the units of the configuration that is there.
fn only_enables(arguments: &Setup) -> bool {
    let Setup {
        mount_point,
        cloud,
        sources,
        schedule,
        engine,
        allow_full_copies,
        ..
    } = arguments;
    let answers = mount_point.is_some()
        || cloud.is_some()
        || !sources.is_empty()
        || schedule.is_some()
        || engine.is_some()
        || *allow_full_copies;
    arguments.enable && !answers
}

/// Enables the units of the configuration that is there.
fn enable_existing(
    arguments: &Setup,
    found: &Surroundings,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let config = settings.read_config(out)?;
    if config.trial.is_some() {
        return Err(
            Error::refused("a trial has no units: its folder is no drive")
                .hint(format!(
                    "make a configuration for good with {}",
                    settings::setup_for_good()
                ))
                .into(),
        );
    }
    if !config.schedule.enable {
        return Err(invalid_input(
            format!(
                "schedule.enable is false in {}: nothing starts backups",
                shown(&settings.config_path)
            ),
            "set it to true, then do this again",
        ));
    }
    let enabling = Enabling::prepare(arguments.install, &config, found, settings)?;
    let text = std::fs::read_to_string(&settings.config_path)?;
    let mut steps = Steps {
        settings,
        out,
        outcome: begin_outcome(arguments, settings, text),
        code: exit::DONE,
    };
    steps.enable(Some(&enabling), arguments.dry_run)?;
    let program = enabling.installed();
    steps.outcome.next = telling::next_steps(
        &steps.outcome,
        &config,
        false,
        false,
        program,
        found,
        settings,
    );
    steps.tell();
    Ok(steps.code)
}

/// The refusal to write over a configuration that nobody said may go.
fn refuse_existing(settings: &Settings) -> Error {
    let path = &settings.config_path;
    if engine::read_config(path).is_ok_and(|read| read.config.trial.is_some()) {
        let command = settings::setup_for_good();
        return Error::refused(format!("{} is the configuration of a trial", shown(path)))
            .coded(FailureCode::InTheWay)
            .hint(format!("{command} makes one for good"));
    }
    Error::refused(format!("{} is there already", shown(path)))
        .coded(FailureCode::InTheWay)
        .hint(
            "`backup check` validates it, `backup setup --enable` makes its units; `backup setup \
             --replace` makes a new one and keeps this one beside it",
        )
}

/// What is wrong with the place, where that does not forbid it; what a source lacks forbids it.
fn judge_answers(answers: &Answers, found: &Surroundings) -> Result<Vec<PlaceFault>> {
    let Answers {
        mount_point,
        sources,
        full_copies,
        ..
    } = answers;
    let Some(mount_point) = mount_point else {
        return Ok(Vec::new());
    };
    let faults = judge_place(found, mount_point, sources, *full_copies);
    if let Some(fault) = faults.iter().find(|fault| fault.forbids) {
        let PlaceFault { message, hint, .. } = fault;
        return Err(Error::refused(message.clone()).hint(hint.clone()).into());
    }
    Ok(faults)
}

fn begin_outcome(arguments: &Setup, settings: &Settings, text: String) -> SetupOutcome {
    let readme = readme_path(&settings.config_path);
    SetupOutcome {
        format_version: FORMAT_VERSION,
        dry_run: arguments.dry_run,
        config: shown(&settings.config_path),
        text,
        readme: may_write_readme(&readme).then(|| shown(&readme)),
        kept: None,
        installed: None,
        units: Vec::new(),
        enabled: Vec::new(),
        initialized: false,
        warnings: Vec::new(),
        next: Vec::new(),
    }
}

/// What is done one after the other, and what came of it so far.
struct Steps<'a> {
    settings: &'a Settings,
    out: &'a Out,
    outcome: SetupOutcome,
    code: u8,
}

impl Steps<'_> {
    /// Tells of something that is not as it should be, and keeps it.
    fn warn(&mut self, message: &str, hint: Option<&str>) {
        self.outcome.warnings.push(SetupWarning {
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        });
        if !self.settings.json && !self.settings.quiet {
            let style = &self.settings.error_style;
            let text = render::messages::warning_lines(message, hint, style);
            self.out.print_message(&text);
        }
    }

    /// Tells of what was done.
    fn say(&self, text: &str) {
        if !self.settings.json {
            self.out.print_line_unless_quiet(text);
        }
    }

    fn write(&mut self) -> Result<()> {
        let path = &self.settings.config_path;
        let readme = telling::readme(self.settings);
        let written = write_new_config(path, &self.outcome.text, &readme)?;
        self.say(&format!("wrote {}", shown(path)));
        match &written.readme {
            Some(readme) => self.say(&format!("wrote {}: what each key means", shown(readme))),
            None => {
                let readme = readme_path(path);
                self.say(&format!(
                    "{} is not ours and stays as it is",
                    shown(&readme)
                ));
            }
        }
        if let Some(kept) = &written.kept {
            self.say(&format!("kept the old one as {}", shown(kept)));
        }
        self.outcome.readme = written.readme.as_deref().map(shown);
        self.outcome.kept = written.kept.as_deref().map(shown);
        Ok(())
    }

    /// Checks what was written, as `backup check` does.
    fn check(&mut self) -> Result<()> {
        let (path, settings, out) = (&self.settings.config_path, self.settings, self.out);
        let checked = check_config(path, &settings.state_dir);
        let checked = checked.map_err(|fault| settings.explain_fault(path, fault, out))?;
        for warning in &checked.warnings {
            self.warn(&warning.to_string(), None);
        }
        for file in &checked.untrusted {
            let message = format!("{} is not to be trusted: {}", file.path, file.because);
            self.warn(&message, Some(&file.hint));
            self.code = exit::REFUSED;
        }
        Ok(())
    }

    /// Sets the drive up for this machine. What keeps that from being done is told, and is no reason to
    /// leave out the rest.
    fn init(&mut self, config: Config) {
        let screen = Screen::new(self.settings, self.out).told_at_end();
        let engine = self.settings.engine_for(config);
        let done = engine.init(&InitRequest::default(), &screen);
        screen.clear();
        let run = match done {
            Ok(run) => run,
            Err(error) => {
                self.code = exit::code_of_error(&error, self.settings.stop.signal());
                return self.warn(&error.message, error.hint.as_deref());
            }
        };
        let report = run.report();
        if matches!(&run, RunOutcome::Ended(_)) && report.result == RunResult::Success {
            self.outcome.initialized = true;
            let mount_point = &engine.config().local.mount_point;
            return self.say(&format!("set up {mount_point} for this machine"));
        }
        self.code = exit::code_of_result(report.result);
        for finding in &report.findings {
            self.warn(&finding.message, finding.hint.as_deref());
        }
        for done in &report.steps {
            let outcome = &done.outcome;
            if outcome.status != Status::Succeeded && !outcome.message.is_empty() {
                self.warn(&outcome.message, outcome.hint.as_deref());
            }
        }
    }

    /// Writes the units and has systemd start them; only names them if nothing is to be written.
    fn enable(&mut self, enabling: Option<&Enabling>, is_dry: bool) -> Result<()> {
        let Some(enabling) = enabling else {
            return Ok(());
        };
        self.outcome.units = enabling.paths();
        self.outcome.installed = enabling.installed().map(shown);
        if is_dry {
            return Ok(());
        }
        let told = |text: &str| self.say(text);
        let enabled = enabling.enable(&told)?;
        let mut page = render::page::Page::default();
        page.line(0, &format!("enabled {}", enabled.join(", ")));
        page.into_string().lines().for_each(|line| self.say(line));
        self.outcome.enabled = enabled;
        if !nix::unistd::geteuid().is_root() {
            self.say(
                "they run while you are logged in; `loginctl enable-linger` has them run always",
            );
        }
        Ok(())
    }

    /// Shows what there is now, or would be.
    fn tell(&self) {
        if self.settings.json {
            self.out.print_json(&self.outcome);
        } else if self.outcome.dry_run {
            self.out.print_data(&telling::dry_run_page(&self.outcome));
        } else {
            let page = telling::next_page(&self.outcome, &self.settings.error_style);
            self.out.print_unless_quiet(&page);
        }
    }
}

/// The place of units of whoever runs this.
fn unit_place() -> UnitPlace {
    if nix::unistd::geteuid().is_root() {
        UnitPlace::of_system()
    } else {
        UnitPlace::of_user(&settings::xdg_folder("XDG_CONFIG_HOME", ".config"))
    }
}

/// Why something cannot be backed up, with what was typed.
fn look_at_source(path: &Path) -> Result<(), Error> {
    engine::look_at_source(path)
}

//! The questions: what is not said by an option is asked of the person at the terminal, or taken as it
//! is proposed.

use std::path::Path;

use anyhow::Result;
use executor::Error;
use planner::setup::{
    Answers, CopyEngine, IdlePlace, ProposedPlace, Remote, Schedule, parse_folders, propose_engine,
    propose_idle, propose_min_space, propose_place, propose_places, propose_sources,
};
use schema::{setup::Surroundings, shell};

use super::{look_at_source, places};
use crate::{
    cli::{self, Setup},
    exit::invalid_input,
    out::Out,
    question::ask_line,
    render,
    settings::Settings,
    style::printable,
    typed,
};

/// What is proposed for each question.
pub(super) struct Proposed {
    pub(super) places: Vec<ProposedPlace>,
    pub(super) idle: Vec<IdlePlace>,
    sources: Vec<String>,
    engine: CopyEngine,
}

/// When backups are made if nobody says otherwise.
const DAILY: &str = "daily";

/// All answers: what the options say, then what the person says, then with `--yes` what is proposed.
pub(super) fn find_answers(
    arguments: &Setup,
    found: &Surroundings,
    person: Option<&Person<'_>>,
) -> Result<Answers> {
    let proposed = Proposed {
        places: propose_places(found),
        idle: propose_idle(found),
        sources: propose_sources(found),
        engine: propose_engine(found),
    };
    let given = Given::read(arguments)?;
    refuse_without_drive(arguments)?;
    let has_place = given.mount_point.is_some() || given.cloud.is_some();
    if person.is_none() && (!arguments.yes || !has_place) {
        refuse_missing(arguments, &given, &proposed)?;
    }
    let full_copies = arguments.allow_full_copies;
    let place = || propose_place(&proposed.places).map(|place| place.mount_point.clone());
    let (mount_point, cloud) = match (has_place, person) {
        (true, _) => (given.mount_point, given.cloud),
        (false, Some(person)) => person.ask_place(&proposed, full_copies)?,
        (false, None) => (place(), None),
    };
    let sources = match (given.sources, person) {
        (Some(given), _) => given,
        (None, Some(person)) => person.ask_sources(&proposed.sources)?,
        (None, None) => proposed.sources,
    };
    let schedule = match (given.schedule, person) {
        (Some(given), _) => given,
        (None, Some(person)) => person.ask_schedule()?,
        (None, None) => Schedule::At(DAILY.to_owned()),
    };
    let engine = match (given.engine, person) {
        (Some(given), _) => given,
        (None, Some(person)) if mount_point.is_some() => person.ask_engine(proposed.engine)?,
        (None, Some(_)) => proposed.engine,
        (None, None) => proposed.engine,
    };
    let drive = mount_point.as_deref();
    Ok(Answers {
        min_space_gb: drive.and_then(|place| propose_min_space(found, place)),
        mount_point,
        cloud,
        sources,
        schedule,
        engine,
        full_copies,
    })
}

/// Refuses what is of a drive where there is none.
fn refuse_without_drive(arguments: &Setup) -> Result<()> {
    let of_drive = [
        ("--init", arguments.init),
        ("--engine", arguments.engine.is_some()),
        ("--allow-full-copies", arguments.allow_full_copies),
    ];
    let is_cloud_only = arguments.cloud.is_some() && arguments.mount_point.is_none();
    match of_drive.iter().find(|(_, is_said)| *is_said) {
        Some((option, _)) if is_cloud_only => Err(invalid_input(
            format!("{option} is about a drive, and with --cloud alone there is none"),
            format!("say --mount-point as well, or leave {option} out"),
        )),
        _ => Ok(()),
    }
}

/// What the options say.
struct Given {
    mount_point: Option<String>,
    cloud: Option<Remote>,
    sources: Option<Vec<String>>,
    schedule: Option<Schedule>,
    engine: Option<CopyEngine>,
}

impl Given {
    fn read(arguments: &Setup) -> Result<Self> {
        let mount_point = arguments.mount_point.as_deref();
        let mount_point = mount_point.map(|path| whole_path(path, "--mount-point"));
        let cloud = arguments.cloud.as_deref().map(|remote| {
            let file = arguments.rclone_config.as_deref();
            places::find_remote(remote, file)
        });
        let sources = arguments.sources.iter();
        let sources = sources.map(|path| {
            let path = whole_path(path, "--source")?;
            look_at_source(Path::new(&path)).map_err(|error| {
                let hint = "name a folder or file that is there, once with each --source";
                invalid_input(format!("{} (--source)", error.message), hint)
            })?;
            Ok(path)
        });
        let sources = sources.collect::<Result<Vec<String>>>()?;
        let schedule = arguments.schedule.as_deref().map(|text| {
            Schedule::parse(text).map_err(|fault| {
                let hint = "say daily, weekly, none, or an expression such as 'Mon,Thu 20:00'";
                invalid_input(format!("{fault} (--schedule)"), hint)
            })
        });
        Ok(Self {
            mount_point: mount_point.transpose()?,
            cloud: cloud.transpose()?,
            sources: (!sources.is_empty()).then_some(sources),
            schedule: schedule.transpose()?,
            engine: arguments.engine.map(|engine| match engine {
                cli::CopyEngine::Rsync => CopyEngine::Rsync,
                cli::CopyEngine::Builtin => CopyEngine::Builtin,
            }),
        })
    }
}

/// A path as a configuration has it: from the root, without dots and slashes that say nothing, as text.
pub(super) fn whole_path(path: &Path, option: &str) -> Result<String> {
    let whole = typed::whole_path(path)?;
    whole.into_os_string().into_string().map_err(|path| {
        invalid_input(
            format!(
                "{} ({option}) is not UTF-8",
                printable(&path.to_string_lossy())
            ),
            "configurations name paths in UTF-8",
        )
    })
}

/// Says which options are missing where nobody can be asked, with what is proposed for them.
fn refuse_missing(arguments: &Setup, given: &Given, proposed: &Proposed) -> Result<()> {
    let place = propose_place(&proposed.places);
    let has_place = given.mount_point.is_some() || given.cloud.is_some();
    let is_known = has_place || arguments.yes && place.is_some();
    let mut missing = Vec::new();
    if !is_known {
        missing.push("--mount-point");
    }
    if !arguments.yes && given.sources.is_none() {
        missing.push("--source");
    }
    if !arguments.yes && given.schedule.is_none() {
        missing.push("--schedule");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = match missing.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        all => all.join(""),
    };
    let message = if arguments.yes && proposed.places.is_empty() {
        "no drive for backups is mounted: --mount-point is missing".to_owned()
    } else if arguments.yes {
        "there is not one mounted drive that is clearly for backups: --mount-point is missing"
            .to_owned()
    } else if missing.contains(" and ") {
        format!("there is no terminal to ask at: {missing} are missing")
    } else {
        format!("there is no terminal to ask at: {missing} is missing")
    };
    let mut line = "backup setup".to_owned();
    let word = |text: &String| shell::word(text.as_bytes());
    let (place, before, found) = places::advise(given.mount_point.as_deref(), has_place, proposed);
    if let Some(place) = place {
        line.push_str(&format!(" --mount-point {place}"));
    }
    if let Some(cloud) = &given.cloud {
        line.push_str(&format!(" --cloud {}", word(&cloud.remote)));
    }
    for source in given.sources.as_ref().unwrap_or(&proposed.sources) {
        line.push_str(&format!(" --source {}", word(source)));
    }
    let schedule = given.schedule.as_ref().map_or(DAILY, Schedule::text);
    line.push_str(&format!(" --schedule {}", shell::word(schedule.as_bytes())));
    if given.mount_point.is_some() || given.cloud.is_none() {
        let engine = given.engine.unwrap_or(proposed.engine).word();
        line.push_str(&format!(" --engine {engine}"));
    }
    Err(invalid_input(message, format!("{before}{line}`{found}")))
}

/// Somebody at a terminal.
pub(super) struct Person<'a> {
    settings: &'a Settings,
    out: &'a Out,
    pub(super) found: &'a Surroundings,
}

impl<'a> Person<'a> {
    pub(super) fn new(settings: &'a Settings, out: &'a Out, found: &'a Surroundings) -> Self {
        Self {
            settings,
            out,
            found,
        }
    }

    /// Says something.
    pub(super) fn tell(&self, text: &str) {
        self.out.print_message(text);
    }

    pub(super) fn heading(&self, text: &str) {
        self.tell(&format!("\n{}", self.settings.error_style.bold(text)));
    }

    pub(super) fn complain(&self, message: &str, hint: Option<&str>) {
        let style = &self.settings.error_style;
        self.tell(&render::messages::warning_lines(message, hint, style));
    }

    pub(super) fn ask(&self, question: &str) -> Result<String> {
        let answer = ask_line(question, &self.settings.stop, self.out)?;
        answer.ok_or_else(|| {
            self.tell("");
            Error::refused("there was no answer: nothing was written")
                .hint("`backup setup --help` tells the options that answer beforehand")
                .into()
        })
    }

    /// Whether the answer is yes, which it is if nothing else is said.
    pub(super) fn agrees(&self, question: &str) -> Result<bool> {
        self.agrees_or(question, true)
    }

    pub(super) fn agrees_or(&self, question: &str, otherwise: bool) -> Result<bool> {
        let choices = if otherwise { "[Y/n]" } else { "[y/N]" };
        loop {
            let answer = self.ask(&format!("{question} {choices} "))?;
            match answer.to_lowercase().as_str() {
                "" => return Ok(otherwise),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.tell("y or n?"),
            }
        }
    }

    /// Asks whether what was answered may be written.
    pub(super) fn confirm_writing(&self) -> Result<()> {
        let path = crate::style::shown(&self.settings.config_path);
        self.tell("");
        if self.agrees(&format!("Write {path}?"))? {
            return Ok(());
        }
        Err(Error::refused("nothing was written")
            .hint("`backup ... --dry-run` shows what would be")
            .into())
    }

    fn ask_sources(&self, proposed: &[String]) -> Result<Vec<String>> {
        self.heading("What is backed up?");
        let words: Vec<String> = proposed
            .iter()
            .map(|source| shell::word(source.as_bytes()))
            .collect();
        let question = format!("Folders, apart by blanks [{}]: ", words.join(" "));
        loop {
            let answer = self.ask(&question)?;
            let folders = match parse_folders(&answer, &self.found.home) {
                Ok(folders) if folders.is_empty() => proposed.to_vec(),
                Ok(folders) => folders,
                Err(fault) => {
                    self.complain(&fault, None);
                    continue;
                }
            };
            if folders.is_empty() {
                continue;
            }
            if let Some(folders) = self.find_all(&folders)? {
                return Ok(folders);
            }
        }
    }

    /// The whole paths of folders that are all there; none where one is not, which is said.
    fn find_all(&self, folders: &[String]) -> Result<Option<Vec<String>>> {
        let mut all = Vec::new();
        for folder in folders {
            let path = whole_path(Path::new(folder), "the folder")?;
            if let Err(error) = look_at_source(Path::new(&path)) {
                self.complain(&error.message, None);
                return Ok(None);
            }
            all.push(path);
        }
        Ok(Some(all))
    }

    fn ask_schedule(&self) -> Result<Schedule> {
        self.heading("When? daily, weekly, an expression such as Mon,Thu 20:00, or none.");
        loop {
            let answer = self.ask(&format!("Schedule [{DAILY}]: "))?;
            let text = if answer.is_empty() { DAILY } else { &answer };
            match Schedule::parse(text) {
                Ok(schedule) => return Ok(schedule),
                Err(fault) => self.complain(&fault, None),
            }
        }
    }

    fn ask_engine(&self, proposed: CopyEngine) -> Result<CopyEngine> {
        if proposed == CopyEngine::Builtin {
            self.heading("rsync 3.2 is not installed: the built-in engine copies.");
            return Ok(proposed);
        }
        self.heading("What copies? rsync, or the built-in engine; their snapshots are the same.");
        loop {
            let answer = self.ask(&format!("rsync or builtin [{}]: ", proposed.word()))?;
            if answer.is_empty() {
                return Ok(proposed);
            }
            if let Some(engine) = CopyEngine::parse(&answer) {
                return Ok(engine);
            }
        }
    }
}

//! The questions: what is not said by an option is asked of the person at the terminal, or taken as it
//! is proposed.

use std::path::Path;

use anyhow::Result;
use executor::Error;
use planner::setup::{
    Answers, CopyEngine, ProposedPlace, Schedule, judge_place, parse_choice, parse_folders,
    propose_engine, propose_place, propose_places, propose_sources,
};
use schema::{setup::Surroundings, shell};

use super::{look_at_source, telling};
use crate::{
    cli::{self, Setup},
    exit::invalid_input,
    out::Out,
    question::ask_line,
    render,
    settings::Settings,
    style::{left, printable},
    typed,
};

/// What is proposed for each question.
struct Proposed {
    places: Vec<ProposedPlace>,
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
    settings: &Settings,
) -> Result<Answers> {
    let proposed = Proposed {
        places: propose_places(found),
        sources: propose_sources(found),
        engine: propose_engine(found),
    };
    let given = Given::read(arguments)?;
    if person.is_none() && (!arguments.yes || given.mount_point.is_none()) {
        refuse_missing(arguments, &given, &proposed, settings)?;
    }
    let full_copies = arguments.allow_full_copies;
    let place = || propose_place(&proposed.places).map(|place| place.mount_point.clone());
    let mount_point = match (given.mount_point, person) {
        (Some(given), _) => given,
        (None, Some(person)) => person.ask_mount_point(&proposed.places, full_copies)?,
        (None, None) => place().unwrap_or_default(),
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
        (None, Some(person)) => person.ask_engine(proposed.engine)?,
        (None, None) => proposed.engine,
    };
    Ok(Answers {
        mount_point,
        sources,
        schedule,
        engine,
        full_copies,
    })
}

/// What the options say.
struct Given {
    mount_point: Option<String>,
    sources: Option<Vec<String>>,
    schedule: Option<Schedule>,
    engine: Option<CopyEngine>,
}

impl Given {
    fn read(arguments: &Setup) -> Result<Self> {
        let mount_point = arguments.mount_point.as_deref();
        let mount_point = mount_point.map(|path| whole_path(path, "--mount-point"));
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
fn whole_path(path: &Path, option: &str) -> Result<String> {
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
fn refuse_missing(
    arguments: &Setup,
    given: &Given,
    proposed: &Proposed,
    settings: &Settings,
) -> Result<()> {
    let place = propose_place(&proposed.places);
    let lacks_place = given.mount_point.is_none() && !(arguments.yes && place.is_some());
    let mut missing = Vec::new();
    if lacks_place {
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
    let message = if arguments.yes {
        "there is not one mounted drive that is clearly for backups: --mount-point is missing"
            .to_owned()
    } else if missing.contains(" and ") {
        format!("there is no terminal to ask at: {missing} are missing")
    } else {
        format!("there is no terminal to ask at: {missing} is missing")
    };
    let mut line = format!("{} setup", telling::command_of(None, settings));
    let mount_point = given.mount_point.clone();
    let mount_point = mount_point.or_else(|| place.map(|place| place.mount_point.clone()));
    let word = |text: &String| shell::word(text.as_bytes());
    let mount_point = mount_point.map_or_else(|| "DIR".to_owned(), |path| word(&path));
    line.push_str(&format!(" --mount-point {mount_point}"));
    for source in given.sources.as_ref().unwrap_or(&proposed.sources) {
        line.push_str(&format!(" --source {}", word(source)));
    }
    let schedule = given.schedule.as_ref().map_or(DAILY, Schedule::text);
    line.push_str(&format!(" --schedule {}", shell::word(schedule.as_bytes())));
    let engine = given.engine.unwrap_or(proposed.engine).word();
    line.push_str(&format!(" --engine {engine}"));
    let drives: Vec<String> = proposed.places.iter().map(describe).collect();
    let drives = match drives.as_slice() {
        [] => "; no drive for backups is mounted: mount one first (`lsblk -f` tells its name)"
            .to_owned(),
        drives => format!("; mounted are {}", drives.join("; ")),
    };
    Err(invalid_input(message, format!("`{line}`{drives}")))
}

fn describe(place: &ProposedPlace) -> String {
    format!("{} ({})", place.mount_point, place.about)
}

/// Somebody at a terminal.
pub(super) struct Person<'a> {
    settings: &'a Settings,
    out: &'a Out,
    found: &'a Surroundings,
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

    fn heading(&self, text: &str) {
        self.tell(&format!("\n{}", self.settings.error_style.bold(text)));
    }

    fn complain(&self, message: &str, hint: Option<&str>) {
        let style = &self.settings.error_style;
        self.tell(&render::report::warning_lines(message, hint, style));
    }

    fn ask(&self, question: &str) -> Result<String> {
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

    fn agrees_or(&self, question: &str, otherwise: bool) -> Result<bool> {
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
            .hint("`backup setup --dry-run` shows what would be")
            .into())
    }

    fn ask_mount_point(&self, places: &[ProposedPlace], full_copies: bool) -> Result<String> {
        let points: Vec<&str> = places.iter().map(|place| &*place.mount_point).collect();
        let question = if points.is_empty() {
            self.heading(
                "Where do backups go? No drive for them is mounted that you may write to.",
            );
            self.tell(
                "Mount one (`lsblk -f` tells its name) and begin again, or type where it will be.",
            );
            "Mount point: ".to_owned()
        } else {
            self.heading("Where do backups go? These drives are mounted:");
            let longest = points.iter().map(|point| crate::style::width(point)).max();
            for (index, place) in places.iter().enumerate() {
                let point = left(&printable(&place.mount_point), longest.unwrap_or(0));
                self.tell(&format!(
                    "  {}  {point}  {}",
                    index + 1,
                    printable(&place.about)
                ));
            }
            "Number, or another mount point [1]: ".to_owned()
        };
        loop {
            let answer = self.ask(&question)?;
            let answer = match (answer.as_str(), points.first()) {
                ("", Some(first)) => (*first).to_owned(),
                (answer, _) => match parse_choice(answer, &points) {
                    Some(choice) => choice.to_owned(),
                    None => continue,
                },
            };
            let home = &self.found.home;
            let path = parse_folders(&answer, home)
                .ok()
                .and_then(|all| match all.as_slice() {
                    [one] => Some(one.clone()),
                    _ => None,
                });
            let Some(path) = path.filter(|path| path.starts_with('/')) else {
                self.complain("a mount point is one path that begins with /", None);
                continue;
            };
            let path = whole_path(Path::new(&path), "the mount point")?;
            if self.accepts_place(&path, full_copies)? {
                return Ok(path);
            }
        }
    }

    /// Tells what is wrong with a place; whether it is taken all the same.
    fn accepts_place(&self, path: &str, full_copies: bool) -> Result<bool> {
        for fault in judge_place(self.found, path, &[], full_copies) {
            if !fault.forbids && !fault.is_absence {
                continue;
            }
            self.complain(&fault.message, Some(&fault.hint));
            let question = "Use it for a drive that is mounted later?";
            if fault.forbids || !self.agrees_or(question, false)? {
                return Ok(false);
            }
        }
        Ok(true)
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

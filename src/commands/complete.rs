//! What the completions of a shell ask: which snapshots there are, and what is in them.
//!
//! `backup __complete WORD...`, with the words of the line up to the cursor, or `backup __complete --line LINE`
//! from bash, prints an answer on each line, what it is behind a tab. It is for the scripts of `backup
//! completions` and in no help. Whoever presses a key waits for it: nothing is written, no lock is taken, nothing
//! is said of what goes wrong, and it ends in time whatever does not answer. So the looking is done by a process of
//! its own, which first tells the names that it sees at once and then, if there is time, what is known of them.

mod typed_line;
mod wanted;

use std::{
    ffi::OsString,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use backup::{Engine, engine};
use clap::Parser as _;
use executor::{process::parent::die_with_parent, threads};
use planner::{
    check::Checked,
    offers::{Offer, Purpose},
};
use schema::config::DestinationName;

use self::{
    typed_line::{TypedLine, with_home},
    wanted::{Question, Wanted, read_question},
};
use crate::{cli::Cli, settings::Settings, typed};

/// The first argument of a question.
pub(crate) const ARGUMENT: &str = "__complete";
/// The first argument of the process that looks.
pub(crate) const INSIDE: &str = "__complete-inside";
/// The argument that a whole line follows.
const LINE: &str = "--line";
/// How long a person waits for the answer.
const PATIENCE: Duration = Duration::from_millis(1500);
/// What ends a whole answer: no name has it.
const END: u8 = 0;
/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: u64 = 4 << 20;

/// Answers a question; says nothing where there is no answer.
pub(crate) fn answer_shell(arguments: impl Iterator<Item = OsString>) {
    let arguments: Vec<OsString> = arguments.collect();
    let (_, words) = read_words(&arguments);
    // Most keys are pressed elsewhere, and cost no second process.
    if read_question(&words).is_none() {
        return;
    }
    let answer = ask_within(&arguments, PATIENCE);
    // A shell that went away needs none.
    let _ = std::io::stdout().write_all(&answer);
}

/// Looks, and tells what was found: what is known at once, and then all.
pub(crate) fn look_for_shell(arguments: impl Iterator<Item = OsString>) {
    let arguments: Vec<OsString> = arguments.collect();
    let (line, words) = read_words(&arguments);
    let Some(question) = read_question(&words) else {
        return;
    };
    let tell = |offers: &[Offer]| {
        let mut text = Vec::new();
        for Offer { word, about } in offers {
            // What cannot stand on a line cannot be typed either.
            if word.chars().chain(about.chars()).any(char::is_control) {
                continue;
            }
            let word = format!("{}{word}", question.before);
            let word = line
                .as_ref()
                .map_or(word.clone(), |line| line.to_put_in(&word));
            text.extend(format!("{word}\t{about}\n").bytes());
        }
        text.push(END);
        let _ = std::io::stdout().write_all(&text);
    };
    for closely in [false, true] {
        if let Some(offers) = find_offers(&question, closely) {
            tell(&offers);
        }
    }
}

/// The words of a line, and the line itself where it came as one.
fn read_words(arguments: &[OsString]) -> (Option<TypedLine>, Vec<OsString>) {
    match arguments {
        [first, line] if first == LINE => {
            let line = TypedLine::parse(line);
            let words = line.words.clone();
            (Some(line), words)
        }
        words => (None, words.to_owned()),
    }
}

/// Has another process look, and gives the last whole answer that it told in time.
fn ask_within(arguments: &[OsString], patience: Duration) -> Vec<u8> {
    let end = Instant::now() + patience;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(INSIDE)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // With all that it starts in turn.
        .process_group(0);
    die_with_parent(&mut command);
    let Ok(mut child) = command.spawn() else {
        return Vec::new();
    };
    let answer = read_until(&mut child, end);
    // What waits for a silent disk may be past hearing this; nobody waits for it.
    kill_group(&child);
    answer
}

fn read_until(child: &mut Child, end: Instant) -> Vec<u8> {
    let (told, heard) = mpsc::channel();
    let Some(pipe) = child.stdout.take() else {
        return Vec::new();
    };
    let read = move || {
        let mut pipe = pipe.take(LONGEST_ANSWER);
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if told.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    };
    if threads::start_thread("answer", read).is_err() {
        return Vec::new();
    }
    let mut all = Vec::new();
    let left = || end.saturating_duration_since(Instant::now());
    // To the end, or as long as there is time.
    while let Ok(more) = heard.recv_timeout(left()) {
        all.extend(more);
    }
    last_whole(&all).to_vec()
}

/// The last answer that was told to its end.
fn last_whole(told: &[u8]) -> &[u8] {
    let whole = told.iter().rposition(|byte| *byte == END);
    let whole = &told[..whole.unwrap_or(0)];
    whole.rsplit(|byte| *byte == END).next().unwrap_or_default()
}

fn kill_group(child: &Child) {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// What may stand there; none where that cannot be said. What is asked for at once needs no record.
fn find_offers(question: &Question, closely: bool) -> Option<Vec<Offer>> {
    let snapshots = |purpose| {
        let engine = open_engine(question)?;
        if engine.is_of_mirror() {
            return Some(uploaded(&engine, &question.typed));
        }
        let found = engine.offer_snapshots(purpose, &question.typed, closely);
        found.ok()
    };
    match &question.wanted {
        Wanted::Snapshot(purpose, but) => {
            let mut offers = snapshots(*purpose)?;
            offers.retain(|offer| !but.contains(&offer.word));
            Some(offers)
        }
        Wanted::SnapshotOrNow => {
            let mut offers = snapshots(Purpose::Compare)?;
            let now = fixed(&["now"], "the sources as they are", &question.typed);
            offers.splice(0..0, now);
            Some(offers)
        }
        // Once is enough: nothing more is known of these.
        _ if closely => None,
        Wanted::Uploaded => {
            let engine = open_engine(question)?;
            Some(uploaded(&engine, &question.typed))
        }
        Wanted::PathIn(snapshot) => paths_in(&open_engine(question)?, snapshot, &question.typed),
        Wanted::OldHost => {
            let hosts = open_engine(question)?.other_hosts();
            let words: Vec<&str> = hosts.iter().map(String::as_str).collect();
            Some(fixed(&words, "another host's folder", &question.typed))
        }
        Wanted::Destination(but) => {
            let mut offers = destinations(&open_whole_engine(question)?, &question.typed);
            offers.retain(|offer| !but.contains(&offer.word));
            Some(offers)
        }
        Wanted::Holder => {
            let mut offers = destinations(&open_whole_engine(question)?, &question.typed);
            offers.retain(|offer| offer.word != DestinationName::CLOUD);
            Some(offers)
        }
        Wanted::Schedule => Some(fixed(
            &["daily", "weekly", "monthly", "hourly"],
            "how often",
            &question.typed,
        )),
    }
}

/// What is known to be in the cloud, or on a named mirror.
fn uploaded(engine: &Engine, typed: &str) -> Vec<Offer> {
    let ids = engine.remembered_uploads().into_iter();
    let ids = ids.map(|id| id.to_string());
    let words: Vec<String> = std::iter::once("latest".to_owned()).chain(ids).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let about = match engine.of_named() {
        Some(name) => format!("on {name}"),
        None => "in the cloud".to_owned(),
    };
    fixed(&words, &about, typed)
}

/// The destinations that are used, each with where it is.
fn destinations(engine: &Engine, typed: &str) -> Vec<Offer> {
    let names = engine.config().names().into_iter();
    let names = names.filter(|name| name.as_str().starts_with(typed));
    let offers = names.filter_map(|name| {
        let view = engine.of(&name)?;
        let local = &view.config().local;
        let is_remote = name.as_str() == DestinationName::CLOUD || !local.enable;
        Some(Offer {
            about: match is_remote {
                true => view.cloud_remote(),
                false => local.mount_point.to_string(),
            },
            word: name.to_string(),
        })
    });
    offers.collect()
}

/// Words that are offered with the same explanation.
fn fixed(words: &[&str], about: &str, typed: &str) -> Vec<Offer> {
    let words = words.iter().filter(|word| word.starts_with(typed));
    let offers = words.map(|word| Offer {
        word: (*word).to_owned(),
        about: about.to_owned(),
    });
    offers.collect()
}

/// The paths of a snapshot that begin as it was typed, spelt as that is; folders end with `/`.
fn paths_in(engine: &Engine, snapshot: &str, typed: &str) -> Option<Vec<Offer>> {
    let (folder, beginning) = match typed.rfind('/') {
        Some(at) => typed.split_at(at + 1),
        None => ("", typed),
    };
    let of_here = if folder.is_empty() { "." } else { folder };
    let meanings: Vec<PathBuf> = typed::path_meanings(Path::new(of_here));
    let entries = engine.names_in_snapshot(snapshot, &meanings).ok()?;
    let offers = entries.iter().filter_map(|entry| {
        let name = entry.name.to_str()?;
        let is_meant = name.starts_with(beginning);
        // What is hidden is offered to whoever asks for it.
        let is_shown = !name.starts_with('.') || beginning.starts_with('.');
        (is_meant && is_shown).then(|| Offer {
            word: format!("{folder}{name}{}", if entry.is_folder { "/" } else { "" }),
            about: String::new(),
        })
    });
    Some(offers.collect())
}

/// The engine of the destination that the line means; none where there is no such one.
fn open_engine(question: &Question) -> Option<Engine> {
    let whole = open_whole_engine(question)?;
    let name = match &question.destination {
        Some(name) => Some(name.parse().ok()?),
        None if question.wanted == Wanted::Uploaded => None,
        None => whole.config().only_disk(),
    };
    match name {
        // Of a remote what is known of it is enough.
        Some(name) => whole.of(&name)?.unasked(),
        None => Some(whole),
    }
}

/// The engine of the configuration that the line means; none where it cannot be read.
fn open_whole_engine(question: &Question) -> Option<Engine> {
    let mut words: Vec<OsString> = ["backup", "list"].map(OsString::from).to_vec();
    for (option, value) in [
        ("--config", &question.config),
        ("--state-dir", &question.state_dir),
    ] {
        if let Some(value) = value {
            words.extend([OsString::from(option), with_home(value)]);
        }
    }
    let cli = Cli::try_parse_from(words).ok()?;
    // A user reads the machine's where he has none, and so he does who types `sudo` before it.
    let settings = Settings::new(&cli.global, true);
    let Checked { config, .. } = engine::read_config(&settings.config_path).ok()?;
    Some(settings.engine_for(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_it_is_whole() {
        assert_eq!(last_whole(b""), b"");
        assert_eq!(last_whole(b"half"), b"");
        assert_eq!(last_whole(b"a\nb\n\0"), b"a\nb\n");
        assert_eq!(last_whole(b"a\n\0b\n\0"), b"b\n");
        assert_eq!(last_whole(b"a\n\0half"), b"a\n");
        assert_eq!(last_whole(b"a\n\0\0"), b"");
    }
}

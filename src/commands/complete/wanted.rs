//! What belongs at the end of a command line that is not finished.
//!
//! Owns which arguments name what no script can know: snapshots, paths in them, hosts. Everything else is left
//! to the scripts.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use clap::{Arg, Command, CommandFactory as _};
use planner::offers::Purpose;

use crate::cli::{Cli, PROGRAMS};

/// What belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A snapshot, but none of these.
    Snapshot(Purpose, Vec<String>),
    /// A snapshot to compare with, or the sources as they are.
    SnapshotOrNow,
    /// What is in the cloud.
    Uploaded,
    /// A path in this snapshot.
    PathIn(String),
    /// The folder of another host.
    OldHost,
    /// When backups run.
    Schedule,
    /// A destination, but none of these.
    Destination(Vec<String>),
    /// A disk or a remote, whose snapshots a verb works on.
    Holder,
}

/// A question, and where its answer is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) wanted: Wanted,
    /// What was typed of the answer.
    pub(super) typed: String,
    /// What stands before that in the same word: `--take-over=`.
    pub(super) before: String,
    pub(super) config: Option<OsString>,
    pub(super) state_dir: Option<OsString>,
    /// The destination that was named.
    pub(super) destination: Option<String>,
}

/// Reads the words of a line, from the program's name to the word at the cursor; none where nothing belongs
/// there that is asked for here.
pub(super) fn read_question(words: &[OsString]) -> Option<Question> {
    let (name, words) = words.split_first()?;
    let (last, words) = words.split_last()?;
    let last = last.to_str()?;
    let mut root = Cli::command();
    root.build();
    let mut line = Line::new(&root, name);
    for word in words {
        line.read(word)?;
    }
    let (option, before, typed) = match line.pending.take() {
        Some(option) if !last.starts_with('-') => (Some(option), "", last),
        Some(option) if option.is_needed => return None,
        _ => match last.split_once('=') {
            Some((name, _)) if !line.is_literal && name.starts_with("--") => {
                let option = line.option(name)?;
                let (before, typed) = last.split_at(name.len() + 1);
                (Some(option), before, typed)
            }
            _ if !line.is_literal && last.starts_with('-') => return None,
            _ => (None, "", last),
        },
    };
    let wanted = match option {
        Some(option) => wanted_of_option(&option),
        None => wanted_at(&line),
    }?;
    let value = |id: &str| line.values.get(id).and_then(|all| all.last()).cloned();
    let destination = value("destination").and_then(|name| name.into_string().ok());
    Some(Question {
        wanted,
        typed: typed.to_owned(),
        before: before.to_owned(),
        config: value("config"),
        state_dir: value("state_dir"),
        destination,
    })
}

fn wanted_of_option(option: &OpenOption) -> Option<Wanted> {
    match option.id.as_str() {
        "only" => Some(Wanted::Destination(option.given.clone())),
        "destination" => Some(Wanted::Holder),
        "take_over" => Some(Wanted::OldHost),
        "schedule" => Some(Wanted::Schedule),
        _ => None,
    }
}

/// What belongs in the place of the next argument.
fn wanted_at(line: &Line<'_>) -> Option<Wanted> {
    let given = &line.positionals;
    let read = |purpose| Some(Wanted::Snapshot(purpose, Vec::new()));
    match (line.verb?.get_name(), given.as_slice()) {
        ("restore", given) => wanted_of_restore(line, given),
        ("browse", []) => Some(Wanted::PathIn("latest".to_owned())),
        ("verify" | "drill", []) => read(Purpose::Read),
        ("diff", []) => read(Purpose::Compare),
        ("diff", [_]) => Some(Wanted::SnapshotOrNow),
        ("diff", [before, after]) => Some(Wanted::PathIn(
            if after == "now" { before } else { after }.clone(),
        )),
        ("pin", []) => read(Purpose::Pin),
        ("unpin", []) => read(Purpose::Unpin),
        ("accept", []) => read(Purpose::Accept),
        ("delete", given) => Some(Wanted::Snapshot(Purpose::Delete, given.to_vec())),
        _ => None,
    }
}

fn wanted_of_restore(line: &Line<'_>, given: &[String]) -> Option<Wanted> {
    let has = |id: &str| line.seen.contains(&id.to_owned());
    if has("as_of") || has("list") {
        return None;
    }
    match given {
        [] if has("from") => Some(Wanted::Uploaded),
        [] => Some(Wanted::Snapshot(Purpose::Read, Vec::new())),
        _ if has("from") => None,
        [snapshot] => Some(Wanted::PathIn(snapshot.clone())),
        // The last one of several is where they go to.
        [snapshot, ..] if has("in_place") => Some(Wanted::PathIn(snapshot.clone())),
        _ => None,
    }
}

/// An option that takes a value.
struct OpenOption {
    id: String,
    /// Whether it cannot be without one.
    is_needed: bool,
    /// Whether it takes several.
    takes_more: bool,
    /// The values that it has.
    given: Vec<String>,
}

/// What was read of a line.
struct Line<'a> {
    root: &'a Command,
    verb: Option<&'a Command>,
    /// Ids of the options that were given.
    seen: Vec<String>,
    values: BTreeMap<String, Vec<OsString>>,
    positionals: Vec<String>,
    /// The option whose value may come next.
    pending: Option<OpenOption>,
    /// Whether nothing is an option any more.
    is_literal: bool,
}

impl<'a> Line<'a> {
    fn new(root: &'a Command, program: &OsStr) -> Self {
        let name = std::path::Path::new(program).file_name();
        let of_program = PROGRAMS
            .iter()
            .find(|(program, _)| name == Some(OsStr::new(program)));
        Self {
            root,
            verb: of_program.and_then(|(_, verb)| root.find_subcommand(verb)),
            seen: Vec::new(),
            values: BTreeMap::new(),
            positionals: Vec::new(),
            pending: None,
            is_literal: false,
        }
    }

    /// Reads a whole word; none where what comes after it is unknown.
    fn read(&mut self, word: &OsStr) -> Option<()> {
        let text = word.to_string_lossy();
        let looks_like_option = !self.is_literal && text.len() > 1 && text.starts_with('-');
        if let Some(option) = self.pending.take()
            && (option.is_needed || !looks_like_option)
        {
            self.keep_value(&option.id, word);
            self.pending = option.takes_more.then(|| OpenOption {
                is_needed: false,
                given: option
                    .given
                    .into_iter()
                    .chain([text.into_owned()])
                    .collect(),
                ..option
            });
            return Some(());
        }
        if looks_like_option {
            self.read_option(&text)
        } else if self.verb.is_none() {
            self.verb = Some(self.root.find_subcommand(&*text)?);
            Some(())
        } else {
            self.positionals.push(text.into_owned());
            Some(())
        }
    }

    fn read_option(&mut self, text: &str) -> Option<()> {
        if text == "--" {
            self.is_literal = true;
            return Some(());
        }
        if !text.starts_with("--") {
            // No short option takes a value.
            let ids = text[1..].chars().filter_map(|one| {
                let found = self.find(|arg| arg.get_short() == Some(one))?;
                Some(found.get_id().to_string())
            });
            let ids: Vec<String> = ids.collect();
            self.seen.extend(ids);
            return Some(());
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let arg = self.find(|arg| arg.get_long() == name.strip_prefix("--"))?;
        let id = arg.get_id().to_string();
        self.seen.push(id.clone());
        if text.contains('=') {
            self.keep_value(&id, OsStr::new(value));
        } else {
            self.pending = self.option(name);
        }
        Some(())
    }

    fn keep_value(&mut self, id: &str, value: &OsStr) {
        let values = self.values.entry(id.to_owned()).or_default();
        values.push(value.to_owned());
    }

    /// The option of this name, if it takes a value.
    fn option(&self, name: &str) -> Option<OpenOption> {
        let arg = self.find(|arg| arg.get_long() == name.strip_prefix("--"))?;
        let number = arg.get_num_args()?;
        number.takes_values().then(|| OpenOption {
            id: arg.get_id().to_string(),
            is_needed: number.min_values() > 0,
            takes_more: number.max_values() > 1,
            given: Vec::new(),
        })
    }

    fn find(&self, test: impl Fn(&&Arg) -> bool) -> Option<&'a Arg> {
        let of_verb = self.verb.and_then(|verb| verb.get_arguments().find(&test));
        of_verb.or_else(|| self.root.get_arguments().find(&test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Option<Question> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        read_question(&words)
    }

    fn wanted(line: &str) -> Option<Wanted> {
        ask(line).map(|question| question.wanted)
    }

    fn snapshot(purpose: Purpose) -> Option<Wanted> {
        Some(Wanted::Snapshot(purpose, Vec::new()))
    }

    fn path_in(snapshot: &str) -> Option<Wanted> {
        Some(Wanted::PathIn(snapshot.to_owned()))
    }

    #[test]
    fn each_place_of_a_snapshot_is_known() {
        for (line, expected) in [
            ("backup restore ", snapshot(Purpose::Read)),
            ("/usr/bin/backup restore 20", snapshot(Purpose::Read)),
            ("backup-restore ", snapshot(Purpose::Read)),
            ("backup-verify --quick ", snapshot(Purpose::Read)),
            ("backup -v restore --overwrite ", snapshot(Purpose::Read)),
            ("backup restore -- ", snapshot(Purpose::Read)),
            ("backup drill ", snapshot(Purpose::Read)),
            ("backup verify --subset 1/7 ", snapshot(Purpose::Read)),
            ("backup diff ", snapshot(Purpose::Compare)),
            ("backup diff latest ", Some(Wanted::SnapshotOrNow)),
            ("backup pin ", snapshot(Purpose::Pin)),
            ("backup unpin ", snapshot(Purpose::Unpin)),
            ("backup accept ", snapshot(Purpose::Accept)),
            ("backup restore latest ", path_in("latest")),
            ("backup restore latest /home/ann ", None),
            ("backup restore --in-place latest /a ", path_in("latest")),
            ("backup diff a now ", path_in("a")),
            ("backup diff a b /ho", path_in("b")),
            ("backup restore --from cloud ", Some(Wanted::Uploaded)),
            ("backup restore --from=cloud ", Some(Wanted::Uploaded)),
            ("backup init --take-over ", Some(Wanted::OldHost)),
            ("backup init --take-over=at", Some(Wanted::OldHost)),
            ("backup simulate --schedule ", Some(Wanted::Schedule)),
            (
                "backup apply --only ",
                Some(Wanted::Destination(Vec::new())),
            ),
            (
                "backup plan --only=u",
                Some(Wanted::Destination(Vec::new())),
            ),
            (
                "backup apply --only nas u",
                Some(Wanted::Destination(vec!["nas".to_owned()])),
            ),
            ("backup pin --destination ", Some(Wanted::Holder)),
            ("backup pin --destination usb ", snapshot(Purpose::Pin)),
        ] {
            assert_eq!(wanted(line), expected, "{line}");
        }
        let given = vec!["2025".to_owned()];
        let another = Some(Wanted::Snapshot(Purpose::Delete, given));
        assert_eq!(wanted("backup delete 2025 "), another);
    }

    #[test]
    fn everything_else_is_left_to_the_script() {
        for line in [
            "backup",
            "backup ",
            "backup re",
            "backup restore --ove",
            "backup restore --as-of yesterday ",
            "backup restore --list ",
            "backup restore --staging ",
            "backup verify latest ",
            "backup --config ",
            "backup --config=",
            "backup apply ",
            "backup find ",
            "backup frobnicate ",
            "backup restore --frobnicate ",
            "backup-now ",
            "backup init ",
        ] {
            assert_eq!(ask(line), None, "{line}");
        }
    }

    #[test]
    fn where_the_configuration_is_was_said_before() {
        for line in [
            "backup --config /a.json restore la",
            "backup restore --config=/a.json la",
            "backup restore --config /a.json --state-dir /s la",
        ] {
            let question = ask(line).unwrap();
            assert_eq!(question.config.as_deref(), Some(OsStr::new("/a.json")));
            assert_eq!(question.typed, "la");
            assert_eq!(question.state_dir.is_some(), line.contains("/s"));
        }
        for line in ["restore --destination usb ", "restore --destination=usb "] {
            let question = ask(&format!("backup {line}")).unwrap();
            assert_eq!(question.destination.as_deref(), Some("usb"));
        }
        let question = ask("backup init --take-over=at").unwrap();
        assert_eq!(
            (&*question.before, &*question.typed),
            ("--take-over=", "at")
        );
    }
}

//! What is done while somebody browses: by the verbs that do it elsewhere, which are shown as they would be typed.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    sync::Arc,
};

use anyhow::Result;
use browse::{Action, Target};
use clap::Parser as _;
use schema::{StoredPath, StoredPathBuf, amount, shell};

use super::{source::SnapshotSource, typed_folder};
use crate::{
    cli::Cli, explain_error, out::Out, question, render::hint, run_verb, settings::Settings,
};

/// Does what is asked for, and lets the person read what came of it.
pub(super) struct Actions<'a> {
    source: Arc<SnapshotSource>,
    settings: &'a Settings,
    out: &'a Out,
}

impl<'a> Actions<'a> {
    pub(super) fn new(source: Arc<SnapshotSource>, settings: &'a Settings, out: &'a Out) -> Self {
        Self {
            source,
            settings,
            out,
        }
    }

    pub(super) fn act(&self, action: &Action) {
        let done = match action {
            Action::Verify { snapshot, path } => self.verify(snapshot, path),
            Action::Restore { from, target } => self.restore(from, target),
            Action::Pin(snapshot) => self.run(words(&["pin", snapshot])),
            Action::Unpin(snapshot) => self.run(words(&["unpin", snapshot])),
            Action::Accept(snapshot) => self.run(words(&["accept", snapshot])),
            Action::Delete(snapshots) => {
                let mut all = words(&["delete"]);
                all.extend(snapshots.iter().map(OsString::from));
                self.run(all)
            }
        };
        if let Err(error) = done {
            explain_error(&error, self.settings, self.out);
        }
        // Whoever ended what was done with Ctrl-C comes back at once.
        if !self.settings.stop.is_asked() {
            let _ = question::ask_line("\nEnter: back ", &self.settings.stop, self.out);
        }
    }

    /// What one snapshot has not keeps nothing of the others back.
    fn restore(&self, from: &BTreeMap<String, Vec<StoredPathBuf>>, target: &Target) -> Result<()> {
        let mut fault = None;
        for (snapshot, paths) in from {
            if let Some(before) = fault.take() {
                explain_error(&before, self.settings, self.out);
            }
            let done = self.run(restore_words(snapshot, paths, target));
            if self.settings.stop.is_asked() {
                return done;
            }
            fault = done.err();
        }
        fault.map_or(Ok(()), Err)
    }

    /// Calls a verb as if it were typed.
    fn run(&self, mut words: Vec<OsString>) -> Result<()> {
        // The one that is browsed, whichever is the nearest by now.
        let opened = self.source.opened()?;
        if let Some(name) = opened.browser.destination() {
            words.insert(1, "--destination".into());
            words.insert(2, name.to_string().into());
        }
        let typed: Vec<String> = words
            .iter()
            .map(|word| shell::argument(word.as_bytes()))
            .collect();
        let line = format!("backup {}", typed.join(" "));
        if !self.settings.has_no_file() {
            self.out
                .print_message(&format!("$ {}\n", hint::command(&line)));
        }
        let cli = Cli::try_parse_from(std::iter::once("backup".into()).chain(words))?;
        let settings = self.settings.for_verb(&cli.verb);
        run_verb(&cli.verb, &settings, self.out)?;
        Ok(())
    }

    fn verify(&self, snapshot: &str, path: &StoredPath) -> Result<()> {
        let opened = self.source.opened()?;
        let place = opened.place(snapshot)?;
        self.out
            .print_message(&format!("reading {} of {snapshot} ...", path.shown()));
        let found = opened
            .browser
            .verify_file(place, path, &self.settings.stop)?;
        let line = match found {
            Ok(bytes) => format!(
                "whole: {} ({}) as the manifest has it",
                path.shown(),
                amount::bytes(bytes)
            ),
            Err(because) => {
                let repair = format!(
                    "`backup verify {snapshot} --repair` makes it anew where that is possible"
                );
                format!(
                    "damaged: {} {because}\n{}",
                    path.shown(),
                    hint::line(0, &repair)
                )
            }
        };
        self.out.print_message(&line);
        Ok(())
    }
}

fn words(all: &[&str]) -> Vec<OsString> {
    all.iter().map(OsString::from).collect()
}

/// `restore` as it is typed for this.
fn restore_words(snapshot: &str, paths: &[StoredPathBuf], target: &Target) -> Vec<OsString> {
    let mut all = words(&["restore"]);
    // Owners are root's to set; what others restore is theirs.
    if !nix::unistd::geteuid().is_root() {
        all.push("--as-me".into());
    }
    if *target == Target::InPlace {
        all.push("--in-place".into());
    }
    all.push(snapshot.into());
    all.extend(
        paths
            .iter()
            .map(|path| OsString::from_vec(path.to_absolute())),
    );
    if let Target::Folder(folder) = target {
        let folder = typed_folder(folder);
        all.push(match paths {
            // One becomes its target: it stands in the folder under its own name.
            [path] => folder.join(OsStr::from_bytes(path.file_name())).into(),
            _ => folder.into(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_stands_in_the_folder_under_its_name_and_several_do() {
        let paths = ["home/ann/a b", "home/bob"].map(StoredPathBuf::of_typed);
        let typed = |paths: &[StoredPathBuf], target: &Target| {
            let words = restore_words("latest", paths, target);
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            words.join(" ").replace("--as-me ", "")
        };
        let folder = Target::Folder("/tmp/x".to_owned());
        assert_eq!(
            typed(&paths[..1], &folder),
            "restore latest /home/ann/a b /tmp/x/a b"
        );
        assert_eq!(
            typed(&paths, &folder),
            "restore latest /home/ann/a b /home/bob /tmp/x"
        );
        // What looks like an option is a folder.
        assert_eq!(
            typed(&paths, &Target::Folder("--in-place".to_owned())),
            "restore latest /home/ann/a b /home/bob ./--in-place"
        );
        assert_eq!(
            typed(&paths[1..], &Target::InPlace),
            "restore --in-place latest /home/bob"
        );
    }
}

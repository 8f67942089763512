//! Where backups go: a drive that is mounted or could be, or a remote of rclone.

use std::path::Path;

use anyhow::Result;
use backup::engine::{list_remotes, look_around, look_at_remote};
use planner::setup::{
    IdlePlace, ProposedPlace, Remote, judge_place, parse_choice, parse_folders, propose_place,
};
use schema::{config::AbsolutePath, shell};

use super::asking::{Person, Proposed, whole_path};
use crate::{
    exit::invalid_input,
    style::{left, printable, width},
};

/// How many drives that could be mounted a hint names.
const NAMED: usize = 3;

/// A remote that a person named, with the configuration of rclone that has it.
///
/// # Errors
/// A fault of usage where it is none; refused where rclone does not have it.
pub(super) fn find_remote(remote: &str, config: Option<&Path>) -> Result<Remote> {
    if !Remote::is_remote(remote) {
        return Err(invalid_input(
            format!("{} is no remote of rclone (--cloud)", printable(remote)),
            "say it as `rclone listremotes` prints it, such as nas:, with a folder behind it if you like",
        ));
    }
    let file = config.map(|path| {
        let path = whole_path(path, "--rclone-config")?;
        path.parse::<AbsolutePath>().map_err(anyhow::Error::msg)
    });
    let file = look_at_remote(remote, file.transpose()?.as_ref())?;
    Ok(Remote {
        remote: remote.to_owned(),
        config_file: file.map(|file| file.to_string()),
    })
}

/// For a command line that lacks something: its mount point, what stands before it, and what is said of the drives
/// that were found. `has_place` says whether a place was named.
pub(super) fn advise(
    given: Option<&str>,
    has_place: bool,
    proposed: &Proposed,
) -> (Option<String>, String, String) {
    let word = |text: &str| shell::word(text.as_bytes());
    let plain = || "`".to_owned();
    if has_place {
        return (given.map(word), plain(), String::new());
    }
    let Proposed { places, idle, .. } = proposed;
    if let Some(first) = propose_place(places).or(places.first()) {
        let drives: Vec<String> = places.iter().map(describe).collect();
        let drives = format!("; mounted are {}", drives.join("; "));
        return (Some(word(&first.mount_point)), plain(), drives);
    }
    let Some(first) = idle.first() else {
        let nothing = "; no drive for backups is mounted or plugged in: plug one in and mount it (`lsblk -f` \
                       tells its name), or say `--cloud REMOTE` in place of --mount-point, a remote of rclone";
        return (Some("DIR".to_owned()), plain(), nothing.to_owned());
    };
    let before = match &first.lacks {
        Some(lacks) => format!("{lacks}, then `{} && ", first.command),
        None => format!("`{} && ", first.command),
    };
    let named = idle.iter().take(NAMED).map(|place| {
        let IdlePlace {
            mount_point, about, ..
        } = place;
        format!("{mount_point} ({about})")
    });
    let named: Vec<String> = named.collect();
    let drives = format!("; not mounted, and could be: {}", named.join("; "));
    (Some(word(&first.mount_point)), before, drives)
}

fn describe(place: &ProposedPlace) -> String {
    format!("{} ({})", place.mount_point, place.about)
}

impl Person<'_> {
    /// Asks where backups go: to a mount point, or to a remote.
    pub(super) fn ask_place(
        &self,
        proposed: &Proposed,
        full_copies: bool,
    ) -> Result<(Option<String>, Option<Remote>)> {
        let question = self.show_places(proposed);
        let mounted = proposed.places.iter().map(|place| &*place.mount_point);
        let idle = proposed.idle.iter().map(|place| &*place.mount_point);
        let points: Vec<&str> = mounted.chain(idle).collect();
        loop {
            let answer = self.ask(&question)?;
            let answer = match (answer.as_str(), proposed.places.first()) {
                ("", Some(first)) => first.mount_point.clone(),
                (answer, _) => match parse_choice(answer, &points) {
                    Some(choice) => choice.to_owned(),
                    None => continue,
                },
            };
            if Remote::is_remote(&answer) {
                match find_remote(&answer, None) {
                    Ok(remote) => return Ok((None, Some(remote))),
                    Err(error) => self.complain_of(&error),
                }
                continue;
            }
            if let Some(path) = self.read_mount_point(&answer)?
                && self.accepts_place(&path, full_copies)?
            {
                return Ok((Some(path), None));
            }
        }
    }

    fn complain_of(&self, error: &anyhow::Error) {
        let hint = error.downcast_ref::<executor::Error>();
        let hint = hint.and_then(|error| error.hint.as_deref());
        self.complain(&error.to_string(), hint);
    }

    /// Shows what was found, and gives the question.
    fn show_places(&self, proposed: &Proposed) -> String {
        let Proposed { places, idle, .. } = proposed;
        if places.is_empty() {
            self.heading(
                "Where do backups go? No drive for them is mounted that you may write to.",
            );
        } else {
            self.heading("Where do backups go? These drives are mounted:");
        }
        let mounted = places
            .iter()
            .map(|place| (&place.mount_point, &place.about));
        self.show_numbered(mounted, 1);
        if !idle.is_empty() {
            self.tell("These are not; mount one from another terminal, then say its number:");
            let listed = idle.iter().map(|place| (&place.mount_point, &place.about));
            self.show_numbered(listed, places.len() + 1);
            for (index, place) in idle.iter().enumerate() {
                let lacks = place.lacks.as_ref();
                let lacks = lacks.map_or_else(String::new, |lacks| format!("{lacks}, then "));
                let number = places.len() + index + 1;
                self.tell(&printable(&format!(
                    "     {number}: {lacks}{}",
                    place.command
                )));
            }
        } else if places.is_empty() {
            self.tell(
                "Mount one (`lsblk -f` tells its name) and say where, or type where it will be.",
            );
        }
        let remotes = if places.is_empty() {
            list_remotes()
        } else {
            Vec::new()
        };
        if !remotes.is_empty() {
            self.tell(&printable(&format!(
                "Or say a remote of rclone, for the cloud alone: {}",
                remotes.join(", ")
            )));
        }
        match (places.is_empty(), idle.is_empty()) {
            (false, _) => "Number, or another mount point [1]: ".to_owned(),
            (true, false) => "Number, or another mount point: ".to_owned(),
            (true, true) => "Mount point: ".to_owned(),
        }
    }

    fn show_numbered<'p>(
        &self,
        lines: impl Iterator<Item = (&'p String, &'p String)> + Clone,
        first: usize,
    ) {
        let longest = lines.clone().map(|(point, _)| width(point)).max();
        for (index, (point, about)) in lines.enumerate() {
            let point = left(&printable(point), longest.unwrap_or(0));
            self.tell(&format!(
                "  {}  {point}  {}",
                index + first,
                printable(about)
            ));
        }
    }

    /// The one whole path that was typed; none where it is something else, which is said.
    fn read_mount_point(&self, answer: &str) -> Result<Option<String>> {
        let typed = parse_folders(answer, &self.found.home).ok();
        let path = typed.and_then(|all| match all.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        });
        let Some(path) = path.filter(|path| path.starts_with('/')) else {
            self.complain("a mount point is one path that begins with /", None);
            return Ok(None);
        };
        whole_path(Path::new(&path), "the mount point").map(Some)
    }

    /// Tells what is wrong with a place, as it is now; whether it is taken all the same.
    fn accepts_place(&self, path: &str, full_copies: bool) -> Result<bool> {
        let found = look_around(Path::new(&self.found.home));
        for fault in judge_place(&found, path, &[], full_copies) {
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
}

//! Why something is not trusted, and the commands that end it.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use schema::{FailureCode, shell};

use super::judge::own_name;
use crate::error::Error;

/// Where root keeps what only root writes.
const OF_ROOT: &str = "/etc/backup";

/// Why a path is not trusted, and what ends that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// What others can do, as sentences without an end that name each path.
    pub because: String,
    /// The commands that end it.
    pub hint: String,
}

impl Distrust {
    /// The refusal to use something: `what` it is, with its path.
    #[must_use]
    pub fn refuse(self, what: &str) -> Error {
        let Self { because, hint } = self;
        Error::refused(format!("{what} is not to be trusted: {because}"))
            .coded(FailureCode::Untrusted)
            .hint(hint)
    }
}

/// One thing on the way that others have a say in.
pub(super) struct Fault {
    /// Who has, and how.
    pub(super) because: String,
    /// What ends it.
    pub(super) command: String,
    /// Whether it is a folder of somebody else, which hardly anyone wants to take away from its owner.
    pub(super) is_of_another: bool,
}

/// What all faults on a way come to; the first of them are named.
pub(super) fn distrust_of(faults: &[Fault]) -> Option<Distrust> {
    const MOST: usize = 5;
    if faults.is_empty() {
        return None;
    }
    let first = || faults.iter().take(MOST);
    let mut because: Vec<&str> = first().map(|fault| &*fault.because).collect();
    let more = faults.len().saturating_sub(MOST);
    let and_more = format!("and {more} more like it");
    if more > 0 {
        because.push(&and_more);
    }
    let commands: Vec<&str> = first().map(|fault| &*fault.command).collect();
    let elsewhere = if faults.iter().any(|fault| fault.is_of_another) {
        format!("; or keep it where only root writes, as in {OF_ROOT}")
    } else {
        String::new()
    };
    Some(Distrust {
        because: because.join(", "),
        hint: format!("`{}`{elsewhere}", commands.join(" && ")),
    })
}

/// What the faults of things below a folder come to: there may be any number of them, and those in
/// folders that are not trusted are not known, so what ends it is said of the whole folder.
pub(super) fn distrust_below(folder: &Path, faults: &[Fault]) -> Option<Distrust> {
    let found = distrust_of(faults)?;
    let word = shell::word(folder.as_os_str().as_bytes());
    let needs = |program: &str| {
        faults
            .iter()
            .any(|fault| fault.command.starts_with(program))
    };
    let mut commands = Vec::new();
    if needs("chown") {
        commands.push(format!("chown -hR {} {word}", own_name()));
    }
    if needs("chmod") {
        commands.push(format!("chmod -R go-w {word}"));
    }
    Some(Distrust {
        hint: format!("`{}`", commands.join(" && ")),
        ..found
    })
}

//! Judges what rsync's end means: good, incomplete, or failed with a reason.
//!
//! rsync's word is not the last. An entry that it complained of and that the pass after it has put
//! into the snapshot is no problem any more; what that pass lists itself is not listed twice.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{
    FailureCode, StoredPath, StoredPathBuf, escape,
    journal::{Problem, ProblemKind},
    rsync::RsyncCall,
};

use super::{
    super::{build::Built, limits::MAX_PROBLEMS},
    call::RsyncExit,
    output::{self, RsyncFault},
};
use crate::{
    error::{Error, MAKE_ROOM, Result, failure_code},
    process::ProcessExit,
    sys::{Dir, resolve::resolve},
};

/// The exit code for some entries that were not copied.
const INCOMPLETE: i32 = 23;
/// The exit code for entries that vanished while it looked at them. Whoever comes to them next tells
/// of those that belong to the snapshot.
const VANISHED: i32 = 24;
/// The exit code where it could not start its own processes.
const NO_PROCESS: i32 = 14;

/// What rsync complained of, by path in the snapshot.
#[derive(Debug, Default)]
pub(in super::super) struct RsyncComplaints {
    complaints: Vec<Complaint>,
}

#[derive(Debug)]
struct Complaint {
    /// The entry, where one was named.
    path: Option<StoredPathBuf>,
    /// The source that was copied.
    source: StoredPathBuf,
    text: String,
}

impl RsyncComplaints {
    /// Judges one call; gives why it left the rest to others, where it was ended or could not begin.
    ///
    /// # Errors
    /// Any other end but a good and an incomplete one.
    pub(super) fn judge(&mut self, call: &RsyncCall, ended: &RsyncExit) -> Result<Option<String>> {
        if ended.exit == ProcessExit::GivenUp {
            return Ok(Some(format!(
                "rsync copied far more from {} than there was and was ended, as when a file gets terabytes \
                 of holes",
                call.source
            )));
        }
        if let ProcessExit::Stalled(hung) = ended.exit {
            return Ok(Some(format!(
                "rsync did nothing for {} s in {} and was ended, as when a file becomes a FIFO, gets \
                 terabytes of holes, or something is mounted that does not answer",
                hung.as_secs(),
                call.source
            )));
        }
        if ended.exit.code() == Some(NO_PROCESS) {
            let line = ended.faults.first().map(|line| escape::display(line));
            let line = line.map(|line| format!(": {line}")).unwrap_or_default();
            return Ok(Some(format!("rsync could not start{line}")));
        }
        let source = call.source.as_stored();
        let node = |below: &StoredPath| match call.folder {
            true => source.join(below),
            false => source.to_owned(),
        };
        match ended.exit.code() {
            Some(0 | INCOMPLETE | VANISHED) => {}
            _ => return Err(rsync_failed(call, ended)),
        }
        let incomplete = ended.exit.code() == Some(INCOMPLETE);
        let before = self.complaints.len();
        for line in &ended.faults {
            match output::parse_fault(line, &ended.into) {
                RsyncFault::With(below, text) if incomplete => self.complaints.push(Complaint {
                    path: below.map(|below| node(&below)),
                    source: source.to_owned(),
                    text: escape::display(text),
                }),
                RsyncFault::With(..) | RsyncFault::Vanished | RsyncFault::Summary => {}
            }
        }
        if incomplete && self.complaints.len() == before {
            self.complaints.push(Complaint {
                path: None,
                source: source.to_owned(),
                text: "rsync left something out and did not say what (exit code 23)".to_owned(),
            });
        }
        Ok(None)
    }

    /// Adds to a finished tree's problems what rsync knows besides.
    pub(in super::super) fn add_to(self, built: &mut Built, tree: &Dir) {
        let mut add = |path: &StoredPath, message: String| {
            let path = path.shown();
            if built.problems.iter().any(|listed| listed.path == path) {
                return;
            }
            built.totals.errors += 1;
            if built.problems.len() < MAX_PROBLEMS {
                built.problems.push(Problem {
                    path,
                    kind: ProblemKind::NotStored,
                    message,
                });
            }
        };
        for complaint in self.complaints {
            let mut path = complaint.path.iter();
            let settled = path.any(|path| is_in(tree, path) || is_gone(path));
            if !settled {
                let path = complaint.path.unwrap_or(complaint.source);
                add(&path, complaint.text);
            }
        }
    }
}

/// Whether the snapshot has an entry of this path. Whatever it has is as the source is.
fn is_in(tree: &Dir, path: &StoredPath) -> bool {
    if path.is_root() {
        return tree.again().is_ok();
    }
    let there = tree.descend(path).and_then(|(dir, name)| dir.look(name));
    there.is_ok_and(|there| there.is_some())
}

/// Whether the source has no entry of this path any more.
fn is_gone(path: &StoredPath) -> bool {
    let path = path.to_absolute();
    matches!(
        resolve(OsStr::from_bytes(&path).as_ref()),
        Err(Errno::NOENT | Errno::NOTDIR)
    )
}

/// The error of a call that failed.
fn rsync_failed(call: &RsyncCall, ended: &RsyncExit) -> Error {
    let source = &call.source;
    let lines = || ended.faults.iter().rev();
    let says = |what: &str| lines().find(|line| String::from_utf8_lossy(line).contains(what));
    // rsync's own summary comes last and says least.
    let line = says("No space left on device")
        .or_else(|| says("Disk quota exceeded"))
        .or_else(|| {
            lines().find(|line| output::parse_fault(line, &ended.into) != RsyncFault::Summary)
        })
        .or_else(|| lines().next());
    let line = line.map(|line| format!(": {}", escape::display(line)));
    let line = line.unwrap_or_default();
    let how = match ended.exit.code() {
        Some(code) => format!("{} ({})", ended.exit, output::exit_code_meaning(code)),
        None => ended.exit.to_string(),
    };
    let message = format!("rsync {how} while it copied {source}{line}");
    let code = told_errno(&line).unwrap_or(FailureCode::ProgramFailed);
    let hint = match code {
        FailureCode::NoSpace | FailureCode::QuotaExceeded => {
            let message = format!("insufficient space: {message}");
            return Error::failed(message).coded(code).hint(MAKE_ROOM);
        }
        FailureCode::ReadOnly => {
            "the file system became read-only: look at `dmesg`, then check the disk"
        }
        FailureCode::IoError => {
            "the disk or its cable failed: look at `dmesg`, then check the disk"
        }
        _ if ended.exit.code() == Some(1) => {
            "update rsync, or set local.useRsync to false: the built-in engine makes the same \
             snapshots"
        }
        _ => {
            "the next run continues; if it fails again, set local.useRsync to false: the built-in \
             engine makes the same snapshots"
        }
    };
    Error::failed(message).coded(code).hint(hint)
}

/// What happened by the error number that rsync puts in parentheses behind the system's words.
fn told_errno(line: &str) -> Option<FailureCode> {
    let told = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO];
    let named = |errno: &Errno| line.contains(&format!("({})", errno.raw_os_error()));
    failure_code(&told.into_iter().find(named)?.into())
}

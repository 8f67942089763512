//! The executor's error: what could not be done, to what, and what to do about it.

use std::{fmt, io};

use rustix::io::Errno;
use schema::{escape, inventory::NO_ANSWER};

/// What kind of end an error means; the command line turns it into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Refused before anything changed.
    Refused,
    /// The same, as something else stands where the destination's own folder belongs.
    NoFolder,
    /// Another run holds the lock.
    Busy,
    /// A signal asked to stop; what was begun can be continued.
    Interrupted,
    /// It failed.
    Failed,
    /// It failed because the basis, or its manifest, cannot be read: a plan with another basis, or
    /// with none, does not need it.
    Basis,
}

/// Something that could not be done.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind of end it means.
    pub kind: ErrorKind,
    /// One lowercase sentence that names the path.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the hint is a general one, which a better one replaces.
    pub(crate) is_general: bool,
}

/// What to do where a file system is full.
const FREE_SPACE: &str = "free space there: `df -h` tells which file system is full";

/// What to do where it is the destination's, after which a run can be made.
pub(crate) const MAKE_ROOM: &str = "make room: the next run does so itself as far as local.makeRoom \
     lets it; by hand `backup prune` frees what the keep numbers let go, `backup delete ID` what `backup \
     list` shows. what was copied stays, and the next run goes on from there";

/// A result with the executor's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Failed,
            message: message.into(),
            hint: None,
            is_general: false,
        }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Refused,
            ..Self::failed(message)
        }
    }

    /// The basis, or its manifest, cannot be read.
    #[must_use]
    pub fn basis(self) -> Self {
        Self {
            kind: match self.kind {
                ErrorKind::Failed => ErrorKind::Basis,
                kind => kind,
            },
            ..self
        }
    }

    /// A signal asked to stop.
    #[must_use]
    pub fn interrupted() -> Self {
        Self {
            kind: ErrorKind::Interrupted,
            ..Self::failed("interrupted")
        }
        .hint("run `backup apply` to continue where it stopped")
    }

    /// A system call on this path failed.
    #[must_use]
    pub fn io(doing: &str, path: &[u8], error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let this = Self::failed(format!(
            "cannot {doing} {}: {}",
            escape::display(path),
            reason(&error)
        ));
        match error.raw_os_error() {
            Some(code) if code == Errno::NOSPC.raw_os_error() => Self {
                message: format!("insufficient space: {}", this.message),
                ..this
            }
            .hint(FREE_SPACE),
            Some(code) if code == Errno::DQUOT.raw_os_error() => this.hint(
                "a quota there is used up: have it raised, or free space there",
            ),
            Some(code) if code == Errno::STALE.raw_os_error() => this.hint(
                "the server took the share away or put another in its place: mount it again, then run `backup apply`",
            ),
            Some(code)
                if [
                    Errno::NXIO,
                    Errno::NODEV,
                    Errno::NOTCONN,
                    Errno::SHUTDOWN,
                ]
                .map(Errno::raw_os_error)
                .contains(&code) =>
            {
                this.hint("the drive or the server went away: mount it again, then run `backup apply`")
            }
            Some(code) if code == Errno::ACCESS.raw_os_error() => Self {
                hint: Some(denied(doing, path)),
                is_general: true,
                ..this
            },
            Some(code) if code == Errno::ROFS.raw_os_error() => {
                this.hint("the file system became read-only: look at `dmesg`, then check the disk")
            }
            // Root may do everything but this.
            Some(code) if code == Errno::PERM.raw_os_error() => this.hint(format!(
                "see with `lsattr -d` whether {} or the folder that it is in is immutable or \
                 append-only (`chattr -ia` ends that), and who owns it",
                escape::display(path)
            )),
            Some(code) if code == Errno::IO.raw_os_error() => {
                this.hint("the disk or its cable failed: look at `dmesg`, then check the disk")
            }
            _ => this,
        }
    }

    /// The same error, of something that was done on the destination: deletions make room there.
    #[must_use]
    pub(crate) fn on_destination(self) -> Self {
        let full = self.hint.as_deref() == Some(FREE_SPACE);
        Self {
            hint: if full {
                Some(MAKE_ROOM.to_owned())
            } else {
                self.hint
            },
            ..self
        }
    }

    /// The same error with one more thing to do about it.
    #[must_use]
    pub(crate) fn also(mut self, hint: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(first) => format!("{first}; {hint}"),
            None => hint.to_owned(),
        });
        self
    }

    /// The same error with what to do about it, unless it says so already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.hint.is_none() || self.is_general {
            self.hint = Some(hint.into());
            self.is_general = false;
        }
        self
    }
}

/// What to do where the user who runs this may not do something to a path.
fn denied(doing: &str, path: &[u8]) -> String {
    let reads = ["open", "read", "list", "look at", "look into"].contains(&doing);
    let end = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
    let path = &path[..end];
    let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or(end);
    // To make, rename or remove something the folder that holds it must be writable.
    let what = if reads { path } else { &path[..above] };
    format!(
        "run this as the user to whom it belongs, or allow it: `chmod u+rwX {}`",
        escape::display(what)
    )
}

/// What to do about a destination that is not there, because of this.
#[must_use]
pub fn mount_hint(because: Option<&str>, path: &str) -> String {
    if because == Some(NO_ANSWER) {
        return format!(
            "look whether its server, or the program that mounted it, is there; to mount it anew run \
             `umount --lazy {path}` first"
        );
    }
    format!("mount the backup drive, then check with: mountpoint {path}")
}

/// The system's reason without Rust's "(os error N)", in lower case.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::TIMEDOUT.raw_os_error()) {
        return NO_ANSWER.to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_make_room_on_the_destination_alone() {
        let full = || Error::io("write", b"/var/lib/backup/x", Errno::NOSPC);
        let hint = full().hint.unwrap();
        assert!(hint.contains("df -h") && !hint.contains("prune"), "{hint}");
        let hint = full().on_destination().hint.unwrap();
        for way in ["local.makeRoom", "`backup prune`", "`backup delete ID`"] {
            assert!(hint.contains(way), "{hint}");
        }
        let other = Error::io("write", b"/mnt/x", Errno::IO).on_destination();
        assert!(other.hint.unwrap().contains("dmesg"));
    }
}

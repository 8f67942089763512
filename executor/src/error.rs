//! The executor's error: what could not be done, to what, why, and what to do about it.
//!
//! What happened is told by a code, which is all that anything is decided by; the sentence is for
//! people. The cause is kept.

use std::{
    ffi::OsStr,
    fmt, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
    sync::Arc,
};

use rustix::io::Errno;
use schema::{
    FailureCode, escape,
    journal::{Outcome, Status},
    shell,
};

/// What kind of end an error means; the command line turns it into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Refused before anything changed.
    Refused,
    /// Another run holds the lock.
    Busy,
    /// A signal asked to stop; what was begun can be continued.
    Interrupted,
    /// It failed.
    Failed,
}

impl ErrorKind {
    /// How a step ends that fails like this; none where the whole run ends with it.
    #[must_use]
    pub fn step_status(self) -> Option<Status> {
        match self {
            Self::Refused => Some(Status::Refused),
            Self::Failed => Some(Status::Failed),
            Self::Busy | Self::Interrupted => None,
        }
    }
}

/// Where a hint comes from, and so which others may take its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HintScope {
    /// It is of this very failure.
    Specific,
    /// It is a general one, which any better one replaces.
    General,
    /// It is how space is freed on any file system, which on the destination there is more to say of.
    FreeSpace,
}

/// Something that could not be done.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind of end it means.
    pub kind: ErrorKind,
    /// What happened, where a code says it.
    pub code: Option<FailureCode>,
    /// One lowercase sentence that names the path.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    hint_scope: HintScope,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What to do where a file system is full.
const FREE_SPACE: &str = "free space there: `df -h` tells which file system is full";

/// What to do where it is the destination's, after which a run can be made.
pub(crate) const MAKE_ROOM: &str = "make room: the next run does so itself as far as local.makeRoom \
     lets it; by hand `backup prune` frees what the keep numbers let go, and `delete` any that `backup \
     list` shows. what was copied stays, and the next run goes on from there";

/// How a file system or a server that does not answer is told of.
pub const NO_ANSWER: &str = "it does not answer";

/// A result with the executor's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Failed,
            code: None,
            message: message.into(),
            hint: None,
            hint_scope: HintScope::Specific,
            source: None,
        }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Refused, message)
    }

    /// An end of this kind.
    #[must_use]
    pub fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            ..Self::failed(message)
        }
    }

    /// Another run is at work.
    #[must_use]
    pub fn busy(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Busy, message).coded(FailureCode::Busy)
    }

    /// A signal asked to stop.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::of_kind(ErrorKind::Interrupted, "interrupted")
            .coded(FailureCode::Interrupted)
            .hint("run `backup apply` to continue where it stopped")
    }

    /// A system call on this path failed.
    #[must_use]
    pub fn io(doing: &str, path: &[u8], error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let code = failure_code(&error);
        let mut message = format!(
            "cannot {doing} {}: {}",
            escape::display(path),
            system_reason(&error)
        );
        if code == Some(FailureCode::NoSpace) {
            message = format!("insufficient space: {message}");
        }
        let (hint, hint_scope) = match code {
            Some(code) => general_hint(code, doing, path),
            None => (scarcity_hint(&error).map(str::to_owned), HintScope::General),
        };
        Self {
            code,
            hint,
            hint_scope,
            ..Self::failed(message)
        }
        .because(error)
    }

    /// The same error with a code of what happened.
    #[must_use]
    pub fn coded(self, code: impl Into<Option<FailureCode>>) -> Self {
        Self {
            code: code.into(),
            ..self
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Arc::new(source)),
            ..self
        }
    }

    /// The same error, of what makes the basis or its manifest unreadable. An interruption stays one.
    #[must_use]
    pub fn of_basis(self) -> Self {
        match self.kind {
            ErrorKind::Failed => self.coded(FailureCode::UnusableBasis),
            _ => self,
        }
    }

    /// The same error, of what makes the tree of the basis unreadable, whose manifest may be whole.
    #[must_use]
    pub(crate) fn of_basis_tree(self) -> Self {
        match self.kind {
            ErrorKind::Failed => self.coded(FailureCode::TreeUnreadable),
            _ => self,
        }
    }

    /// The same error, of something that was done on the destination: deletions make room there.
    #[must_use]
    pub(crate) fn on_destination(self) -> Self {
        match self.hint_scope {
            HintScope::FreeSpace => Self {
                hint: Some(MAKE_ROOM.to_owned()),
                hint_scope: HintScope::Specific,
                ..self
            },
            HintScope::Specific | HintScope::General => self,
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
        if self.hint.is_none() || self.hint_scope == HintScope::General {
            self.hint = Some(hint.into());
            self.hint_scope = HintScope::Specific;
        }
        self
    }

    /// The same error with this and nothing else to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            hint_scope: HintScope::Specific,
            ..self
        }
    }

    /// The same error in other words.
    #[must_use]
    pub fn in_words(self, words: impl Fn(&str) -> String) -> Self {
        Self {
            message: words(&self.message),
            hint: self.hint.as_deref().map(&words),
            ..self
        }
    }

    /// The end of a step that failed like this.
    #[must_use]
    pub fn into_outcome(self, status: Status) -> Outcome {
        Outcome {
            status,
            code: self.code,
            message: self.message,
            hint: self.hint,
            ..Outcome::default()
        }
    }

    /// What the system said, where a call of it is the cause.
    pub(crate) fn errno(&self) -> Option<Errno> {
        let cause = self.source.as_ref()?.downcast_ref::<io::Error>()?;
        cause.raw_os_error().map(Errno::from_raw_os_error)
    }

    /// Whether the basis, or its manifest, cannot be read: a plan with another basis, or with none,
    /// does not need it.
    #[must_use]
    pub fn is_of_basis(&self) -> bool {
        matches!(
            self.code,
            Some(FailureCode::UnusableBasis | FailureCode::TreeUnreadable)
        )
    }
}

/// What happened when a system call failed; none where there is no code for it.
#[must_use]
pub fn failure_code(error: &io::Error) -> Option<FailureCode> {
    let errno = Errno::from_raw_os_error(error.raw_os_error()?);
    Some(match errno {
        Errno::NOSPC => FailureCode::NoSpace,
        Errno::DQUOT => FailureCode::QuotaExceeded,
        Errno::STALE => FailureCode::ShareGone,
        Errno::NXIO | Errno::NODEV | Errno::NOTCONN | Errno::SHUTDOWN => FailureCode::DeviceGone,
        Errno::ACCESS => FailureCode::PermissionDenied,
        Errno::ROFS => FailureCode::ReadOnly,
        // Root may do everything but this.
        Errno::PERM => FailureCode::Immutable,
        Errno::IO => FailureCode::IoError,
        Errno::TIMEDOUT => FailureCode::NoAnswer,
        Errno::NOENT => FailureCode::NotFound,
        _ => return None,
    })
}

/// What to do where a system call on a path failed like this, whatever it was for.
fn general_hint(code: FailureCode, doing: &str, path: &[u8]) -> (Option<String>, HintScope) {
    let hint = match code {
        FailureCode::NoSpace => return (Some(FREE_SPACE.to_owned()), HintScope::FreeSpace),
        FailureCode::PermissionDenied => {
            return (Some(access_denied_hint(doing, path)), HintScope::General);
        }
        FailureCode::QuotaExceeded => {
            "a quota there is used up: have it raised, or free space there".to_owned()
        }
        FailureCode::ShareGone => {
            "the server took the share away or put another in its place: mount it again, then run \
             `backup apply`"
                .to_owned()
        }
        FailureCode::DeviceGone => {
            "the drive or the server went away: mount it again, then run `backup apply`".to_owned()
        }
        FailureCode::ReadOnly => {
            "the file system became read-only: look at `dmesg`, then check the disk".to_owned()
        }
        FailureCode::Immutable => format!(
            "see with `lsattr -d` whether {} or the folder that it is in is immutable or \
             append-only (`chattr -ia` ends that), and who owns it",
            escape::display(path)
        ),
        FailureCode::IoError => {
            "the disk or its cable failed: look at `dmesg`, then check the disk".to_owned()
        }
        _ => return (None, HintScope::Specific),
    };
    (Some(hint), HintScope::Specific)
}

/// What to do where the machine, and not what stands at a path, lets a system call fail.
fn scarcity_hint(error: &io::Error) -> Option<&'static str> {
    let errno = Errno::from_raw_os_error(error.raw_os_error()?);
    Some(match errno {
        Errno::NFILE | Errno::MFILE => {
            "too many files are open on this machine: run it again when other programs have ended; \
             `sysctl fs.file-nr` tells how many there are"
        }
        Errno::NOMEM | Errno::AGAIN => {
            "the machine has too little memory, or too many processes: run it again when other \
             programs have ended"
        }
        Errno::MLINK => {
            "the file system allows no more names there: run it again, and look at `dmesg`"
        }
        _ => return None,
    })
}

/// What to do where the user who runs this may not do something to a path.
fn access_denied_hint(doing: &str, path: &[u8]) -> String {
    let reads = ["open", "read", "list", "look at", "look into"].contains(&doing);
    let end = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
    let path = &path[..end];
    let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or(end);
    // To make, rename or remove something the folder that holds it must be writable.
    let what = if reads { path } else { &path[..above] };
    let owner = Path::new(OsStr::from_bytes(what)).metadata();
    let is_own = owner.is_ok_and(|found| found.uid() == nix::unistd::geteuid().as_raw());
    let word = shell::word(what);
    if is_own {
        // A mode that its owner may change.
        format!("allow it: `chmod u+rwX {word}`")
    } else {
        format!("run this as the user to whom {word} belongs: `sudo backup ...`")
    }
}

/// What to do about a destination that is not there, and what happened when it was opened.
#[must_use]
pub fn mount_hint(code: Option<FailureCode>, path: &str) -> String {
    let path = shell::word(path);
    if code == Some(FailureCode::NoAnswer) {
        return format!(
            "look whether its server, or the program that mounted it, is there; to mount it anew run \
             `umount --lazy {path}` first"
        );
    }
    format!("mount the backup drive, then check with: `mountpoint {path}`")
}

/// The system's reason without Rust's "(os error N)", in lower case.
#[must_use]
pub fn system_reason(error: &io::Error) -> String {
    if failure_code(error) == Some(FailureCode::NoAnswer) {
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_make_room_on_the_destination_alone() {
        let full = || Error::io("write", b"/var/lib/backup/x", Errno::NOSPC);
        let hint = full().hint.unwrap();
        assert!(hint.contains("df -h") && !hint.contains("prune"), "{hint}");
        let hint = full().on_destination().hint.unwrap();
        for way in ["local.makeRoom", "`backup prune`", "`backup list`"] {
            assert!(hint.contains(way), "{hint}");
        }
        let other = Error::io("write", b"/mnt/x", Errno::IO).on_destination();
        assert!(other.hint.unwrap().contains("dmesg"));
    }

    #[test]
    fn a_failed_call_has_a_code_and_keeps_its_cause() {
        let full = Error::io("write", b"/mnt/x", Errno::NOSPC);
        assert_eq!(full.code, Some(FailureCode::NoSpace));
        let cause = std::error::Error::source(&full).unwrap();
        let cause = cause.downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
        let silent = Error::io("open", b"/mnt/x", Errno::TIMEDOUT);
        assert_eq!(silent.code, Some(FailureCode::NoAnswer));
        assert_eq!(silent.message, "cannot open /mnt/x: it does not answer");
        assert_eq!(Error::io("open", b"/x", Errno::NAMETOOLONG).code, None);
    }

    #[test]
    fn an_interruption_is_no_fault_of_the_basis() {
        assert!(Error::failed("cannot read").of_basis().is_of_basis());
        assert!(Error::failed("cannot open").of_basis_tree().is_of_basis());
        assert!(!Error::interrupted().of_basis().is_of_basis());
        assert!(!Error::interrupted().of_basis_tree().is_of_basis());
    }

    #[test]
    fn what_the_machine_lacks_has_a_hint_that_gives_way() {
        for errno in [
            Errno::NFILE,
            Errno::MFILE,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::MLINK,
        ] {
            let error = Error::io("lock", b"/mnt/x", errno);
            assert!(error.hint.is_some(), "{errno:?}");
            assert_eq!(error.hint("other").hint.as_deref(), Some("other"));
        }
    }

    #[test]
    fn a_general_hint_gives_way_and_a_specific_one_stays() {
        let denied = Error::io("open", b"/mnt/x", Errno::ACCESS).hint("ask its owner");
        assert_eq!(denied.hint.as_deref(), Some("ask its owner"));
        let first = Error::failed("no").hint("first").hint("second");
        assert_eq!(first.hint.as_deref(), Some("first"));
    }
}

//! What happened when something could not be done, as a code that programs compare.
//!
//! A sentence tells people; nothing is ever decided by its words. A code stands beside the sentence
//! wherever one is stored: in outcomes, reports and inventories. A code never changes its meaning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened when something could not be done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The destination is not there, or nothing is mounted where it belongs.
    NotMounted,
    /// What stands at the destination is not the one that was meant.
    ForeignDestination,
    /// Something else stands where a folder or file of the program's own belongs.
    InTheWay,
    /// A file system, or the server behind it, does not answer in time.
    NoAnswer,
    /// A drive or a server went away while it was used.
    DeviceGone,
    /// The server took a share away, or put another in its place.
    ShareGone,
    /// A file system is full.
    NoSpace,
    /// A quota is used up.
    QuotaExceeded,
    /// A file system is mounted read-only, or became so.
    ReadOnly,
    /// The user who runs the program may not do it.
    PermissionDenied,
    /// Nobody may do it, as for what is immutable or append-only.
    Immutable,
    /// A disk or its cable failed.
    IoError,
    /// It is not there.
    NotFound,
    /// What was read is not what was written: a record, a manifest, stored content.
    Damaged,
    /// A snapshot's record names another manifest than the one that this machine sealed.
    ManifestChanged,
    /// A few segments of a manifest are damaged: the rest of it still tells what is unchanged.
    ManifestPartlyDamaged,
    /// The tree of a snapshot cannot be opened; its manifest may be whole.
    TreeUnreadable,
    /// The basis, or its manifest, cannot be read: a plan with another basis does not need it.
    UnusableBasis,
    /// Another run is at work.
    Busy,
    /// A signal asked to stop; what was begun can be continued.
    Interrupted,
    /// A program that is needed is not there, or cannot be started.
    ProgramMissing,
    /// A program or a script ended with an error.
    ProgramFailed,
    /// A remote cannot be reached.
    Unreachable,
    /// Others than root and the user who runs the program could change it, and it decides what is run.
    Untrusted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_in_lower_case_with_hyphens() {
        for (code, written) in [
            (FailureCode::NotMounted, "\"not-mounted\""),
            (FailureCode::NoSpace, "\"no-space\""),
            (FailureCode::IoError, "\"io-error\""),
        ] {
            assert_eq!(serde_json::to_string(&code).unwrap(), written);
            assert_eq!(serde_json::from_str::<FailureCode>(written).unwrap(), code);
        }
    }
}

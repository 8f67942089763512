//! Whether the rsync that was found serves.
//!
//! Owns the versions: which are refused and which are only told of. How it is called is the
//! snapshot step's business.

use schema::Finding;

use super::{
    code,
    finding::{note, refusal},
};
use crate::facts::Facts;

/// The first version that knows all options used: `--open-noatime` came with it.
const OLDEST: [u64; 3] = [3, 2, 0];
/// The first version without the faults that are told of.
const MENDED: [u64; 3] = [3, 5, 0];

/// The finding about rsync, where it is the engine.
pub(crate) fn check_rsync(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if !facts.rsync_copies() {
        return;
    }
    let found = facts.inventory.rsync.as_ref();
    let Some(version) = found.and_then(|found| found.version.as_deref()) else {
        let fault = found.and_then(|found| found.fault.as_deref());
        findings.push(
            refusal(
                code::RSYNC_MISSING,
                format!(
                    "rsync (local.useRsync) cannot be used: {}",
                    fault.unwrap_or("it was not looked for")
                ),
            )
            .hint(
                "install rsync and make sure that it is on the PATH, or set local.useRsync to \
                 false: the built-in engine makes the same snapshots",
            ),
        );
        return;
    };
    let numbers = numbers(version);
    if numbers < OLDEST {
        findings.push(
            refusal(
                code::RSYNC_TOO_OLD,
                format!("rsync {version} (local.useRsync) is too old: 3.2 or newer is needed"),
            )
            .hint(
                "update rsync, or set local.useRsync to false: the built-in engine makes the same \
                 snapshots",
            ),
        );
    } else if numbers < MENDED {
        findings.push(
            note(
                code::RSYNC_HAS_KNOWN_FAULTS,
                format!(
                    "rsync {version} (local.useRsync) is older than 3.5.0, which mended races in \
                     which a user who swaps folders for symlinks can lead a copy by root astray \
                     (CVE-2026-53797, CVE-2026-53799, CVE-2026-53801)"
                ),
            )
            .hint(
                "update rsync, unless your distribution has mended it under the old number, or \
                 set local.useRsync to false",
            ),
        );
    }
}

/// Whether this version of rsync can copy for us.
pub(crate) fn rsync_is_usable(version: &str) -> bool {
    numbers(version) >= OLDEST
}

/// The numbers of a version; what is missing or is no number counts as zero.
pub(crate) fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{MENDED, OLDEST, numbers};

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, expected) in [
            ("3.5.0", [3, 5, 0]),
            ("3.10", [3, 10, 0]),
            ("3.2.7pre1", [3, 2, 7]),
            ("v3.4.1dev", [3, 4, 1]),
            ("", [0, 0, 0]),
            ("unknown", [0, 0, 0]),
        ] {
            assert_eq!(numbers(version), expected, "{version}");
        }
        assert!(numbers("3.1.3") < OLDEST && numbers("3.2.0") >= OLDEST);
        assert!(numbers("3.4.4") < MENDED && numbers("3.10.0") > MENDED);
    }
}

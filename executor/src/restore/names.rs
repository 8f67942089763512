//! The names that a restore gives besides the final ones: temporary, kept aside, damaged.
//!
//! Only makes and recognises names; touches no file.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Stands in a folder that a restore made, until the folder has all its content and metadata.
pub(super) const MARKER: &str = ".backup-restore-unfinished";
/// The permission bits of a file that has its final name and is not whole, in a folder that a restore made
/// and that has its mark. Nothing else has these on a file.
pub(super) const UNFINISHED_MODE: u32 = 0o1600;
/// Suffix of content that is not what the manifest recorded.
pub(super) const DAMAGED: &str = ".damaged";

const WORD: &[u8] = b".backup-restore-";
const NAME_MAX: usize = 255;

/// A name for an entry that is not finished yet; another one each time.
pub(super) fn temporary_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u32> = LazyLock::new(std::process::id);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = name_stem(name);
    temporary.extend_from_slice(format!("{:x}-{number:x}", *PROCESS).as_bytes());
    OsString::from_vec(temporary)
}

/// Whether this is a name that [`temporary_name`] makes.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let at = name.windows(WORD.len()).rposition(|part| part == WORD);
    at.is_some_and(|at| at > 0 && name[0] == b'.' && is_number(&name[at + WORD.len()..]))
}

/// Whether this is a name that [`temporary_name`] makes of that one.
pub(super) fn is_temporary_of(name: &OsStr, of: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(name_stem(of).as_slice());
    rest.is_some_and(is_number)
}

/// What a temporary name starts with. Room is left for the number.
fn name_stem(name: &OsStr) -> Vec<u8> {
    let name = match name.as_bytes() {
        long if long.len() > 200 => b"long-name",
        name => name,
    };
    [b".", name, WORD].concat()
}

fn is_number(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'-').collect();
    parts.len() == 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit))
}

/// The name with a suffix; from the second attempt on with a number, too. A name that gets too
/// long loses its end, not the suffix.
pub(super) fn neighbouring_name(name: &OsStr, suffix: &str, attempt: u32) -> OsString {
    let mut suffix = suffix.to_owned();
    if attempt > 1 {
        suffix.push_str(&format!("-{attempt}"));
    }
    let mut name = name.as_bytes();
    let room = NAME_MAX.saturating_sub(suffix.len());
    if name.len() > room {
        // Not within a character, which some file systems refuse.
        name = match std::str::from_utf8(name) {
            Ok(text) => {
                let boundary = (0..=room).rfind(|at| text.is_char_boundary(*at));
                &name[..boundary.unwrap_or_default()]
            }
            Err(_) => &name[..room],
        };
    }
    OsString::from_vec([name, suffix.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_recognised_and_others_are_not() {
        let long = "x".repeat(255);
        for name in ["a", "a.backup-restore-1-2", &long] {
            let name = OsStr::new(name);
            let made = temporary_name(name);
            assert!(made.len() <= NAME_MAX);
            assert!(is_temporary(&made) && is_temporary_of(&made, name));
            assert!(!is_temporary_of(&made, OsStr::new("b")));
        }
        for name in [
            MARKER,
            "a",
            "a.backup-restore-1-2",
            ".a.backup-restore-",
            ".a.backup-restore-x-1",
        ] {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_name_beside_a_long_one_still_fits() {
        assert_eq!(neighbouring_name(OsStr::new("a"), ".old", 1), "a.old");
        assert_eq!(neighbouring_name(OsStr::new("a"), ".old", 3), "a.old-3");
        let long = "ü".repeat(127);
        let made = neighbouring_name(OsStr::new(&long), ".before", 1);
        assert!(made.len() <= NAME_MAX);
        assert!(made.to_str().unwrap().ends_with("ü.before"));
    }
}

//! What is known of rsync, and how it is called: one call for each source, arguments and all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::AbsolutePath;

/// The argument that stands for the source: the executor opens it and passes the open folder as
/// standard input, so that its path is not resolved again.
pub const SOURCE: &str = "{source}";

/// The argument that stands for the excludes of the destination itself: where it can be seen from
/// within the source is known only once both are open.
pub const DESTINATION: &str = "{destination}";

/// The argument without which rsync fills holes with zeros.
pub const SPARSE: &str = "--sparse";

/// The argument that a list's path follows.
pub const LIST: &str = "--files-from=";

/// The argument that says how a list's entries end.
pub const LIST_FORM: &str = "--from0";

/// Whether an argument is of a list: these are left out where all of a source is to be copied.
#[must_use]
pub fn is_of_list(argument: &str) -> bool {
    argument == LIST_FORM || argument.starts_with(LIST)
}

/// The argument with which rsync lists all before it copies anything, instead of folder by folder.
pub const LISTED_AT_ONCE: &str = "--no-inc-recursive";

/// The longest pattern that rsync accepts, in bytes.
const LONGEST: usize = 4095;

/// The argument that excludes one path below the source and nothing else; with the tail `/*` all
/// that is in it. None where rsync could not hold the pattern.
///
/// Bytes that are not UTF-8 stand as `?`, because a plan is text.
#[must_use]
pub fn exclude_argument(path: &[u8], tail: &str) -> Option<String> {
    let wild = |text: &str| text.contains(['*', '?', '[']);
    let is_plain = std::str::from_utf8(path).is_ok_and(|text| !wild(text)) && !wild(tail);
    let mut pattern = "/".to_owned();
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            // A backslash is an escape only in a pattern with wildcards.
            if !is_plain && matches!(character, '\\' | '*' | '?' | '[') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.extend(chunk.invalid().iter().map(|_| '?'));
    }
    pattern.push_str(tail);
    (pattern.len() <= LONGEST).then(|| format!("--exclude={pattern}"))
}

/// rsync as it was found on the PATH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncFound {
    /// What it says that it is, such as `3.5.0`; none where it cannot be run or says nothing.
    pub version: Option<String>,
    /// Why no version is known.
    pub fault: Option<String>,
}

/// What rsync is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncPlan {
    /// The program, found on the PATH.
    pub program: String,
    /// The version that was found.
    pub version: String,
    /// The calls, in the order of the sources.
    pub calls: Vec<RsyncCall>,
}

/// One call of rsync. It is made only if the survey finds files in the source whose content the basis
/// does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncCall {
    /// The source that it copies.
    pub source: AbsolutePath,
    /// Whether the source is a folder. A folder is copied from within the folder that stands for
    /// it in the unfinished snapshot, anything else from within the folder above.
    pub folder: bool,
    /// The file that the survey lists these files in, in the folder of the snapshot's records on the
    /// destination, where the source is a folder. A call of a plan that has none is not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// All arguments; `{source}` alone stands for the opened source, `{destination}` for the
    /// excludes of the destination where it is mounted within the source. `--files-from=` and
    /// `--from0` are left out where the list would name the source itself: all of it is new.
    pub arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_the_pattern_of_itself_and_nothing_else() {
        for (path, tail, expected) in [
            (&b"mnt/backup"[..], "", "/mnt/backup"),
            (b"a\\b", "", "/a\\b"),
            (b"a\\b", "/*", "/a\\\\b/*"),
            (b"a*[b]?", "", "/a\\*\\[b]\\?"),
            (b"a\xffb", "", "/a?b"),
            (b"a\xffb*", "/*", "/a?b\\*/*"),
        ] {
            let argument = format!("--exclude={expected}");
            assert_eq!(exclude_argument(path, tail), Some(argument), "{expected}");
            let matcher = crate::pattern::Excludes::new(&[expected]).unwrap();
            let below = [path, b"/x"].concat();
            let (is, is_not) = if tail.is_empty() {
                (path, &b"ab"[..])
            } else {
                (&below[..], path)
            };
            assert!(matcher.matches(is, true).is_some(), "{expected}");
            assert!(matcher.matches(is_not, true).is_none(), "{expected}");
        }
        assert_eq!(exclude_argument(&b"x/".repeat(3000), ""), None);
    }
}

//! The configuration of a trial, which is one in the trial's own folder and nowhere else.
//!
//! A trial does without a drive: a copy of its configuration would back up to the disk that the sources
//! are on. So its file does not say that nothing need be mounted; that it is of a trial says it, and only
//! to whoever reads it where the trial wrote it.

use schema::config::AbsolutePath;
use serde_json::Value;

use super::{Checked, Fault, check_config};

/// The key by which a trial's configuration names its folder.
pub const TRIAL: &str = "trial";

/// Reads a configuration that stands in this folder, as [`check_config`] does; also that of a trial in
/// its own folder.
///
/// # Errors
///
/// All faults of the config; never an empty list. A trial's is one big fault anywhere else.
pub fn check_config_in(folder: &str, bytes: &[u8]) -> Result<Checked, Vec<Fault>> {
    let Some(rest) = without_trial(folder, bytes) else {
        return check_config(bytes);
    };
    let mut checked = check_config(&rest)?;
    checked.config.trial = Some(AbsolutePath::new(folder));
    checked.config.local.require_mount = false;
    Ok(checked)
}

/// What a trial's configuration says besides that it is of the trial in this folder; none where it is not.
fn without_trial(folder: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let named = document.as_object_mut()?.shift_remove(TRIAL)?;
    (named == folder).then(|| document.to_string().into_bytes())
}

/// Why the key of a trial is none, and what to do.
pub(super) fn misplaced(section: &str, name: &str) -> Option<(&'static str, &'static str)> {
    (section.is_empty() && name == TRIAL).then_some((
        "no such key; `try` writes it, and what it wrote serves its own folder alone",
        "`setup` writes a configuration for good",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIALS: &str = r#"{"version": 1, "trial": "/home/ann/try",
        "local": {"enable": true, "mountPoint": "/home/ann/try", "sources": ["/home/ann/Documents"]}}"#;

    #[test]
    fn what_a_trial_wrote_needs_no_drive_in_its_folder_and_is_none_elsewhere() {
        let checked = check_config_in("/home/ann/try", TRIALS.as_bytes()).unwrap();
        assert!(!checked.config.local.require_mount);
        let written = serde_json::to_string(&checked.config).unwrap();
        for (folder, text) in [
            ("/etc/backup", TRIALS),
            ("/home/ann", TRIALS),
            // What is written down of its runs is none either.
            ("/etc/backup", &*written),
        ] {
            let faults = check_config_in(folder, text.as_bytes()).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].path, "trial");
            assert!(faults[0].hint.as_ref().unwrap().contains("`setup` writes"));
        }
        check_config(TRIALS.as_bytes()).unwrap_err();
    }

    #[test]
    fn without_the_key_it_wants_a_drive() {
        let bare = TRIALS.replace(r#""trial": "/home/ann/try","#, "");
        let checked = check_config_in("/home/ann/try", bare.as_bytes()).unwrap();
        assert!(checked.config.local.require_mount);
        assert_eq!(checked.config.trial, None);
    }
}

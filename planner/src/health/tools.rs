//! Whether the programs that runs call are there, and which of their versions have known faults.
//!
//! Owns rclone's versions; rsync's are owned by the findings of a plan.

use schema::{Finding, Severity, config::Provider};

use super::{Checkup, error, judged, warning};
use crate::findings::{code, rsync, trust};

/// The first version with Proton Drive (rclone's changelog, v1.64.0).
const WITH_PROTON: [u64; 3] = [1, 64, 0];
/// The version that stores damaged files on Proton Drive where an upload is tried again
/// (rclone/rclone#9722, mended in v1.75.1).
const DAMAGES_ON_PROTON: [u64; 3] = [1, 75, 0];

/// Judges rsync and rclone where they are used.
pub(super) fn check_tools(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let mut about_rsync = Vec::new();
    if checkup.facts.config.local.enable {
        rsync::check_rsync(checkup.facts, &mut about_rsync);
    }
    findings.extend(
        about_rsync
            .into_iter()
            .map(|one| judged(one, Severity::Note)),
    );
    let untrusted = trust::untrusted_files(checkup.facts.inventory).into_iter();
    findings.extend(untrusted.map(|one| judged(one, Severity::Warning)));
    let config = &checkup.facts.config.cloud;
    let Some(rclone) = checkup.measured.rclone.as_ref().filter(|_| config.enable) else {
        return;
    };
    let Some(version) = &rclone.version else {
        findings.push(
            error(
                code::RCLONE_MISSING,
                format!(
                    "rclone (cloud.enable) cannot be used: {}",
                    rclone.fault.as_deref().unwrap_or("it says nothing")
                ),
            )
            .hint("install rclone and make sure that it is on the PATH"),
        );
        return;
    };
    if config.provider != Provider::ProtonDrive {
        return;
    }
    let numbers = rsync::numbers(version);
    if numbers < WITH_PROTON {
        findings.push(
            error(
                code::RCLONE_TOO_OLD,
                format!(
                    "rclone {version} does not know Proton Drive (cloud.provider), which came \
                     with 1.64"
                ),
            )
            .hint("update rclone"),
        );
    } else if numbers == DAMAGES_ON_PROTON {
        findings.push(
            warning(
                code::RCLONE_HAS_KNOWN_FAULTS,
                format!(
                    "rclone {version} may store damaged files on Proton Drive (cloud.provider) \
                     when it tries an upload again (rclone/rclone#9722)"
                ),
            )
            .hint("update rclone to 1.75.1 or newer, then compare the copy"),
        );
    }
}

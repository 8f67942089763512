//! Whether the rclone that was found serves.
//!
//! Owns the versions: which is too old and which faults are told of. Nothing here refuses a run: a
//! local backup never waits for the cloud.

use schema::{Finding, config::Provider, plan::Part};

use super::{
    code,
    finding::{note, warning},
};
use crate::facts::Facts;

/// The oldest version that is tested, Debian 12's. All options used are known since 1.52.
const OLDEST: [u64; 3] = [1, 60, 0];

/// A fault of rclone that matters here.
struct Fault {
    /// The first version without it.
    mended: [u64; 3],
    /// Whether only Proton Drive is concerned.
    proton: bool,
    /// What it is, with where that is told.
    what: &'static str,
}

/// Known faults, the newest first.
const FAULTS: &[Fault] = &[
    Fault {
        mended: [1, 75, 1],
        proton: true,
        what: "it may store damaged files on Proton Drive when it tries an upload again \
               (rclone/rclone#9722)",
    },
    Fault {
        mended: [1, 68, 2],
        proton: false,
        // https://github.com/rclone/rclone/security/advisories/GHSA-hrxh-9w67-g4cv
        what: "with --links and --metadata, which are not used here, it follows symlinks when it sets \
           owners and modes (CVE-2024-52522)",
    },
];

/// The finding about rclone, where there are cloud copies.
pub(super) fn check_rclone(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let Some(cloud) = &facts.inventory.cloud else {
        return;
    };
    let Some(version) = cloud.rclone.version.as_deref() else {
        let fault = cloud.rclone.fault.as_deref();
        findings.push(
            warning(
                code::RCLONE_MISSING,
                format!(
                    "rclone (cloud.enable) cannot be used, so nothing is copied to the cloud: {}",
                    fault.unwrap_or("it was not looked for")
                ),
            )
            .hint("install rclone and make sure that it is on the PATH"),
        );
        return;
    };
    let numbers = super::rsync::numbers(version);
    if numbers < OLDEST {
        findings.push(
            warning(
                code::RCLONE_TOO_OLD,
                format!("rclone {version} (cloud.enable) is older than 1.60, the oldest tested"),
            )
            .hint("update rclone"),
        );
        return;
    }
    if cloud.configured == Some(false) && facts.options.only != Some(Part::Local) {
        findings.push(unknown_remote(facts));
    }
    for fault in FAULTS.iter().filter(|fault| numbers < fault.mended) {
        if fault.proton && facts.config.cloud.provider != Provider::ProtonDrive {
            continue;
        }
        let [major, minor, patch] = fault.mended;
        findings.push(
            note(
                code::RCLONE_HAS_KNOWN_FAULTS,
                format!(
                    "rclone {version} is older than {major}.{minor}.{patch}: {}",
                    fault.what
                ),
            )
            .hint("update rclone when you can"),
        );
    }
}

/// That rclone's configuration does not have the remote.
fn unknown_remote(facts: &Facts<'_>) -> Finding {
    let cloud = &facts.config.cloud;
    let remote = crate::cloud_remote(cloud, facts.host);
    let name = remote.split(':').next().unwrap_or_default();
    let (place, with) = match &cloud.config_file {
        Some(file) => (
            format!("{file} (cloud.configFile)"),
            format!(" --config={}", schema::shell::word(file.as_str())),
        ),
        None => (
            "cloud.configFile is not set, and rclone's configuration of this user".to_owned(),
            String::new(),
        ),
    };
    let option = match cloud.provider {
        Provider::ProtonDrive => "cloud.provider proton-drive",
        Provider::Custom => "cloud.remote",
    };
    warning(
        code::CLOUD_REMOTE_UNKNOWN,
        format!(
            "{place} is missing or has no remote `{name}:` ({option}), so there are no credentials and nothing can \
             be copied to the cloud"
        ),
    )
    .hint(format!(
        "make it with `rclone{with} config`, and name that file in cloud.configFile"
    ))
}

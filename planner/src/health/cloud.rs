//! How old the copy in the cloud is, and whether the remote can be reached.

use schema::{
    Finding, clock,
    health::{CloudCopy, Measured},
};

use super::{Checkup, age, error, warning};
use crate::{findings::code, standing};

/// Judges the copy, where there is to be one.
pub(super) fn check_cloud(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) -> Option<CloudCopy> {
    let config = checkup.facts.config;
    if !config.cloud.enable {
        return None;
    }
    let Measured {
        runs,
        cloud_unreachable,
        ..
    } = checkup.measured;
    let now = checkup.facts.inventory.taken_at;
    let memory = checkup.facts.inventory.cloud.as_ref();
    let memory = memory.map(|state| state.memory.clone()).unwrap_or_default();
    // A copy that could not take everything away, or holds less than it should, is a copy.
    let last = memory.last.as_ref().map(|last| last.uploaded_at);
    let last = last.filter(|last| !clock::is_ahead(*last, now));
    let copied_at = standing::copied_at(runs, now).into_iter().chain(last).max();
    findings.extend(crate::held_back_upload(&memory, runs));
    match copied_at {
        None => findings.push(
            warning(
                code::CLOUD_NEVER_COPIED,
                "none of the runs that are remembered brought a copy to the cloud (cloud.enable)",
            )
            .hint("make one with `backup now`; `backup status` says what stands in the way"),
        ),
        Some(at) => {
            if let Some((age, limit)) = standing::too_old(config, at, now) {
                findings.push(
                    error(
                        code::CLOUD_COPY_TOO_OLD,
                        format!(
                            "the last copy to the cloud is {} old, and {} is the most ({})",
                            age::days(age),
                            age::days(limit),
                            age::source(config)
                        ),
                    )
                    .hint("run `backup now` and see what its cloud step says"),
                );
            }
        }
    }
    if let Some(because) = cloud_unreachable {
        findings.push(
            warning(
                code::CLOUD_UNREACHABLE,
                format!("connection failed: the remote of cloud.* cannot be listed: {because}"),
            )
            .hint("check the network and the credentials in cloud.configFile"),
        );
    }
    Some(CloudCopy {
        copied_at,
        unreachable: cloud_unreachable.clone(),
    })
}

//! What a drill must never do, from its plan alone: show what a source has on the machine, or the destination,
//! or lead out of the snapshot.

use schema::{
    Config,
    drill::{DrillPlan, RoomMount, Shown},
    path::rest_below,
};

/// What a drill's plan does against that, in a sentence that names the path; none for one that may begin.
#[must_use]
pub fn check_drill(plan: &DrillPlan, config: &Config) -> Option<String> {
    let kernel = ["/dev", "/proc", "/sys"];
    let of_container = plan.container.as_ref().and_then(|container| {
        let made_anew = [&kernel[..], &["/run"]].concat();
        check_mounts(&container.mounts, &made_anew, plan, config)
    });
    of_container.or_else(|| check_mounts(&plan.mounts, &kernel, plan, config))
}

/// The same for what is shown in one room, in which these places are nobody's.
fn check_mounts(
    mounts: &[RoomMount],
    made_anew: &[&str],
    plan: &DrillPlan,
    config: &Config,
) -> Option<String> {
    let shown_at = |path: &str| {
        let all = mounts.iter().filter(|mount| within(path, &mount.at));
        all.max_by_key(|mount| mount.at.len())
            .map(|mount| &mount.shows)
    };
    let is_made_anew = |path: &str| made_anew.iter().any(|at| within(path, at));
    let is_program = |path: &str| {
        let mut all = plan.checks.iter();
        all.any(|check| check.program.as_deref() == Some(path))
    };
    for mount in mounts {
        let path = match &mount.shows {
            Shown::Restored { path } => path,
            Shown::Machine { path } | Shown::Outline { path } => path,
            _ => &mount.at,
        };
        let parts = || mount.at.split('/').chain(path.split('/'));
        if !mount.at.starts_with('/') || parts().any(|part| part == ".." || part == ".") {
            return Some(format!("{} is no path of the room", mount.at));
        }
        if let Shown::Restored { path } = &mount.shows
            && mount.at.trim_start_matches('/') != path
        {
            return Some(format!("{path} would be restored to {}", mount.at));
        }
        if let Shown::Machine { path } | Shown::Outline { path } = &mount.shows
            && path != &mount.at
            && !is_program(&mount.at)
        {
            return Some(format!("{path} of the machine would stand at {}", mount.at));
        }
    }
    let sources = config.local.sources.iter().map(|source| source.as_str());
    for source in sources.filter(|source| !is_made_anew(source)) {
        let shown = shown_at(source);
        if !matches!(shown, Some(Shown::Restored { .. } | Shown::Hidden)) {
            return Some(format!(
                "{source} (local.sources) would not be the snapshot's"
            ));
        }
    }
    let destination = config.local.mount_point.as_str();
    matches!(shown_at(destination), Some(Shown::Machine { .. }))
        .then(|| format!("{destination} (local.mountPoint) would be shown"))
}

fn within(path: &str, folder: &str) -> bool {
    folder == "/" || rest_below(path.as_bytes(), folder.as_bytes()).is_some()
}

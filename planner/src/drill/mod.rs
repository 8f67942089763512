//! A drill: which snapshot is restored, what the room shows of it and of the machine, and what the result
//! means.
//!
//! A snapshot holds the sources only, and programs want a system around them. So the room has the sources at
//! their own paths, from the snapshot and from nowhere else, and below what no source covers the machine's
//! programs and libraries, read-only. What a source has on the machine now is never shown: where the snapshot
//! does not hold it, there is nothing.

mod container;
mod judge;
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, StoredPath,
    config::DrillCheck,
    drill::{
        DrillPlan, DrilledSnapshot, FORMAT_VERSION, PassedOver, PlannedCheck, RoomMount, Shown,
    },
    inventory::{DestinationState, SnapshotState},
    path::rest_below,
};

pub use self::{
    container::{CONTAINER_PLACES, SystemdFact},
    judge::judge_drill,
    sample::SampleChooser,
};
use crate::stored_snapshot::{NamingRefusal, StoredSnapshot, find_stored};

/// What a system needs to start programs: with these the room is filled where no source covers them.
pub const MACHINE_PLACES: [&str; 10] = [
    "/bin",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/run/current-system",
    "/sbin",
    "/usr",
];
/// Where the programs of checks stand that the room would not show otherwise.
const CHECKS: &str = "/run/backup-drill/checks";
/// What the kernel answers for: never taken from a snapshot.
const OF_THE_KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Folders that programs expect to be there.
const EXPECTED: [&str; 4] = ["/home", "/root", "/var/lib", "/var/log"];
/// The same, for files that do not last.
const TEMPORARY: [&str; 3] = ["/run", "/tmp", "/var/tmp"];

/// What stands at a path of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachinePlace {
    /// A folder.
    Folder,
    /// A symbolic link with this target.
    Link(String),
}

/// What is known of a check's program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramFact {
    /// Where it leads, every symlink followed; none where it is not there.
    pub real: Option<String>,
    /// Why it is not to be trusted.
    pub distrust: Option<String>,
}

/// What a drill is planned from.
#[derive(Debug)]
pub struct DrillFacts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The host.
    pub host: &'a str,
    /// The time.
    pub now: DateTime<FixedOffset>,
    /// The destination.
    pub destination: &'a DestinationState,
    /// The snapshot that is restored.
    pub snapshot: &'a SnapshotState,
    /// Which of the [`wanted_paths`] the snapshot holds; empty folders are none.
    pub held: &'a BTreeSet<String>,
    /// What of [`MACHINE_PLACES`] and [`CONTAINER_PLACES`] the machine has.
    pub machine: &'a BTreeMap<String, MachinePlace>,
    /// The programs of `monitoring.drill.checks`, in their order; what stands for a service has no meaning.
    pub programs: &'a [ProgramFact],
    /// What a container for services can be made of, or why there can be none.
    pub systemd: &'a Result<SystemdFact, String>,
}

/// The snapshot that a drill restores: the newest good one, or the one that a person names.
///
/// # Errors
/// There is none, or it has no record.
pub fn choose_snapshot<'a>(
    name: Option<&str>,
    destination: &'a DestinationState,
    now: DateTime<FixedOffset>,
) -> Result<&'a SnapshotState, NamingRefusal> {
    let stored: StoredSnapshot = find_stored(name.unwrap_or("latest"), destination, now)?;
    let id = stored.to_compare()?;
    let mut all = destination.snapshots.iter();
    all.find(|one| one.record.id == id)
        .ok_or_else(|| NamingRefusal::of_name(format!("the record of {id} cannot be read")))
}

/// The paths of which it matters whether a snapshot holds them.
#[must_use]
pub fn wanted_paths(config: &Config, snapshot: &SnapshotState) -> BTreeSet<String> {
    let others = MACHINE_PLACES.iter().chain(&TEMPORARY);
    let others = others.chain(&CONTAINER_PLACES);
    let others = others.map(|path| (*path).to_owned());
    all_sources(config, snapshot)
        .into_iter()
        .chain(others)
        .collect()
}

/// Plans a drill. The same facts give the same plan.
#[must_use]
pub fn plan_drill(facts: &DrillFacts<'_>) -> DrillPlan {
    let sources = all_sources(facts.config, facts.snapshot);
    let mut mounts: BTreeMap<String, Shown> = BTreeMap::new();
    for path in EXPECTED {
        mounts.insert(path.to_owned(), Shown::Folder);
    }
    for path in TEMPORARY {
        // What is in /run does not outlive the machine that it is of.
        let is_restored = is_covered(path, &sources) && facts.held.contains(path);
        if path == "/run" || !is_restored {
            mounts.insert(path.to_owned(), Shown::Temporary);
        }
    }
    for path in MACHINE_PLACES {
        // What a source covers is the snapshot's, if it holds that: one of `/` may be without the store.
        if is_covered(path, &sources) && facts.held.contains(path) {
            continue;
        }
        if let Some(shown) = shown_of_machine(path, facts.machine) {
            mounts.insert(path.to_owned(), shown);
        }
    }
    for source in &sources {
        let is_held = facts.held.contains(source);
        let shown = if is_held {
            Shown::Restored {
                path: source.trim_start_matches('/').to_owned(),
            }
        } else {
            Shown::Hidden
        };
        mounts.insert(source.clone(), shown);
    }
    hide_destination(facts.config.local.mount_point.as_str(), &mut mounts);
    mounts.insert("/dev".to_owned(), Shown::Devices);
    mounts.insert("/proc".to_owned(), Shown::Processes);
    let starts_services = facts.config.monitoring.drill.checks.iter();
    let container = starts_services
        .map(DrillCheck::unit)
        .any(|unit| unit.is_some())
        .then(|| container::plan_container(facts, &mounts, &sources));
    let checks = plan_checks(facts, &mut mounts);
    DrillPlan {
        format_version: FORMAT_VERSION,
        host: facts.host.to_owned(),
        planned_at: facts.now,
        snapshot: drilled(facts.snapshot),
        remote: None,
        passed_over: passed_over(facts.destination, facts.snapshot),
        mounts: in_order(mounts, &sources),
        checks,
        container: container.flatten(),
        check_seconds: facts
            .config
            .monitoring
            .drill
            .timeout
            .as_duration()
            .as_secs()
            .max(1),
    }
}

/// Plans a drill of a remote, of whose snapshots a sample is brought here and no room is made.
#[must_use]
pub fn plan_remote_drill(
    host: &str,
    now: DateTime<FixedOffset>,
    remote: &str,
    destination: &DestinationState,
    snapshot: &SnapshotState,
) -> DrillPlan {
    DrillPlan {
        format_version: FORMAT_VERSION,
        host: host.to_owned(),
        planned_at: now,
        snapshot: drilled(snapshot),
        remote: Some(remote.to_owned()),
        passed_over: passed_over(destination, snapshot),
        mounts: Vec::new(),
        checks: Vec::new(),
        container: None,
        check_seconds: 0,
    }
}

fn drilled(snapshot: &SnapshotState) -> DrilledSnapshot {
    DrilledSnapshot {
        id: snapshot.record.id,
        home: snapshot.home,
        started_at: snapshot.record.started_at,
        complete: snapshot.record.complete,
    }
}

/// What of the machine is shown at one of its places.
fn shown_of_machine(path: &str, machine: &BTreeMap<String, MachinePlace>) -> Option<Shown> {
    Some(match machine.get(path)? {
        MachinePlace::Folder => Shown::Machine {
            path: path.to_owned(),
        },
        MachinePlace::Link(target) => Shown::Link {
            target: target.clone(),
        },
    })
}

/// The sources of the snapshot and of the configuration, without those that another one contains and what is
/// the kernel's.
fn all_sources(config: &Config, snapshot: &SnapshotState) -> BTreeSet<String> {
    let recorded = snapshot.record.sources.iter().map(|one| one.path.as_str());
    let configured = config.local.sources.iter().map(|one| one.as_str());
    let all: BTreeSet<&str> = recorded.chain(configured).collect();
    let kernel = |path: &str| OF_THE_KERNEL.iter().any(|place| is_within(path, place));
    let outer = |path: &&str| {
        let mut others = all.iter().filter(|other| **other != *path);
        !others.any(|other| is_within(path, other)) && !kernel(path)
    };
    all.iter()
        .copied()
        .filter(outer)
        .map(str::to_owned)
        .collect()
}

/// The mounts, each below those that it stands in. What a source has within a place of the kernel's or of
/// what does not last, or a machine's within a source, is shown there all the same.
fn in_order(mounts: BTreeMap<String, Shown>, sources: &BTreeSet<String>) -> Vec<RoomMount> {
    // A folder that only is expected may be restored with one above it.
    let is_of_source = |at: &str| is_covered(at, sources) && !sources.contains(at);
    mounts
        .into_iter()
        .filter(|(at, shows)| !(matches!(shows, Shown::Folder) && is_of_source(at)))
        .map(|(at, shows)| RoomMount { at, shows })
        .collect()
}

/// Hides the destination where the machine's places would show it.
fn hide_destination(mount_point: &str, mounts: &mut BTreeMap<String, Shown>) {
    if matches!(shown_at(mount_point, mounts), Some(Shown::Machine { .. })) {
        mounts.insert(mount_point.to_owned(), Shown::Hidden);
    }
}

/// What shows a path: the mount that it stands in.
fn shown_at<'a>(path: &str, mounts: &'a BTreeMap<String, Shown>) -> Option<&'a Shown> {
    let all = mounts.iter().filter(|(at, _)| is_within(path, at));
    all.max_by_key(|(at, _)| at.len()).map(|(_, shown)| shown)
}

/// What is run, and what of that has to be shown for it.
fn plan_checks(facts: &DrillFacts<'_>, mounts: &mut BTreeMap<String, Shown>) -> Vec<PlannedCheck> {
    let configured = &facts.config.monitoring.drill.checks;
    let mut checks = Vec::new();
    for (number, configured) in configured.iter().enumerate() {
        let check = match configured {
            DrillCheck::Program(path) => path.as_str(),
            DrillCheck::Service(_) => {
                checks.push(PlannedCheck {
                    check: configured.to_string(),
                    program: None,
                    unit: configured.unit(),
                    refused: facts.systemd.as_ref().err().cloned(),
                });
                continue;
            }
        };
        let fact = facts.programs.get(number).cloned().unwrap_or_default();
        let mut program = check.to_owned();
        if let Some(real) = &fact.real {
            let is_machines = |path: &str| {
                let shown = shown_at(path, mounts);
                matches!(shown, Some(Shown::Machine { .. } | Shown::Link { .. }))
            };
            if !is_machines(check) || !is_machines(real) {
                // The check is the machine's, also where it stands in a source.
                let name = check.rsplit('/').next().unwrap_or("check");
                program = format!("{CHECKS}/{number}/{name}");
                let shown = Shown::Machine { path: real.clone() };
                mounts.insert(program.clone(), shown);
            }
        }
        let refused = match (fact.distrust, fact.real) {
            (Some(distrust), _) => Some(format!("it is not to be trusted: {distrust}")),
            (None, None) => Some("there is no such file on this machine".to_owned()),
            (None, Some(_)) => None,
        };
        checks.push(PlannedCheck {
            check: check.to_owned(),
            program: Some(program),
            unit: None,
            refused,
        });
    }
    checks
}

/// Newer snapshots that are no good ones.
fn passed_over(destination: &DestinationState, snapshot: &SnapshotState) -> Vec<PassedOver> {
    const MOST: usize = 20;
    let chosen = &snapshot.record;
    let newer = destination.snapshots.iter().filter(|one| {
        one.record.started_at > chosen.started_at
            && !one.record.suspect.is_empty()
            && !one.marks.accepted
    });
    let suspect = newer.map(|one| PassedOver {
        id: one.record.id.to_string(),
        because: format!("suspect: {}", one.record.suspect.join("; ")),
    });
    let damaged = destination.unmanaged.iter().filter_map(|one| {
        let fault = one.record_fault.as_ref()?;
        (one.name > chosen.id.to_string()).then(|| PassedOver {
            id: format!("{}/{}", one.tier, one.name),
            because: format!("its record is damaged: {fault}"),
        })
    });
    suspect.chain(damaged).take(MOST).collect()
}

/// Whether the room shows what the snapshot holds at this stored path.
#[must_use]
pub fn is_restored(plan: &DrillPlan, stored: &StoredPath) -> bool {
    let path = stored.to_absolute();
    let all = plan.mounts.iter();
    let around = all.filter(|mount| rest_below(&path, mount.at.as_bytes()).is_some());
    let nearest = around.max_by_key(|mount| mount.at.len());
    nearest.is_some_and(|mount| matches!(mount.shows, Shown::Restored { .. }))
}

/// Whether a source held what the manifest has at this stored path, and the room has nothing of it.
#[must_use]
pub fn is_lost(plan: &DrillPlan, stored: &StoredPath) -> bool {
    let path = stored.to_absolute();
    let mut of_the_machine = OF_THE_KERNEL.iter().chain(&["/run"]);
    !is_restored(plan, stored)
        && !of_the_machine.any(|place| rest_below(&path, place.as_bytes()).is_some())
}

/// Whether a path is one of these or in one of them.
pub(crate) fn is_covered(path: &str, sources: &BTreeSet<String>) -> bool {
    sources.iter().any(|source| is_within(path, source))
}

/// Whether an absolute path is this folder or something in it.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    folder == "/" || rest_below(path.as_bytes(), folder.as_bytes()).is_some()
}

#[cfg(test)]
mod tests;

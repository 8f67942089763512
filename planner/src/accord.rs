//! Whether a plan that comes from a file is what the present configuration gives.
//!
//! A saved plan and the plan of an unfinished run lie in files, and say which programs are run, on which
//! arguments, from which sources to where. Their digest is no secret, so that it proves nothing. All in
//! them that does not hang on what disks held when they were made is therefore decided once more, by the
//! same code, and compared: whoever writes such a file has nothing run that the configuration does not
//! name. Of what does hang on that, the deletions are compared with what the present rules let go
//! ([`find_undue_deletion`]), and the rest (which snapshot is the basis) is the linter's.

mod chains;
mod deletions;

use schema::{
    Config, Digest, Inventory, Plan, SnapshotId,
    config::Expire,
    inventory::{self, DestinationState, Power, Presence, SourceScan, SourceState},
    outside::brief_line,
    plan::{
        Action, CloudLimits, CloudSyncStep, DeletePurpose, DeleteStep, DestinationCheckStep,
        ExpireStep, NotifyStep, SnapshotStep, SpaceCheckStep, Step, UploadStep,
    },
    record::{self, Capabilities, DestinationRecord},
    rsync::{LISTED_AT_ONCE, RsyncCall, RsyncPlan, SPARSE},
};
use serde_json::Value;

pub use self::deletions::{find_undue_deletion, find_undue_expiry};

use crate::{
    Options,
    differences::tell_differences,
    facts::Facts,
    feeds::RemoteFacts,
    steps::{
        Draft, cloud_sync, destination_check, notify, post_script, pre_script, remote_expiry,
        snapshot, space_check, upload,
    },
};

/// Longest value that is shown, in columns.
const LONGEST: usize = 120;

/// What a plan is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// The configuration as it is now.
    pub config: &'a Config,
    /// The machine's host name.
    pub host: &'a str,
    /// A digest of the machine's id.
    pub machine: Option<Digest>,
    /// Whether the program runs as root.
    pub privileged: bool,
}

/// The first thing in which a plan differs from what the present configuration gives, as a sentence
/// without an end; none where it is the same. `is_saved` says that `backup plan` made it, and so no
/// deletion by hand is in it.
#[must_use]
pub fn find_difference(plan: &Plan, present: &Present<'_>, is_saved: bool) -> Option<String> {
    match plan.is_of_several() {
        true => chains::find_difference(plan, present, is_saved),
        false => find_difference_of_one(plan, present, None, is_saved, true),
    }
}

/// The same of a plan for one destination; `is_framed` says that the steps around it are to be there.
fn find_difference_of_one(
    plan: &Plan,
    present: &Present<'_>,
    remote: Option<&RemoteFacts>,
    is_saved: bool,
    is_framed: bool,
) -> Option<String> {
    let host = present.config.hostname.as_deref().unwrap_or(present.host);
    if plan.host != host {
        return Some(differs("the plan", "host", &plan.host, host));
    }
    if !is_run_id(&plan.run_id) {
        let run = brief_line(&plan.run_id, LONGEST);
        return Some(format!("`{run}` is the name of no run"));
    }
    let inventory = supposed_inventory(plan, present);
    let options = Options {
        only: plan.only,
        ..Options::default()
    };
    let facts = Facts::new(present.config, &inventory, &options).for_remote(remote);
    let differing = |step: &Step| differing_step(step, &facts, is_saved);
    let mut differing = plan.steps.iter().filter_map(differing);
    let missing = || missing_step(plan, &facts).filter(|_| is_framed);
    differing.next().or_else(missing)
}

/// In what a step differs.
fn differing_step(step: &Step, facts: &Facts<'_>, is_saved: bool) -> Option<String> {
    let kind = step.action.kind();
    let name = format!("step `{kind}`");
    if step.id != kind {
        return Some(differs(&name, "id", &step.id, kind));
    }
    let Some(wanted) = wanted_action(&step.action, facts, is_saved) else {
        return Some(format!("the configuration asks for no {name}"));
    };
    if wanted == step.action {
        return None;
    }
    let json = |action: &Action| serde_json::to_value(action).unwrap_or_default();
    let mut first = None;
    tell_differences(
        "",
        &json(&wanted),
        &json(&step.action),
        &mut |key, wanted, found| {
            if first.is_none() {
                first = Some(differs(&name, key, &text_of(found), &text_of(wanted)));
            }
        },
    );
    // What no key of the JSON tells apart is no difference.
    first
}

/// The action that the configuration gives in the place of this one, with what hangs on disks as this
/// one has it; none where it gives no such step.
fn wanted_action(found: &Action, facts: &Facts<'_>, is_saved: bool) -> Option<Action> {
    let mut none = Vec::new();
    let action = |draft: Option<Draft>| draft.map(|draft| draft.action);
    match found {
        Action::Announce(_) => action(notify::decide_announce(facts, &mut none)),
        Action::PreScript(_) => action(pre_script::decide_pre_script(facts, &mut none)),
        Action::PlanAgain => {
            let script = facts.config.pre_backup_script.is_some();
            script.then_some(Action::PlanAgain)
        }
        Action::PostScript(_) => action(post_script::decide_post_script(facts, &mut none)),
        Action::DestinationCheck(found) => {
            let wanted = with_state_of_check(checked(facts)?, found, facts);
            Some(Action::DestinationCheck(wanted))
        }
        Action::SpaceCheck(found) => {
            match action(space_check::decide_space_check(facts, &mut none))? {
                Action::SpaceCheck(wanted) => Some(Action::SpaceCheck(SpaceCheckStep {
                    min_free_bytes: wanted.min_free_bytes,
                    ..found.clone()
                })),
                _ => None,
            }
        }
        Action::Snapshot(found) => match action(snapshot::decide_snapshot(facts, &mut none))? {
            Action::Snapshot(wanted) => {
                Some(Action::Snapshot(with_state_of_snapshot(wanted, found)))
            }
            _ => None,
        },
        Action::CloudSync(found) => {
            let is_mirror = facts.remote.is_none_or(RemoteFacts::is_mirror);
            let is_wanted = facts.config.cloud.enable && is_mirror;
            let wanted = is_wanted.then(|| cloud_sync::cloud_step(facts, found.snapshot))?;
            Some(Action::CloudSync(with_state_of_cloud(wanted, found, facts)))
        }
        Action::Upload(found) => {
            let remote = history_of(facts)?;
            Some(Action::Upload(UploadStep {
                settles: found.settles,
                ..upload::upload_step(facts, remote, found.snapshot)
            }))
        }
        // Which those are hangs on the remote.
        Action::Expire(found) => {
            let remote = history_of(facts)?;
            let may_delete = remote.options.expire == Expire::Here && found.asked.is_none();
            may_delete.then(|| {
                let (expire, sweep) = (found.expire.clone(), found.sweep.clone());
                Action::Expire(ExpireStep {
                    withheld: found.withheld.clone(),
                    ..remote_expiry::expire_step(facts, expire, sweep)
                })
            })
        }
        Action::Notify(found) => match action(notify::decide_notify(facts, &mut none))? {
            Action::Notify(wanted) => Some(Action::Notify(NotifyStep {
                last_good: found.last_good,
                ..wanted
            })),
            _ => None,
        },
        // All that these say hangs on the destination.
        Action::Rotate(step) => Some(Action::Rotate(step.clone())),
        Action::Delete(step) => may_delete(step, is_saved).then(|| Action::Delete(step.clone())),
        // No backup has such a step.
        Action::Restore(_)
        | Action::Mark(_)
        | Action::RemoteMark(_)
        | Action::Repair(_)
        | Action::Adopt(_) => None,
    }
}

/// The remote with history that a step is for.
fn history_of<'a>(facts: &Facts<'a>) -> Option<&'a RemoteFacts> {
    let remote = facts.remote.filter(|_| facts.config.cloud.enable);
    remote.filter(|remote| !remote.is_mirror())
}

/// Whether a plan of this kind deletes for such a purpose.
fn may_delete(step: &DeleteStep, is_saved: bool) -> bool {
    step.purpose == DeletePurpose::MakeRoom || !is_saved
}

fn checked(facts: &Facts<'_>) -> Option<DestinationCheckStep> {
    match destination_check::decide_destination_check(facts, &mut Vec::new())?.action {
        Action::DestinationCheck(check) => Some(check),
        _ => None,
    }
}

fn with_state_of_check(
    wanted: DestinationCheckStep,
    found: &DestinationCheckStep,
    facts: &Facts<'_>,
) -> DestinationCheckStep {
    DestinationCheckStep {
        destination_id: found.destination_id.clone(),
        create: found.create,
        remember: found.remember,
        // Only this machine is written down as the one that it belongs to.
        machine: found
            .machine
            .filter(|machine| Some(*machine) == facts.inventory.machine),
        // Whether it can be made hangs on where the plan was made; where it is does not.
        user_view: found
            .user_view
            .clone()
            .filter(|_| wanted.readable_by_users)
            .map(|_| inventory::user_view_path(&wanted.mount_point, &wanted.folder)),
        ..wanted
    }
}

fn with_state_of_snapshot(wanted: SnapshotStep, found: &SnapshotStep) -> SnapshotStep {
    SnapshotStep {
        id: found.id,
        rsync: match (wanted.rsync, &found.rsync) {
            (Some(wanted), Some(found)) => Some(with_state_of_rsync(wanted, found)),
            (wanted, _) => wanted,
        },
        basis: found.basis.clone(),
        also_link: found.also_link.clone(),
        never_link: found.never_link.clone(),
        compare_basis: found.compare_basis,
        home: found.home,
        continue_from: found.continue_from,
        content_from: found.content_from.clone(),
        expected: found.expected.clone(),
        suspect_when: found.suspect_when.clone(),
        ..wanted
    }
}

/// What is mounted below a source is left out besides what the configuration leaves out. Whatever rsync
/// leaves out is copied by the pass that follows, so that nothing is lost by more of it.
fn with_state_of_rsync(wanted: RsyncPlan, found: &RsyncPlan) -> RsyncPlan {
    let calls = wanted.calls.into_iter().map(|wanted| {
        let same = found.calls.iter().find(|one| one.source == wanted.source);
        let arguments = same.map_or(wanted.arguments.clone(), |found| {
            let is_more =
                |one: &String| one.starts_with("--exclude=") && !wanted.arguments.contains(one);
            let mut without_more = found.arguments.clone();
            without_more.retain(|one| !is_more(one));
            if without_more == wanted.arguments {
                found.arguments.clone()
            } else {
                wanted.arguments.clone()
            }
        });
        RsyncCall {
            arguments,
            ..wanted
        }
    });
    RsyncPlan {
        version: found.version.clone(),
        calls: calls.collect(),
        ..wanted
    }
}

fn with_state_of_cloud(
    wanted: CloudSyncStep,
    found: &CloudSyncStep,
    facts: &Facts<'_>,
) -> CloudSyncStep {
    let gives_back = wanted.mode == schema::config::SyncMode::Move && wanted.live.is_none();
    CloudSyncStep {
        destination: match (wanted.destination, &found.destination) {
            (Some(wanted), Some(found)) => Some(with_state_of_check(wanted, found, facts)),
            (wanted, _) => wanted,
        },
        last: found.last,
        expected: found.expected,
        limits: CloudLimits {
            // None is what a person agreed to.
            max_delete: wanted
                .limits
                .max_delete
                .filter(|_| found.limits.max_delete.is_some()),
            guard: found.limits.guard,
        },
        expire: found.expire.clone(),
        give_back: if gives_back {
            found.give_back.clone()
        } else {
            Vec::new()
        },
        ..wanted
    }
}

/// The first step that belongs to each such run and is not in the plan.
fn missing_step(plan: &Plan, facts: &Facts<'_>) -> Option<String> {
    let backs_up = |step: &Step| {
        matches!(
            step.action,
            Action::Snapshot(_) | Action::CloudSync(_) | Action::Upload(_)
        )
    };
    if plan.only.is_some() || !plan.steps.iter().any(backs_up) {
        return None;
    }
    let mut none = Vec::new();
    let wanted = [
        notify::decide_announce(facts, &mut none),
        pre_script::decide_pre_script(facts, &mut none),
        post_script::decide_post_script(facts, &mut none),
        notify::decide_notify(facts, &mut none),
    ];
    let mut kinds = wanted.iter().flatten().map(|draft| draft.action.kind());
    let missing = kinds.find(|kind| plan.steps.iter().all(|step| step.action.kind() != *kind))?;
    Some(format!(
        "the configuration asks for a step `{missing}`, which the plan lacks"
    ))
}

/// The inventory that gives this plan, as far as the plan says of it what hangs on disks.
fn supposed_inventory(plan: &Plan, present: &Present<'_>) -> Inventory {
    let Present {
        config,
        host,
        machine,
        privileged,
    } = *present;
    Inventory {
        fault: None,
        format_version: inventory::FORMAT_VERSION,
        taken_at: plan.created_at,
        host: host.to_owned(),
        privileged,
        power: Power::Ac,
        machine,
        known_destinations: Vec::new(),
        destination: config
            .local
            .enable
            .then(|| supposed_destination(plan, config, host)),
        sources: supposed_sources(plan, config),
        rsync: None,
        cloud: None,
        state_faults: Vec::new(),
        state_unwritable: None,
        untrusted: Vec::new(),
        unmatched_patterns: Vec::new(),
        gone: None,
        unusable_secrets: Vec::new(),
        others: std::collections::BTreeMap::new(),
    }
}

fn supposed_destination(plan: &Plan, config: &Config, host: &str) -> DestinationState {
    let is_live =
        |step: &Step| matches!(&step.action, Action::CloudSync(sync) if sync.live.is_some());
    // Live sources are copied where the disk is away.
    let present = !plan.steps.iter().any(is_live);
    let calls = calls_of_rsync(plan);
    let times = calls.is_empty()
        || calls
            .iter()
            .any(|call| call.arguments.iter().any(|one| one == "--times"));
    // No rsync is started over a network; without it the plan runs nothing that could be another's.
    let snapshot = plan.snapshot();
    let is_over_a_network = config.local.use_rsync
        && snapshot.is_some_and(|snapshot| snapshot.engine == record::Engine::BuiltIn);
    DestinationState {
        present,
        mounted: present,
        file_system: is_over_a_network.then(|| "nfs".to_owned()),
        record: Some(DestinationRecord {
            format_version: record::FORMAT_VERSION,
            id: String::new(),
            host: host.to_owned(),
            created_at: plan.created_at,
            machine: None,
            capabilities: Capabilities {
                times,
                ..Capabilities::all()
            },
        }),
        ..DestinationState::absent(config.local.mount_point.clone())
    }
}

/// The configured sources; whether one was there, and is a folder, is what the plan says.
fn supposed_sources(plan: &Plan, config: &Config) -> Vec<SourceState> {
    let planned = plan.snapshot().map(|snapshot| snapshot.sources.as_slice());
    let calls = calls_of_rsync(plan);
    let live = plan.steps.iter().find_map(|step| step.action.live());
    let sources = config.local.sources.iter().map(|path| {
        let mut planned = planned.unwrap_or_default().iter();
        let planned = planned.find(|one| one.path == *path);
        let is_missing = planned.is_some_and(|one| !one.present);
        let is_copied = planned.is_some() || live.is_some_and(|live| live.sources.contains(path));
        let is_spared = !is_copied && config.local.optional_sources.contains(path);
        let call = calls.iter().find(|call| call.source == *path);
        let is_file = call.is_some_and(|call| !call.folder);
        // Whether rsync looks for zeros, and lists all at once, followed from what was found there, and is
        // safe either way.
        let has = |argument: &str| {
            call.is_none_or(|call| call.arguments.iter().any(|one| one == argument))
        };
        SourceState {
            path: path.clone(),
            presence: match (is_missing, is_spared) {
                // One that is missing and planned is no less missing for being optional.
                (true, _) => Presence::Unreadable {
                    because: String::new(),
                },
                (false, true) => Presence::Missing,
                (false, false) => Presence::Present,
            },
            place: None,
            mounted: false,
            is_distant: false,
            scan: SourceScan {
                entries: if is_file || has(LISTED_AT_ONCE) {
                    0
                } else {
                    u64::MAX
                },
                folders: u64::from(!is_file),
                sparse: Some(u64::from(has(SPARSE))),
                ..SourceScan::default()
            },
            mounts_passed_over: Vec::new(),
            data_passed_over: Vec::new(),
            unreadable: Vec::new(),
            not_held: Vec::new(),
            renamed: Vec::new(),
            databases: Vec::new(),
            hollow: Vec::new(),
            costs_most: None,
            left_out: None,
        }
    });
    sources.collect()
}

fn calls_of_rsync(plan: &Plan) -> &[RsyncCall] {
    let rsync = plan.snapshot().and_then(|snapshot| snapshot.rsync.as_ref());
    rsync.map_or(&[], |rsync| rsync.calls.as_slice())
}

/// Whether this can be the name of a run: the id of its start, and a few digits.
fn is_run_id(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(id, digits)| {
        id.parse::<SnapshotId>().is_ok()
            && digits.len() == 8
            && digits.bytes().all(|one| one.is_ascii_hexdigit())
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn differs(what: &str, key: &str, found: &str, wanted: &str) -> String {
    let [found, wanted] = [found, wanted].map(|text| brief_line(text, LONGEST));
    format!("{what} has {key} {found}, and the configuration gives {wanted}")
}

//! That records on the destination are damaged: what is assumed instead, and how to mend it.
//!
//! No snapshot is lost with its record: it stays, nothing is linked to it, and the rest goes on.

use schema::{
    Config, FailureCode, Finding, Inventory, Severity, SnapshotId,
    config::AbsolutePath,
    escape,
    inventory::{DestinationState, InTheWay, SnapshotState, Unmanaged},
    shell,
};

use super::{
    code, counted,
    finding::{note, refusal},
    first_few,
};

/// Everything that is damaged and worked around, on the destination and in the state directory.
#[must_use]
pub fn damage_findings(config: &Config, inventory: &Inventory) -> Vec<Finding> {
    let mut findings = of_state(inventory);
    if let Some(destination) = &inventory.destination {
        findings.extend(damaged_records(
            destination,
            config.hostname.as_deref().unwrap_or(&inventory.host),
        ));
    }
    findings
}

/// One finding for each file of the state directory that cannot be read, and one where none can be
/// written.
pub(crate) fn of_state(inventory: &Inventory) -> Vec<Finding> {
    let faults = inventory.state_faults.iter();
    let found = faults.map(|fault| {
        note(
            code::STATE_FILE_DAMAGED,
            format!("{fault}: what it remembered is done without, and the next run sets it aside"),
        )
        .hint("check the drive that the state directory is on; nothing else is needed")
    });
    let unwritable = inventory.state_unwritable.iter().map(|because| {
        refusal(
            code::STATE_UNWRITABLE,
            format!("{because}: a run that cannot write down what it does is not begun"),
        )
        .hint(
            "free space there (`df -h` tells which file system is full), or mount it for writing \
             again after a look at `dmesg`",
        )
    });
    unwritable.chain(found).collect()
}

/// One finding for each damaged record.
pub(crate) fn damaged_records(destination: &DestinationState, host: &str) -> Vec<Finding> {
    let place = Place {
        path: &destination.mount_point,
        host,
    };
    let unmanaged = destination.unmanaged.iter();
    let mut findings: Vec<Finding> = unmanaged
        .filter_map(|one| describe_record(place, one))
        .collect();
    let snapshots = || destination.snapshots.iter();
    findings.extend(snapshots().filter_map(|one| describe_manifest(place, one)));
    findings.extend(snapshots().filter_map(describe_marks));
    let obstacles = destination.in_the_way.iter();
    findings.extend(obstacles.map(|one| match one.code {
        Some(_) => describe_unusable(place, one),
        None => describe_obstacle(place, one),
    }));
    findings.extend(describe_rotation(destination));
    findings
}

/// Where the folder of a host is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The mount point of the destination.
    path: &'a AbsolutePath,
    host: &'a str,
}

/// That the record of a snapshot is damaged.
fn describe_record(Place { path, .. }: Place<'_>, one: &Unmanaged) -> Option<Finding> {
    let fault = one.record_fault.as_ref()?;
    let (tier, name) = (one.tier, &one.name);
    let damaged = note(
        code::SNAPSHOT_RECORD_DAMAGED,
        format!(
            "the record of snapshot {tier}/{name} in {path} is damaged ({fault}): it is \
             kept whatever the retention says, and no new snapshot is linked to it"
        ),
    );
    Some(damaged.hint(format!(
        "check the drive; `backup verify {} --repair` makes the record anew from its \
         files, and `backup restore {}` reads from it until then",
        shell::word_of_escaped(name),
        shell::word_of_escaped(&format!("{tier}/{name}"))
    )))
}

/// That the manifest of a snapshot is damaged, or the snapshot itself cannot be read.
fn describe_manifest(Place { path, host }: Place<'_>, snapshot: &SnapshotState) -> Option<Finding> {
    let fault = snapshot.manifest_fault.as_ref()?;
    let id = snapshot.record.id;
    if snapshot.manifest_fault_code == Some(FailureCode::TreeUnreadable) {
        let unreadable = note(
            code::SNAPSHOT_UNREADABLE,
            format!("snapshot {id} cannot be read, and no new one is linked to it: {fault}"),
        );
        return Some(unreadable.hint(format!(
            "check the drive, and the permissions of {path}/{host}/{}/{id}; until then what it \
             shares with new snapshots is stored twice",
            snapshot.home
        )));
    }
    if snapshot.manifest_fault_code == Some(FailureCode::ManifestChanged) {
        // People are told once by a run; health and status go on saying it.
        let (severity, noticed) = match snapshot.changed_since {
            None => (Severity::Warning, String::new()),
            Some(since) => {
                let since = since.format("%Y-%m-%d at %H:%M");
                (Severity::Note, format!(", first noticed on {since}"))
            }
        };
        let changed = Finding::new(
            severity,
            code::SNAPSHOT_MANIFEST_CHANGED,
            format!(
                "snapshot {id} in {path} is not what this machine sealed ({fault}{noticed}): somebody \
                 changed it, and no new one is linked to it"
            ),
        );
        return Some(changed.hint(format!(
            "`backup accept {id}` if you know who did it and why; else do not trust what is in it: \
             `backup delete {id}` removes it, and `backup verify --against-state` compares all others"
        )));
    }
    let consequence = match snapshot.serves_as_basis() {
        true => "what the rest lists is linked to as ever, and other files are copied anew",
        false => "no new snapshot is linked to them",
    };
    let damaged = note(
        code::SNAPSHOT_MANIFEST_DAMAGED,
        format!(
            "the manifest of snapshot {id} in {path} is damaged ({fault}): its files are \
             there, and {consequence}"
        ),
    );
    Some(damaged.hint(format!(
        "check the drive; `backup verify {id} --repair` makes it anew from the files"
    )))
}

/// That the manifests of these snapshots, at least one, are remembered from now on.
#[must_use]
pub fn describe_taken_over(snapshots: &[SnapshotId]) -> Finding {
    let count = snapshots.len() as u64;
    note(
        code::MANIFESTS_TAKEN_OVER,
        format!(
            "the state directory knew nothing of the {} of {} ({}) and keeps what is there now: \
             whether it was changed before cannot be told",
            if count == 1 { "manifest" } else { "manifests" },
            counted(count, "snapshot"),
            first_few(snapshots.iter().map(ToString::to_string), count)
        ),
    )
}

/// That what was said of a snapshot is damaged.
fn describe_marks(snapshot: &SnapshotState) -> Option<Finding> {
    let fault = snapshot.marks_fault.as_ref()?;
    let id = snapshot.record.id;
    let damaged = note(
        code::SNAPSHOT_MARKS_DAMAGED,
        format!("what was said of snapshot {id} is damaged ({fault}): it is taken to be pinned"),
    );
    Some(damaged.hint(format!(
        "check the drive; `backup pin {id}` or `backup unpin {id}` writes it anew"
    )))
}

/// That something of the destination cannot be looked into.
fn describe_unusable(Place { path, host }: Place<'_>, one: &InTheWay) -> Finding {
    let (at, what) = (&one.path, &one.what);
    let finding = Finding::new(
        Severity::Warning,
        code::IN_THE_WAY,
        format!("{path}/{host}/{at} is {what}: what is in it cannot be used"),
    );
    finding.hint(format!(
        "check the drive, run this as the user to whom it belongs, or allow it: \
         `chmod u+rwX {}`",
        word_of_place(Place { path, host }, at)
    ))
}

/// That something stands where something else belongs.
fn describe_obstacle(Place { path, host }: Place<'_>, one: &InTheWay) -> Finding {
    let (at, what) = (&one.path, &one.what);
    let own = at.starts_with(".backup/");
    let becomes = match own {
        true => "the next run renames it and makes a folder",
        false => "it is left alone, and what belongs there stands elsewhere",
    };
    let finding = Finding::new(
        if own {
            Severity::Note
        } else {
            Severity::Warning
        },
        code::IN_THE_WAY,
        format!("{path}/{host}/{at} is {what} and not what belongs there: {becomes}"),
    );
    finding.hint(format!(
        "look at it, then move it away: `mv {} {}`",
        word_of_place(Place { path, host }, at),
        word_of_place(
            Place { path, host },
            &format!("{}.saved", at.replace('/', "-"))
        )
    ))
}

/// A path in the folder of a host as a word for a shell; `at` is as the inventory writes it.
fn word_of_place(Place { path, host }: Place<'_>, at: &str) -> String {
    let at = escape::unescape(at).unwrap_or_else(|| at.as_bytes().to_vec());
    shell::word([format!("{path}/{host}/").into_bytes(), at].concat())
}

/// That the record of the last rotation is damaged.
fn describe_rotation(destination: &DestinationState) -> Option<Finding> {
    let fault = destination.rotation_fault.as_ref()?;
    let damaged = note(
        code::ROTATION_RECORD_DAMAGED,
        format!(
            "the record of the last rotation is damaged ({fault}): more than 3 deletions \
             at once need approval"
        ),
    );
    Some(damaged.hint("check the drive; the next rotation writes it anew"))
}

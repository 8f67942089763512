//! The services: the coordinator, its two parts, and the health check.

use super::{
    CLOUD, COORDINATOR, DRILL, HEALTH, LOCAL, VIEW, sandbox,
    template::{Conditions, Line, UnitTemplate},
};

/// Ends that are no failure of the unit: incomplete or suspect (3, which is told of and turns
/// health red), deferred (75), asked to stop and resumable (130, 143).
const NO_FAILURE: &str = "3 75 130 143";

/// `backup.service`: the run.
pub(super) fn coordinator_service() -> UnitTemplate {
    let parts = Line::words(
        "PropagatesReloadTo",
        &[
            (LOCAL, &["local.enable"]),
            (CLOUD, &["cloud.enable"]),
            ("backup-${others.names}.service", &[]),
        ],
    );
    // A relation that stops them would also end a part that a person started, as soon as this unit
    // has found that it is at work. The program stops those that it started.
    let parts = parts.because(&[
        "Nothing is ever reloaded: systemd remembers how a unit ended that others name.",
    ]);
    // Only where there is a schedule can a run be due; without one, whoever starts the unit means it.
    let start = Line::one_of(
        "ExecStart",
        &[
            ("${program} apply --if-due --by-units", &["schedule.enable"]),
            ("${program} apply --by-units", &["!schedule.enable"]),
        ],
    );
    let settle = Line::lines(
        "ExecStopPost",
        &[
            ("${program} settle", &[]),
            // What is mounted within the sandbox nobody else sees.
            ("+${program} view", &["local.readableByUsers"]),
            ("+${program} view --destination ${others.readable}", &[]),
        ],
    );
    let settle = settle.because(&[
        "After a run that was killed: the post-script and the notification it owes.",
        "With local.readableByUsers: what users see of the snapshots is mounted outside of the sandbox.",
    ]);
    UnitTemplate {
        name: COORDINATOR,
        when: &[],
        unit: [common_lines("Backup"), vec![after_the_others(), parts]].concat(),
        service: service_lines(vec![start, settle], sandbox::coordinator_limits()),
        timer: Vec::new(),
        install: vec![wanted_by_disks()],
    }
}

/// Starts the run when a drive is there.
pub(super) fn wanted_by_disks() -> Line {
    let disks = Line::words(
        "WantedBy",
        &[
            (
                "${mountUnit}",
                &["destination.isMounted", "schedule.enable"],
            ),
            ("${others.mountUnits}", &["schedule.enable"]),
        ],
    );
    disks.because(&["Asks whether a backup is due whenever the destination is mounted."])
}

/// `backup-local.service`: the local steps of the coordinator's run, or by itself just those.
pub(super) fn local_service() -> UnitTemplate {
    // Whether the destination is mounted is the program's to see: it says so in the logs, which a
    // condition of systemd does not.
    let start = Line::set("ExecStart", "${program} apply --only local");
    UnitTemplate {
        name: LOCAL,
        when: &["local.enable"],
        unit: common_lines("Local steps of the backup"),
        service: service_lines(vec![start], sandbox::local_limits()),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

/// `backup-<name>.service`: the steps of a named destination that is a disk.
pub(super) fn disk_service() -> UnitTemplate {
    UnitTemplate {
        name: "backup-${name}.service",
        unit: common_lines("Steps of the backup to ${name}"),
        service: service_lines(
            vec![Line::set("ExecStart", "${program} apply --only ${name}")],
            sandbox::local_limits(),
        ),
        ..local_service()
    }
}

/// `backup-cloud.service`: the cloud steps of the coordinator's run, or by itself just those.
pub(super) fn cloud_service() -> UnitTemplate {
    let network = ["Wants", "After"].map(|key| Line::words(key, &[("network-online.target", &[])]));
    let start = Line::set("ExecStart", "${program} apply --only cloud");
    UnitTemplate {
        name: CLOUD,
        when: &["cloud.enable"],
        unit: [common_lines("Cloud steps of the backup"), network.to_vec()].concat(),
        service: service_lines(vec![start], sandbox::cloud_limits()),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

/// `backup-<name>.service`: the steps of a named destination that is a remote.
pub(super) fn remote_service() -> UnitTemplate {
    let network = ["Wants", "After"].map(|key| Line::words(key, &[("network-online.target", &[])]));
    let about = common_lines("Steps of the backup to ${name}");
    UnitTemplate {
        name: "backup-${name}.service",
        unit: [about, network.to_vec()].concat(),
        service: service_lines(
            vec![Line::set("ExecStart", "${program} apply --only ${name}")],
            sandbox::cloud_limits(),
        ),
        ..cloud_service()
    }
}

/// `backup-view.service`: what users see of the snapshots is there while the destination is, and keeps
/// no drive busy that is unmounted.
pub(super) fn view_service() -> UnitTemplate {
    view_template(
        VIEW,
        "Read-only view of the backups for users",
        ["${program} view", "${program} view --remove"],
    )
}

/// `backup-view@<name>.service`: the same for a named destination.
pub(super) fn disk_view_service() -> UnitTemplate {
    view_template(
        "backup-view@${name}.service",
        "Read-only view of the backups on ${name} for users",
        [
            "${program} view --destination ${name}",
            "${program} view --destination ${name} --remove",
        ],
    )
}

fn view_template(
    name: &'static str,
    description: &'static str,
    [start, stop]: [&'static str; 2],
) -> UnitTemplate {
    let bound = ["BindsTo", "After"]
        .map(|key| Line::words(key, &[("${mountUnit}", &["destination.isMounted"])]));
    let about = vec![
        Line::set("Description", description),
        Line::words("Documentation", &[("man:backup(1)", &[])]),
    ];
    let runs = vec![
        Line::set("Type", "oneshot"),
        Line::set("RemainAfterExit", "yes"),
        Line::set("ExecStart", start),
        Line::set("ExecStop", stop),
    ];
    let wanted = Line::words(
        "WantedBy",
        &[
            ("${mountUnit}", &["destination.isMounted"]),
            ("multi-user.target", &["!destination.isMounted"]),
        ],
    );
    UnitTemplate {
        name,
        when: &["local.readableByUsers"],
        unit: [about, bound.to_vec()].concat(),
        service: [runs, sandbox::view_limits()].concat(),
        timer: Vec::new(),
        install: vec![wanted],
    }
}

/// `backup-health-check.service`: by its own timer, whether or not backups have one, because an old
/// backup is what it is to notice.
pub(super) fn health_service() -> UnitTemplate {
    let start = Line::set("ExecStart", "${program} health");
    UnitTemplate {
        name: HEALTH,
        when: &["monitoring.enable"],
        unit: [
            common_lines("Check of the backup's health"),
            vec![after_the_others()],
            network_where(&["remotes.areUsed"]),
        ]
        .concat(),
        service: service_lines(vec![start], sandbox::health_limits()),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

/// `backup-drill.service`: a trial restore, by its own timer.
pub(super) fn drill_service() -> UnitTemplate {
    UnitTemplate {
        name: DRILL,
        when: &["monitoring.drill.enable"],
        unit: [
            common_lines("Trial restore of the backup"),
            network_where(&["drill.isOfRemotes"]),
        ]
        .concat(),
        service: service_lines(vec![drill_start()], sandbox::drill_limits()),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

/// Of which a restore is tried: of the disk, and of remotes where there are any.
pub(super) fn drill_start() -> Line {
    Line::one_of(
        "ExecStart",
        &[
            ("${program} drill --all", &["drill.isOfRemotes"]),
            ("${program} drill", &["!drill.isOfRemotes"]),
        ],
    )
}

/// What all services begin with.
pub(super) fn common_lines(description: &'static str) -> Vec<Line> {
    vec![
        Line::set("Description", description),
        Line::words("Documentation", &[("man:backup(1)", &[])]),
        Line::set("StartLimitIntervalSec", "0")
            .because(&["Any number of triggers may ask; asking is cheap."]),
        // The order only: whether it is mounted is the program's to see. `RequiresMountsFor` would
        // do nothing where no unit mounts it, and wait for a device that is not there where one does.
        Line::words("After", &[("${mountUnit}", &["destination.isMounted"])]),
    ]
}

/// What asks remotes, beside its other work, begins once there is a network.
fn network_where(conditions: Conditions) -> Vec<Line> {
    let of_key = |key| Line::words(key, &[("network-online.target", conditions)]);
    ["Wants", "After"].map(of_key).into()
}

/// What works on all destinations is ordered after the named ones as well.
pub(super) fn after_the_others() -> Line {
    Line::words("After", &[("${others.mountUnits}", &[])])
}

/// What a service runs, how it ends, yields and reports, and what it may do.
pub(super) fn service_lines(runs: Vec<Line>, sandbox: Vec<Line>) -> Vec<Line> {
    let ends = vec![
        Line::set("SuccessExitStatus", NO_FAILURE),
        Line::set("KillMode", "mixed").because(&[
            "The program ends what it started; a helper that is ended first looks like a fault.",
        ]),
        Line::set("TimeoutStartSec", "infinity").because(&["A first run may take days."]),
        Line::set("TimeoutStopSec", "10min"),
        Line::set("Nice", "10"),
        Line::set("IOSchedulingClass", "idle"),
        Line::set("CPUWeight", "20"),
        Line::set("IOWeight", "20"),
        Line::set("MemoryHigh", "50%").because(&[
            "Many times what it needs itself; the page cache of what it copies counts, and gives way.",
        ]),
        Line::set("MemoryMax", "75%"),
        Line::set("OOMPolicy", "continue").because(&[
            "A helper without memory, such as rclone or a script, is that step's failure and no more.",
        ]),
        Line::set("LimitCORE", "0")
            .because(&["Its memory holds what only root may read, and addresses that are secrets."]),
        Line::set("TasksMax", "512")
            .because(&["With fewer it goes on with fewer threads; scripts may start some."]),
    ];
    let kind = vec![
        Line::set("Type", "oneshot")
            .because(&["Who starts it waits until the work is done, and learns how it ended."]),
        Line::set("NotifyAccess", "main").because(&["What it is at is its status meanwhile."]),
    ];
    [kind, runs, ends, sandbox].concat()
}

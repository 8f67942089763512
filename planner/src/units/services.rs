//! The services: the coordinator, its two parts, and the health check.

use schema::{Config, config::IfAbsent};

use super::{
    CLOUD, LOCAL, Layout, STATE_DIR, mount_unit, sandbox,
    text::{self, File},
};

/// Ends that are no failure of the unit: incomplete or suspect (3, which is told of and turns
/// health red), deferred (75), asked to stop and resumable (130, 143).
const NO_FAILURE: &str = "3 75 130 143";

/// `backup.service`: the run.
pub(super) fn coordinator(config: &Config, layout: &Layout) -> String {
    let program = program(layout);
    let mount = local_mount(config);
    let parts = [
        config.local.enable.then_some(LOCAL),
        config.cloud.enable.then_some(CLOUD),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let parts = (!parts.is_empty()).then(|| parts.join(" "));
    let file = unit("Backup", config)
        .because("Who stops the run stops its parts; and systemd remembers how they ended.")
        .maybe("PropagatesStopTo", parts)
        .section("Service")
        .set("Type", "notify")
        .set(
            "ExecStart",
            format!("{program} apply{} --by-units", due(config)),
        )
        .because("After a run that was killed: the post-script and the notification it owes.")
        .set("ExecStopPost", format!("{program} settle"));
    let file = work(file).all(&sandbox::coordinator(config, layout));
    match mount.filter(|_| config.schedule.enable) {
        Some(mount) => file
            .section("Install")
            .because("Asks whether a backup is due whenever the destination is mounted.")
            .set("WantedBy", mount)
            .done(),
        None => file.done(),
    }
}

/// Only where there is a schedule can a run be due; without one, whoever starts the unit means it.
fn due(config: &Config) -> &'static str {
    if config.schedule.enable {
        " --if-due"
    } else {
        ""
    }
}

/// `backup-local.service`: the local steps of the coordinator's run, or by itself just those.
pub(super) fn local(config: &Config, layout: &Layout) -> String {
    let file = unit("Local steps of the backup", config);
    // Asked outside the sandbox, in which the folder that may be written is a mount of its own.
    let file = match config.local.if_absent {
        _ if !config.local.require_mount => file,
        IfAbsent::Fail => file.set(
            "AssertPathIsMountPoint",
            text::whole(config.local.mount_point.as_str()),
        ),
        IfAbsent::Defer => file.set(
            "ConditionPathIsMountPoint",
            text::whole(config.local.mount_point.as_str()),
        ),
    };
    let file = file.section("Service").set("Type", "notify").set(
        "ExecStart",
        format!("{} apply --only local", program(layout)),
    );
    work(file).all(&sandbox::local(config, layout)).done()
}

/// `backup-cloud.service`: the cloud steps of the coordinator's run, or by itself just those.
pub(super) fn cloud(config: &Config, layout: &Layout) -> String {
    let file = unit("Cloud steps of the backup", config)
        .set("Wants", "network-online.target")
        .set("After", "network-online.target")
        .section("Service")
        .set("Type", "notify")
        .set(
            "ExecStart",
            format!("{} apply --only cloud", program(layout)),
        );
    work(file).all(&sandbox::cloud(config, layout)).done()
}

/// `backup-health-check.service`.
pub(super) fn health(config: &Config, layout: &Layout) -> String {
    let file = unit("Check of the backup's health", config)
        .section("Service")
        .set("Type", "notify")
        .set("ExecStart", format!("{} health", program(layout)));
    work(file).all(&sandbox::health(config, layout)).done()
}

/// What all services begin with.
fn unit(description: &str, config: &Config) -> File {
    let file = File::new(description)
        .set("Documentation", "man:backup(1)")
        .because("Any number of triggers may ask; asking is cheap.")
        .set("StartLimitIntervalSec", "0");
    // The order only: whether it is mounted is the program's to see. `RequiresMountsFor` would do
    // nothing where no unit mounts it, and wait for a device that is not there where one does.
    file.maybe("After", local_mount(config))
}

/// The unit that mounts the destination, if there is one on this machine.
fn local_mount(config: &Config) -> Option<String> {
    let local = &config.local;
    (local.enable && local.require_mount).then(|| mount_unit(local.mount_point.as_str()))
}

/// What all services end, yield and report by.
fn work(file: File) -> File {
    file.set("SuccessExitStatus", NO_FAILURE)
        .because(
            "The program ends what it started; a helper that is ended first looks like a fault.",
        )
        .set("KillMode", "mixed")
        .because("It is ready at once, and a first run may take days: no limit to the run itself.")
        .set("TimeoutStartSec", "10min")
        .set("TimeoutStopSec", "10min")
        .set("Nice", "10")
        .set("IOSchedulingClass", "idle")
        .set("CPUWeight", "20")
        .set("IOWeight", "20")
}

/// The program with the options that every unit gives it.
fn program(layout: &Layout) -> String {
    let mut line = format!(
        "{} --config {}",
        text::argument(&layout.program),
        text::argument(&layout.config)
    );
    if layout.state_dir != STATE_DIR {
        line.push_str(" --state-dir ");
        line.push_str(&text::argument(&layout.state_dir));
    }
    line
}

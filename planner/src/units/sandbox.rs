//! What each service may do: as little as its job needs (systemd.exec(5),
//! systemd.resource-control(5)).
//!
//! The local steps read everything and write to the destination; the cloud steps read the
//! snapshots, talk to the network, and write to a folder that no other unit trusts; the coordinator runs the user's scripts, which may do much.

use super::template::{Conditions, Line};

/// Capabilities that no script before or after a backup needs.
const NEVER: &str = "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYSLOG \
CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_TTY_CONFIG CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_CHROOT \
CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LEASE \
CAP_IPC_LOCK CAP_LINUX_IMMUTABLE CAP_MKNOD CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE \
CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_NET_BROADCAST";

/// The same where there are scripts, without what mounting, unlocking and snapshots of volumes take, and
/// networks of one's own.
const NEVER_BY_SCRIPTS: &str = "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYSLOG \
CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_TTY_CONFIG CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF CAP_PERFMON \
CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LEASE CAP_LINUX_IMMUTABLE CAP_AUDIT_CONTROL CAP_AUDIT_READ \
CAP_AUDIT_WRITE";

/// What reading all and storing it with owner, mode, attributes and device nodes takes:
/// `SYS_ADMIN` for `trusted.*` attributes, `SYS_RESOURCE` because root's copies of a user's files
/// are not held to that user's quota, `SYS_PTRACE` to find an rsync that outlived its run.
const STORE: &str = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID \
CAP_MKNOD CAP_SETFCAP CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_RESOURCE";

/// What a room of one's own takes: namespaces, mounts and a loopback device, giving rights up, and what checks
/// are left with.
const DRILL: &str = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL \
CAP_NET_ADMIN CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN";

/// The same where services are started in containers: what systemd-nspawn does besides. The services have none of
/// it, as their container has a user namespace of its own.
const DRILL_OF_SERVICES: &str = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID \
CAP_KILL CAP_MKNOD CAP_NET_ADMIN CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN CAP_SYS_CHROOT \
CAP_SYS_PTRACE CAP_SYS_RESOURCE";

/// Families of addresses of who talks to the network, and asks how to.
const NETWORK: &str = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";

/// Where the metrics are written.
const METRICS: (&str, Conditions) = ("-${metricsFolder.word}", &["metrics.areWritten"]);

/// What no unit of ours needs of the machine.
const PROTECTED: [&str; 7] = [
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "LockPersonality",
];

/// What a container's systemd and services do as any other's, within their namespaces.
const LEFT_TO_SERVICES: [&str; 8] = [
    "LockPersonality",
    "NoNewPrivileges",
    "PrivateDevices",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelTunables",
    "RestrictRealtime",
];

/// Where there are no scripts.
const WITHOUT_SCRIPTS: Conditions = &["!scripts.areRun"];
/// Where there are.
const WITH_SCRIPTS: Conditions = &["scripts.areRun"];
/// Where a drill runs executables only.
const WITHOUT_SERVICES: Conditions = &["!drill.startsServices"];
/// Where it starts services.
const WITH_SERVICES: Conditions = &["drill.startsServices"];

/// What the coordinator may do. Where there are scripts, they are the administrator's: what they mount is
/// mounted for the machine, which no namespace allows, and they may open any device.
pub(super) fn coordinator_limits() -> Vec<Line> {
    let on = |key: &&'static str| Line::one_of(key, &[("yes", WITHOUT_SCRIPTS)]);
    let mut lines = vec![Line::set("UMask", "0077")];
    lines.push(
        Line::one_of("PrivateMounts", &[("yes", WITHOUT_SCRIPTS)]).because(&[
            "With scripts there is no such limit: what they mount is mounted for the machine.",
        ]),
    );
    lines.extend(
        [
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "RestrictNamespaces",
            "RestrictSUIDSGID",
        ]
        .iter()
        .map(on),
    );
    let always = ["ProtectHostname", "LockPersonality", "RestrictRealtime"];
    lines.extend(always.map(|key| Line::set(key, "yes")));
    lines.extend(own_keys_and_calls());
    lines.extend([
        Line::one_of("ProtectSystem", &[("full", WITHOUT_SCRIPTS)]),
        Line::one_of(
            "CapabilityBoundingSet",
            &[(NEVER, WITHOUT_SCRIPTS), (NEVER_BY_SCRIPTS, WITH_SCRIPTS)],
        ),
        Line::lines(
            "SystemCallFilter",
            &[("@system-service", &[]), ("@mount", WITH_SCRIPTS)],
        ),
        Line::one_of("RestrictAddressFamilies", &[(NETWORK, WITHOUT_SCRIPTS)]),
    ]);
    lines.extend(state_and_logs("backup"));
    lines.push(Line::lines(
        "ReadWritePaths",
        &[
            (
                "-${stateDirectory.word}",
                &["!state.isInItsDefault", "!scripts.areRun"],
            ),
            (
                "-${logPath.word}",
                &["!logs.areBelowVarLog", "!scripts.areRun"],
            ),
            (
                "-${metricsFolder.word}",
                &["metrics.areWritten", "!scripts.areRun"],
            ),
        ],
    ));
    lines
}

/// What the local steps may do.
pub(super) fn local_limits() -> Vec<Line> {
    let may = vec![
        Line::set("PrivateNetwork", "yes"),
        Line::set("IPAddressDeny", "any"),
        Line::set("RestrictAddressFamilies", "AF_UNIX"),
        Line::set("CapabilityBoundingSet", STORE),
        Line::lines("SystemCallFilter", &[("@system-service", &[])]),
        Line::set("DevicePolicy", "closed"),
        // Device nodes are stored, not used.
        Line::lines("DeviceAllow", &[("block-* m", &[]), ("char-* m", &[])]),
    ];
    let destination = writable_paths(&[("-${mountPoint.word}", &[])]);
    [
        common_limits(),
        limits_without_scripts(OWN_TMP),
        may,
        destination,
    ]
    .concat()
}

/// What the cloud steps may do.
pub(super) fn cloud_limits() -> Vec<Line> {
    let may = vec![
        Line::set("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH"),
        unprivileged_call_filter(),
        // Where rclone keeps what it may lose.
        Line::set("CacheDirectory", "backup"),
        Line::set("CacheDirectoryMode", "0700"),
        Line::set("Environment", "XDG_CACHE_HOME=%C/backup"),
        Line::lines(
            "InaccessiblePaths",
            &[("-/run/dbus", &[]), ("-/run/systemd/private", &[])],
        )
        .because(&["Whoever is root there may ask systemd to start anything, sandbox or not."]),
    ];
    [
        common_limits(),
        limits_without_scripts(OWN_TMP),
        limits_without_storing(),
        may,
        writable_paths_apart(),
    ]
    .concat()
}

/// What the health check may do.
pub(super) fn health_limits() -> Vec<Line> {
    let may = vec![
        // Without `SYS_ADMIN` the kernel hides `trusted.*` attributes, which then look damaged.
        Line::set("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH CAP_SYS_ADMIN"),
        unprivileged_call_filter(),
    ];
    // It only reads there. But a disk that the sandbox makes read-only looks like one that became
    // so by itself, which the check is to notice.
    let destination: (&str, Conditions) = ("-${mountPoint.word}", &["local.enable"]);
    let others: (&str, Conditions) = ("-${others.mountPoints}", &[]);
    [
        common_limits(),
        limits_without_scripts(TMP_OF_ALL),
        limits_without_storing(),
        may,
        writable_paths(&[METRICS, destination, others]),
    ]
    .concat()
}

/// What a trial restore may do: make namespaces and mounts of its own. What the checks may do is less: the program
/// takes the rest away before it starts them. Services in a container are another matter: a limit of calls or of
/// the kernel's own files would be theirs too, and they have their own ones.
pub(super) fn drill_limits() -> Vec<Line> {
    let mut lines = vec![
        Line::set("UMask", "0077"),
        Line::set("PrivateMounts", "yes"),
        Line::one_of("Delegate", &[("yes", WITH_SERVICES)])
            .because(&["The containers of services have control groups below this one."]),
        Line::one_of(
            "CapabilityBoundingSet",
            &[
                (DRILL, WITHOUT_SERVICES),
                (DRILL_OF_SERVICES, WITH_SERVICES),
            ],
        ),
        Line::lines(
            "SystemCallFilter",
            &[
                ("@system-service @mount", WITHOUT_SERVICES),
                ("~@keyring", &[]),
            ],
        )
        .because(&["Whoever is root reaches the keys of root, in whatever session."]),
        Line::one_of("RestrictAddressFamilies", &[(NETWORK, WITHOUT_SERVICES)])
            .because(&["To tell people of one that failed; the checks have no network at all."]),
        Line::set("ProtectSystem", "strict"),
        Line::set("ProtectHome", "read-only"),
        Line::one_of("PrivateTmp", &TMP_OF_ALL),
    ];
    let on = ["NoNewPrivileges", "PrivateDevices"].into_iter();
    let on = on.chain(PROTECTED).chain(["RestrictRealtime"]);
    lines.extend(on.map(|key| match LEFT_TO_SERVICES.contains(&key) {
        true => Line::one_of(key, &[("yes", WITHOUT_SERVICES)]),
        false => Line::set(key, "yes"),
    }));
    lines.extend(own_keys_and_calls());
    lines.extend(writable_paths(&[METRICS]));
    lines
}

/// What showing the snapshots to users may do: mount. Nothing here may give it mounts of its own, which
/// nobody else would see.
pub(super) fn view_limits() -> Vec<Line> {
    let mut lines = vec![
        Line::set(
            "CapabilityBoundingSet",
            "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_SYS_ADMIN",
        ),
        Line::lines("SystemCallFilter", &[("@system-service @mount", &[])]),
        Line::set("RestrictAddressFamilies", "AF_UNIX"),
        Line::set("IPAddressDeny", "any"),
        Line::set("DevicePolicy", "closed"),
        Line::set("UMask", "0077"),
    ];
    let on = [
        "ProtectClock",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    ];
    lines.extend(on.map(|key| Line::set(key, "yes")));
    lines.extend(own_keys_and_calls());
    lines
}

/// Keys of one's own, and no calls of another architecture; what is not allowed fails and kills nothing.
fn own_keys_and_calls() -> [Line; 3] {
    [
        Line::set("KeyringMode", "private"),
        Line::set("SystemCallArchitectures", "native"),
        Line::set("SystemCallErrorNumber", "EPERM"),
    ]
}

fn unprivileged_call_filter() -> Line {
    Line::lines(
        "SystemCallFilter",
        &[("@system-service", &[]), ("~@privileged @resources", &[])],
    )
}

/// What holds for all.
fn common_limits() -> Vec<Line> {
    let mut lines = vec![
        Line::set("UMask", "0077"),
        Line::set("PrivateMounts", "yes"),
    ];
    let on = PROTECTED.into_iter();
    let on = on.chain(["RestrictNamespaces", "RestrictRealtime"]);
    lines.extend(on.map(|key| Line::set(key, "yes")));
    lines.extend(own_keys_and_calls());
    lines
}

/// Temporary folders of one's own, unless something that is backed up or stored lies in those of the machine.
type PrivateTmp = [(&'static str, Conditions); 2];
/// For who works on one destination.
const OWN_TMP: PrivateTmp = [("yes", &["!tmp.isUsed"]), ("no", &["tmp.isUsed"])];
/// For who looks at all of them.
const TMP_OF_ALL: PrivateTmp = [("yes", &["!tmp.isUsedByAny"]), ("no", &["tmp.isUsedByAny"])];

/// What holds for all that run none of the user's scripts.
fn limits_without_scripts(tmp: PrivateTmp) -> Vec<Line> {
    vec![
        Line::set("ProtectSystem", "strict"),
        Line::set("ProtectHome", "read-only"),
        Line::one_of("PrivateTmp", &tmp),
        Line::set("NoNewPrivileges", "yes"),
        Line::set("MemoryDenyWriteExecute", "yes"),
    ]
}

/// What holds for all that store nothing.
fn limits_without_storing() -> Vec<Line> {
    let mut lines: Vec<Line> = ["PrivateDevices", "RemoveIPC", "RestrictSUIDSGID"]
        .map(|key| Line::set(key, "yes"))
        .into();
    lines.extend([
        Line::set("ProtectProc", "invisible"),
        Line::set("RestrictAddressFamilies", NETWORK),
    ]);
    lines
}

/// Where it may write: its state, its logs, and these.
fn writable_paths(more: &[(&'static str, Conditions)]) -> Vec<Line> {
    writable_state_and_logs("backup", "-${stateDirectory.word}", more)
}

/// Where who faces the network may write: what is known of remotes, which others take for the word of a
/// stranger, and its logs. It reads the rest of the state and could not change it.
fn writable_paths_apart() -> Vec<Line> {
    writable_state_and_logs("backup/cloud", "-${cloudStateDirectory.word}", &[])
}

/// Where it may write: this folder of the state, which has another place than the default one if
/// `elsewhere` names it, its logs, and these.
fn writable_state_and_logs(
    directory: &'static str,
    elsewhere: &'static str,
    more: &[(&'static str, Conditions)],
) -> Vec<Line> {
    // One that is missing must not keep the unit from starting: the program says it better.
    let elsewhere: [(&str, Conditions); 2] = [
        (elsewhere, &["!state.isInItsDefault"]),
        ("-${logPath.word}", &["!logs.areBelowVarLog"]),
    ];
    let mut lines = state_and_logs(directory);
    lines.push(Line::lines("ReadWritePaths", &[&elsewhere, more].concat()));
    lines
}

/// Its folder of the state and the logs, where systemd makes them.
fn state_and_logs(directory: &'static str) -> Vec<Line> {
    let state: Conditions = &["state.isInItsDefault"];
    let logs: Conditions = &["logs.areBelowVarLog"];
    vec![
        Line::one_of("StateDirectory", &[(directory, state)]),
        Line::one_of("StateDirectoryMode", &[("0700", state)]),
        Line::one_of("LogsDirectory", &[("${logsDirectory.word}", logs)]),
        Line::one_of("LogsDirectoryMode", &[("0750", logs)]),
    ]
}

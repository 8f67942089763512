//! What each service may do: as little as its job needs (systemd.exec(5),
//! systemd.resource-control(5)).
//!
//! The local steps read everything and write to the destination; the cloud steps read the
//! snapshots and talk to the network; the coordinator runs the user's scripts, which may do much.

use schema::Config;

use super::{Layout, STATE_DIR, text};

type Lines = Vec<(&'static str, String)>;

/// Capabilities that no script before or after a backup needs.
const NEVER: &str = "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_BOOT CAP_SYSLOG \
CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_TTY_CONFIG CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_CHROOT \
CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LEASE \
CAP_IPC_LOCK CAP_LINUX_IMMUTABLE CAP_MKNOD CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE \
CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_NET_BROADCAST";

/// What reading all and storing it with owner, mode, attributes and device nodes takes:
/// `SYS_ADMIN` for `trusted.*` attributes, `SYS_RESOURCE` because root's copies of a user's files
/// are not held to that user's quota, `SYS_PTRACE` to find an rsync that outlived its run.
const STORE: &str = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID \
CAP_MKNOD CAP_SETFCAP CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_RESOURCE";

/// What the coordinator may do.
pub(super) fn coordinator(config: &Config, layout: &Layout) -> Lines {
    let mut lines = of_all();
    lines.extend([
        ("ProtectSystem", "full".to_owned()),
        ("RestrictSUIDSGID", "yes".to_owned()),
        ("CapabilityBoundingSet", NEVER.to_owned()),
        ("SystemCallFilter", "@system-service".to_owned()),
        ("RestrictAddressFamilies", NETWORK.to_owned()),
    ]);
    let writes: Vec<&str> = metrics(config).into_iter().collect();
    places(&mut lines, config, layout, &writes);
    lines
}

/// What the local steps may do.
pub(super) fn local(config: &Config, layout: &Layout) -> Lines {
    let mut lines = of_all();
    lines.extend(strict(config, layout));
    lines.extend([
        ("PrivateNetwork", "yes".to_owned()),
        ("IPAddressDeny", "any".to_owned()),
        ("RestrictAddressFamilies", "AF_UNIX".to_owned()),
        ("CapabilityBoundingSet", STORE.to_owned()),
        ("SystemCallFilter", "@system-service".to_owned()),
        ("DevicePolicy", "closed".to_owned()),
        // Device nodes are stored, not used.
        ("DeviceAllow", "block-* m".to_owned()),
        ("DeviceAllow", "char-* m".to_owned()),
    ]);
    places(
        &mut lines,
        config,
        layout,
        &[config.local.mount_point.as_str()],
    );
    lines
}

/// What the cloud steps may do.
pub(super) fn cloud(config: &Config, layout: &Layout) -> Lines {
    let mut lines = of_all();
    lines.extend(strict(config, layout));
    lines.extend(reader());
    lines.extend([
        ("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH".to_owned()),
        ("SystemCallFilter", "@system-service".to_owned()),
        ("SystemCallFilter", "~@privileged @resources".to_owned()),
        // Where rclone keeps what it may lose.
        ("CacheDirectory", "backup".to_owned()),
        ("CacheDirectoryMode", "0700".to_owned()),
        ("Environment", "XDG_CACHE_HOME=%C/backup".to_owned()),
    ]);
    places(&mut lines, config, layout, &[]);
    lines
}

/// What the health check may do.
pub(super) fn health(config: &Config, layout: &Layout) -> Lines {
    let mut lines = of_all();
    lines.extend(strict(config, layout));
    lines.extend(reader());
    lines.extend([
        // Without `SYS_ADMIN` the kernel hides `trusted.*` attributes, which then look damaged.
        (
            "CapabilityBoundingSet",
            "CAP_DAC_READ_SEARCH CAP_SYS_ADMIN".to_owned(),
        ),
        ("SystemCallFilter", "@system-service".to_owned()),
        ("SystemCallFilter", "~@privileged @resources".to_owned()),
    ]);
    // It only reads there. But a disk that the sandbox makes read-only looks like one that became
    // so by itself, which the check is to notice.
    let disk = config
        .local
        .enable
        .then_some(config.local.mount_point.as_str());
    let writes: Vec<&str> = metrics(config).into_iter().chain(disk).collect();
    places(&mut lines, config, layout, &writes);
    lines
}

/// Where the metrics are, a file that is replaced by a rename. Nobody makes the whole system
/// writable for it.
fn metrics(config: &Config) -> Option<&str> {
    let file = config.monitoring.prometheus_file.as_ref()?;
    let folder = file.as_path().parent()?.to_str()?;
    Some(folder).filter(|folder| *folder != "/")
}

/// Families of addresses of who talks to the network, and asks how to.
const NETWORK: &str = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";

/// What holds for all.
fn of_all() -> Lines {
    let mut lines = vec![
        ("UMask", "0077".to_owned()),
        ("PrivateMounts", "yes".to_owned()),
    ];
    let on = [
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "LockPersonality",
        "RestrictNamespaces",
        "RestrictRealtime",
    ];
    lines.extend(on.map(|key| (key, "yes".to_owned())));
    lines.extend([
        ("KeyringMode", "private".to_owned()),
        ("SystemCallArchitectures", "native".to_owned()),
        ("SystemCallErrorNumber", "EPERM".to_owned()),
    ]);
    lines
}

/// What holds for all that run none of the user's scripts.
fn strict(config: &Config, layout: &Layout) -> Lines {
    let private_tmp = !uses_tmp(config, layout);
    vec![
        ("ProtectSystem", "strict".to_owned()),
        ("ProtectHome", "read-only".to_owned()),
        ("PrivateTmp", super::timers::yes_no(private_tmp).to_owned()),
        ("NoNewPrivileges", "yes".to_owned()),
        ("MemoryDenyWriteExecute", "yes".to_owned()),
    ]
}

/// What holds for all that store nothing.
fn reader() -> Lines {
    let mut lines: Lines = ["PrivateDevices", "RemoveIPC", "RestrictSUIDSGID"]
        .map(|key| (key, "yes".to_owned()))
        .into();
    lines.extend([
        ("ProtectProc", "invisible".to_owned()),
        ("RestrictAddressFamilies", NETWORK.to_owned()),
    ]);
    lines
}

/// Whether anything that is read or written lies where `PrivateTmp` would hide it.
fn uses_tmp(config: &Config, layout: &Layout) -> bool {
    let local = &config.local;
    let below = |path: &str| {
        ["/tmp", "/var/tmp"]
            .iter()
            .any(|tmp| path == *tmp || path.starts_with(&format!("{tmp}/")))
    };
    let covers = |path: &str| ["/", "/var"].contains(&path);
    let sources = local.sources.iter().map(|source| source.as_str());
    sources.clone().any(|path| below(path) || covers(path))
        || below(local.mount_point.as_str())
        || below(&layout.state_dir)
        || below(&layout.config)
        || below(config.monitoring.log_path.as_str())
        || config
            .cloud
            .config_file
            .as_ref()
            .is_some_and(|file| below(file.as_str()))
}

/// Where it may write besides: state, logs, and these.
fn places(lines: &mut Lines, config: &Config, layout: &Layout, more: &[&str]) {
    let mut writes: Vec<&str> = Vec::new();
    if layout.state_dir == STATE_DIR {
        lines.push(("StateDirectory", "backup".to_owned()));
        lines.push(("StateDirectoryMode", "0700".to_owned()));
    } else {
        writes.push(&layout.state_dir);
    }
    let logs = config.monitoring.log_path.as_str();
    match logs.strip_prefix("/var/log/") {
        Some(below) if !below.is_empty() => {
            lines.push(("LogsDirectory", text::path(below)));
            lines.push(("LogsDirectoryMode", "0750".to_owned()));
        }
        _ => writes.push(logs),
    }
    writes.extend(more);
    // One that is missing must not keep the unit from starting: the program says it better.
    for path in writes {
        lines.push(("ReadWritePaths", format!("-{}", text::path(path))));
    }
}

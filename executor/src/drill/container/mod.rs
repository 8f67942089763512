//! Starting a service of the snapshot: a container of systemd-nspawn in the room's namespaces, with a systemd of its
//! own that starts the unit.
//!
//! The room's first process puts the root together, makes a control group, and starts systemd-nspawn, which is
//! told to leave the machine's systemd and its registers alone. What it keeps below `/run` it keeps in memory.
//! Its container has a user namespace too, so that its root has no rights over the machine: it can make no
//! device and mount no disk. All processes are below the room's first one, and end with it.

mod group;
pub(super) mod inside;
mod service;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Seek as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::mount::{MountFlags, mount};
use schema::drill::{CheckResult, CheckStatus, DrillContainer, DrillPlan, PlannedCheck};

use self::{
    group::Group,
    service::{Ended, Service},
};
use super::{
    Order, checks,
    mounts::{ContainerRoot, make_container_root},
    room::{millis_since, no_room},
};
use crate::error::{Error, Result};

/// Where its console is written to, in the stand.
const CONSOLE: &str = "console";
/// How much of that is read, in bytes; the end counts.
const MOST_OF_CONSOLE: i64 = 16 << 10;
/// How often it is asked whether something is there.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts the service of a check.
///
/// # Errors
/// There can be no container here: a refusal; or the root cannot be put together.
pub(super) fn try_service(order: &Order, check: &PlannedCheck) -> Result<CheckResult> {
    let begun = Instant::now();
    let result = |status, message: String, output: &str| CheckResult {
        check: check.check.clone(),
        status,
        millis: millis_since(begun),
        message,
        output: checks::end_of(output),
    };
    if let Some(because) = &check.refused {
        let message = format!("was not tried: {because}");
        return Ok(result(CheckStatus::NotRun, message, ""));
    }
    let (Some(unit), Some(container)) = (&check.unit, &order.plan.container) else {
        return Err(Error::failed("the order of the drill has no container"));
    };
    let root = make_container_root(order, &container.mounts)?;
    if let Some(path) = root.read_only.first() {
        let message = format!(
            "was not tried: {path} cannot be written to, as the destination's file system cannot be the lower \
             layer of an overlay"
        );
        return Ok(result(CheckStatus::NotRun, message, ""));
    }
    let ended = with_container(&root, container, |leader, console| {
        let until = begun + Duration::from_secs(order.plan.check_seconds);
        Service {
            unit,
            leader,
            until,
            container,
            root: &root.root,
        }
        .try_it(console)
    })?;
    Ok(match ended {
        Ended::Runs => result(CheckStatus::Passed, "passed".to_owned(), ""),
        Ended::Fails { because, words } => result(CheckStatus::Failed, because, &words),
        Ended::TimeIsOver { words } => {
            result(CheckStatus::TimedOut, time_is_over(&order.plan), &words)
        }
    })
}

fn time_is_over(plan: &DrillPlan) -> String {
    format!(
        "did not start within {} and was ended (monitoring.drill.timeout)",
        schema::amount::span(Duration::from_secs(plan.check_seconds))
    )
}

/// What is asked of a container that is being booted: its first process, once there is one, and why there will
/// be none.
type Booting<'a> = &'a mut dyn FnMut() -> std::result::Result<Option<i32>, String>;

/// Makes a container, does something with it, and takes it away.
fn with_container(
    root: &ContainerRoot,
    container: &DrillContainer,
    work: impl FnOnce(Booting<'_>, &dyn Fn() -> String) -> Result<Ended>,
) -> Result<Ended> {
    let number = own_number().map_err(|error| no_room("find its own process", error))?;
    let group = Group::enter(number)?;
    let done = boot(root, container, number).and_then(|mut booted| {
        let console = || end_of_console(root);
        let mut leader = || match booted.try_wait() {
            Ok(None) => Ok(first_process(booted.id())),
            Ok(Some(_)) | Err(_) => Err("its container could not be booted".to_owned()),
        };
        work(&mut leader, &console)
    });
    checks::end_all_others();
    group.leave();
    done
}

/// The number of this process on the machine: within, it is always the first one.
fn own_number() -> io::Result<u32> {
    let own = fs::read_link("/proc/self")?;
    let number = own.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Starts systemd-nspawn, which sees the room's processes only and keeps nothing outside of memory.
fn boot(root: &ContainerRoot, container: &DrillContainer, number: u32) -> Result<Child> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let closed = flags | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", closed, None)
        .map_err(|error| no_room("see its own processes", error.into()))?;
    if root.stands_at != "/run" {
        mount("tmpfs", "/run", "tmpfs", flags, Some(c"size=5%,mode=0755"))
            .map_err(|error| no_room("mount anything", error.into()))?;
    }
    let console = root.stand.new_file(OsStr::new(CONSOLE), 0o600);
    let console = console.map_err(|error| Error::io("make", CONSOLE.as_bytes(), error))?;
    let again = console
        .try_clone()
        .map_err(|error| Error::io("open", CONSOLE.as_bytes(), error))?;
    let mut command = Command::new(&container.nspawn);
    command
        .args(arguments(&root.path(), container, number))
        .current_dir("/")
        .env_clear()
        .env("PATH", checks::PATH)
        // Sources may lie there, and what is shown has its own one.
        .env("SYSTEMD_NSPAWN_TMPFS_TMP", "0")
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(again);
    command
        .spawn()
        .map_err(|error| no_room("start systemd-nspawn", error))
}

fn arguments(root: &str, container: &DrillContainer, number: u32) -> Vec<String> {
    let mut words = vec![
        format!("--directory={root}"),
        format!("--machine=backup-drill-{number}"),
        format!("--hostname={}", container.host_name),
    ];
    words.extend(
        [
            "--quiet",
            "--settings=no",
            "--register=no",
            "--keep-unit",
            "--private-network",
            // The same numbers, and rights over nothing of the machine.
            "--private-users=0:65536",
            "--console=pipe",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
        ]
        .map(str::to_owned),
    );
    if let Some(system) = &container.system {
        words.push(format!(
            "--bind-ro={}:/run/current-system",
            system.replace(':', "\\:")
        ));
    }
    words.push(container.init.clone());
    // As little as services need: not those that the machine starts by itself, a backup among them.
    words.push("systemd.unit=sysinit.target".to_owned());
    words
}

/// The first process of the container that this process runs, once it is systemd.
fn first_process(nspawn: u32) -> Option<i32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut numbers = all.filter_map(|one| one.file_name().to_str()?.parse::<i32>().ok());
    numbers.find(|number| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        is_child(&stat, nspawn)
    })
}

/// Whether `/proc/N/stat` is that of a systemd that this process started.
fn is_child(stat: &str, parent: u32) -> bool {
    let Some((name, rest)) = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'))
    else {
        return false;
    };
    let number = rest
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok());
    name == "systemd" && number == Some(parent)
}

/// The last words of the console.
fn end_of_console(root: &ContainerRoot) -> String {
    let read = || -> io::Result<String> {
        let mut file: File = root.stand.file(OsStr::new(CONSOLE))?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(io::SeekFrom::End(-length.min(MOST_OF_CONSOLE)))?;
        let bytes = crate::bounded::read_bounded(file, MOST_OF_CONSOLE.unsigned_abs())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_process_is_a_systemd_that_nspawn_started() {
        assert!(is_child("24 (systemd) S 22 24 24 0", 22));
        assert!(!is_child("24 (systemd) S 21 24 24 0", 22));
        assert!(!is_child("23 (systemd-nspawn) S 22 24 24 0", 22));
        assert!(!is_child("23 ((sd) systemd) S 22 24 24 0", 22));
        assert!(!is_child("", 22));
    }
}

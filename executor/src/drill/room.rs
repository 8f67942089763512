//! The process of the room: it leaves the namespaces of the machine, starts the first process of the new ones, and
//! that one puts the root together, reads the sample and runs the checks.
//!
//! Two processes, because the one that asks for a PID namespace is not in it. Both are this program called anew,
//! so that no thread is there that would stay outside.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid, getpid};
use schema::{drill::PlannedCheck, outside};

use super::{
    ARGUMENT, Order, Word, checks, confine,
    container::{self, inside::INSIDE},
    loopback, mounts, read,
};
use crate::{
    error::{Error, ErrorKind, Result, system_reason},
    process::parent::die_with_unseen_parent,
};

/// The argument that makes it the first process within.
const WITHIN: &str = "within";
/// The longest order that is read.
const LONGEST_ORDER: u64 = 16 << 20;
/// What to do where the kernel gives nobody but root a room, or not even root.
const NO_ROOM: &str = "run it as root (`sudo backup drill`), or allow user namespaces; a container needs \
     the right to mount things, which `--privileged` or CAP_SYS_ADMIN gives";

/// Becomes the room of a drill, where the program was called with [`ARGUMENT`] and then these; gives its exit
/// code. Must be called before any thread is started.
#[must_use]
pub fn enter_room(arguments: &[OsString]) -> u8 {
    let done = match arguments {
        [] => leave_machine(),
        [stage] if stage == WITHIN => work_within(),
        [stage, more @ ..] if stage == INSIDE => return run_inside(more),
        _ => Err(Error::failed("not a stage of the room of a drill")),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            tell(&Word::Fault {
                is_refusal: error.kind == ErrorKind::Refused,
                message: error.message,
                hint: error.hint,
            });
            1
        }
    }
}

/// Runs a program in a container, and lets it say itself how it went.
fn run_inside(arguments: &[OsString]) -> u8 {
    container::inside::join_and_run(arguments).unwrap_or_else(|error| {
        // Nobody hears it any more where this fails.
        let _ = writeln!(io::stderr(), "{}", outside::one_line(&error.message));
        u8::MAX
    })
}

/// Says something to whoever started the room.
pub(super) fn tell(word: &Word) {
    let Ok(mut line) = serde_json::to_vec(word) else {
        return;
    };
    line.push(b'\n');
    let mut out = io::stdout().lock();
    // Nobody hears it any more where this fails.
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

/// Leaves the namespaces of the machine, and starts the first process of the new ones.
fn leave_machine() -> Result<u8> {
    close_inherited();
    let mut order = Vec::new();
    io::stdin()
        .take(LONGEST_ORDER)
        .read_to_end(&mut order)
        .map_err(|error| Error::io("read", b"the order of the drill", error))?;
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    let (user, group) = (geteuid(), getegid());
    if !user.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|error| no_room("leave the machine's namespaces", error.into()))?;
    if !user.is_root() {
        let ids = [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {} 1", user.as_raw())),
            ("gid_map", format!("0 {} 1", group.as_raw())),
        ];
        for (file, text) in ids {
            fs::write(format!("/proc/self/{file}"), text)
                .map_err(|error| no_room("be root of a user namespace", error))?;
        }
    }
    let mut command = Command::new("/proc/self/exe");
    command
        .args([ARGUMENT, WITHIN])
        .env_clear()
        .stdin(Stdio::piped());
    die_with_unseen_parent(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| no_room("start the first process of the room", error))?;
    // With this it learns that its parent lives.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(&order);
    }
    let ended = child
        .wait()
        .map_err(|error| no_room("wait for the room", error))?;
    Ok(ended
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// Closes what whoever called the program had open: it may lead to the destination.
fn close_inherited() {
    let names = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
    for name in names {
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // The folder that was just read is among them, and closed already.
            let _ = nix::unistd::close(number);
        }
    }
}

pub(super) fn no_room(doing: &str, error: io::Error) -> Error {
    let because = system_reason(&error);
    Error::refused(format!(
        "a drill cannot {doing} here: {because}, and without a room of its own nothing is tried"
    ))
    .because(error)
    .hint(NO_ROOM)
}

/// Puts the root together, reads the sample and runs the checks.
fn work_within() -> Result<u8> {
    let begun = Instant::now();
    if getpid().as_raw_nonzero().get() != 1 {
        return Err(Error::failed("the room of a drill is not on its own"));
    }
    let order: Order = serde_json::from_reader(io::stdin().take(LONGEST_ORDER))
        .map_err(|error| Error::failed(format!("the order of the drill: {error}")))?;
    // A terminal takes commands from whoever belongs to its session.
    rustix::process::setsid().map_err(|error| no_room("leave the terminal", error.into()))?;
    // A unit's mask would close the folders that are made on the way to everybody but root.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if let Some(number) = order.service {
        return try_service(&order, number);
    }
    let read_only = mounts::make_root(&order)?;
    let millis = millis_since(begun);
    loopback::bring_up()?;
    confine::give_up_rights()?;
    tell(&Word::Ready { millis, read_only });
    tell(&Word::Read(read::read_sample(&order)?));
    for (number, check) in order.plan.checks.iter().enumerate() {
        if check.unit.is_some() {
            continue;
        }
        tell_begin(check);
        let result = checks::run_check(check, &order.plan)?;
        tell(&Word::Checked { number, result });
    }
    tell(&Word::Done);
    Ok(0)
}

/// Starts the service of one check.
fn try_service(order: &Order, number: usize) -> Result<u8> {
    let check = order.plan.checks.get(number);
    let check = check.ok_or_else(|| Error::failed("the order of the drill has no such check"))?;
    tell_begin(check);
    let result = container::try_service(order, check)?;
    tell(&Word::Checked { number, result });
    tell(&Word::Done);
    Ok(0)
}

fn tell_begin(check: &PlannedCheck) {
    tell(&Word::Began {
        check: outside::one_line(&check.check),
    });
}

/// How long it is since then, in milliseconds.
pub(super) fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

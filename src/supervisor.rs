//! A process around the one that works, which ends when that one cannot.
//!
//! A call to a FUSE program or a server that never answers cannot be interrupted, not even by SIGKILL:
//! the process in it stays, and with it whoever waits for its end. So where something is mounted that
//! may fall silent, the work is done by a child, and this process touches nothing but that child: it
//! passes signals on, and ends as the child does, or as soon as the child says that it never will.

use std::{
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, PipeReader},
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use executor::{process::parent::die_with_parent, sys::mounts, threads};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{SigSet, Signal, kill},
    unistd::Pid,
};

use crate::{
    cli::Cli,
    exit, service, stall,
    supervised::{self, ENDS, INSIDE, SILENT, SILENT_IN_A_RUN, STATUS},
};

/// Where the kernel, the system and the desktop mount what nobody backs up.
const OF_THE_SYSTEM: [&[u8]; 4] = [b"/dev/", b"/proc/", b"/run/", b"/sys/"];
/// How long the process inside may take to end by itself after it was asked twice.
const GRACE: Duration = Duration::from_secs(2);
/// How long it may take after it said how it ends, when all is written: whoever waits for a prompt is not to wait
/// for a call that is never answered.
const AT_END: Duration = Duration::from_millis(200);
/// How often its end is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Whether another thread of the process around does what is owed, and ends it.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Whether something is mounted that may fall silent, and no process is around this one yet.
pub(crate) fn is_wanted() -> bool {
    let counts = |path: &Vec<u8>| !OF_THE_SYSTEM.iter().any(|system| path.starts_with(system));
    !supervised::is_supervised() && mounts::that_may_fall_silent().iter().any(counts)
}

/// Does the work in a process of its own and ends as that does; none where it could not be started.
pub(crate) fn supervise(cli: &Arc<Cli>) -> Option<ExitCode> {
    let (mut child, told) = start_worker().ok()?;
    // Blocked after the start only, since the child would inherit it; what ends this process before
    // that ends the child as well.
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ] {
        signals.add(signal);
    }
    let _ = signals.thread_block();
    let process = i32::try_from(child.id()).map(Pid::from_raw);
    let (cli, work) = (Arc::clone(cli), process.ok());
    // Without a thread there is nothing but the process inside, which then does what it can.
    let _ = threads::start_thread("inside", move || listen_to_worker(told, work, &cli));
    let mut asked = false;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            while ENDING.load(Ordering::SeqCst) {
                thread::park();
            }
            return Some(exit_code_of(status));
        }
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {}
            Ok(signal) => {
                // What a terminal sends it sends to both.
                if signal == Signal::SIGTERM || !is_in_foreground() {
                    let _ = process.map(|process| kill(process, signal));
                }
                // The second one ends the work at once, or finds that nothing can.
                if asked {
                    let code = u8::try_from(128 + signal as i32).unwrap_or(exit::FAILED);
                    return Some(wait_no_longer(&mut child, code));
                }
                asked = true;
            }
            Err(_) => return child.wait().ok().map(exit_code_of),
        }
    }
}

/// Starts this program once more with the same arguments; also gives what it tells through.
fn start_worker() -> io::Result<(Child, PipeReader)> {
    let (told, theirs) = io::pipe()?;
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut argument = OsStr::from_bytes(INSIDE).to_owned();
    argument.push(theirs.as_raw_fd().to_string());
    let mut given = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(given.next().unwrap_or_default());
    command.arg(argument).args(given);
    // It is not the process that systemd listens to.
    command.env_remove("NOTIFY_SOCKET");
    die_with_parent(&mut command);
    Ok((command.spawn()?, told))
}

/// Hears what the process inside tells.
fn listen_to_worker(told: PipeReader, work: Option<Pid>, cli: &Cli) {
    let mut told = BufReader::new(told);
    let mut line = Vec::new();
    while told.read_until(0, &mut line).is_ok_and(|length| length > 1) {
        let (word, rest) = (line[0], &line[1..line.len().saturating_sub(1)]);
        match word {
            STATUS => service::notify_status(&String::from_utf8_lossy(rest)),
            // It ends by itself, or is in a call that is never answered.
            ENDS => {
                let code = std::str::from_utf8(rest)
                    .ok()
                    .and_then(|code| code.parse().ok());
                thread::sleep(AT_END);
                std::process::exit(code.unwrap_or(exit::FAILED).into());
            }
            SILENT | SILENT_IN_A_RUN => {
                ENDING.store(true, Ordering::SeqCst);
                let _ = work.map(|work| kill(work, Signal::SIGKILL));
                // The scripts that are started now are to hear signals.
                let _ = SigSet::empty().thread_set_mask();
                let mount_point = Path::new(OsStr::from_bytes(rest));
                stall::end_stalled(cli, mount_point, word == SILENT_IN_A_RUN);
            }
            _ => {}
        }
        line.clear();
    }
}

/// Waits for a process that is about to end, but not for ever.
fn wait_no_longer(child: &mut Child, otherwise: u8) -> ExitCode {
    let since = Instant::now();
    while since.elapsed() < GRACE {
        if let Ok(Some(status)) = child.try_wait() {
            return exit_code_of(status);
        }
        thread::sleep(LOOK);
    }
    let _ = child.kill();
    ExitCode::from(otherwise)
}

/// The exit code that says how a process ended.
fn exit_code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(exit::FAILED),
    )
}

/// Whether a terminal's signals go to this process and its children (proc_pid_stat(5), `pgrp` and
/// `tpgid`).
fn is_in_foreground() -> bool {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split(' ').collect();
    matches!(fields.as_slice(), [_, _, group, _, _, foreground, ..] if group == foreground)
}

//! The program run under ptrace(2) and struck at one of its system calls: killed before it, or the call fails.
//!
//! Needs neither root nor a tool, and the same strike comes at the same call each time. Each call of each process
//! that is started counts; those before the configuration is opened are the loader's and are let alone.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use test_support::Ran;

use crate::calls::Made;

/// Stops before it becomes the program, so that not even its first call is missed.
pub(crate) const WRAPPER: [&str; 2] = ["-c", "kill -STOP $$; exec \"$0\" \"$@\""];

/// No run with such small trees takes longer, traced or not.
const LONGEST: Duration = Duration::from_secs(120);

/// What comes upon a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Nothing.
    Spared,
    /// It is killed before the nth call that changes something, anywhere or at the destination.
    Killed { nth: usize, stored: bool },
    /// Something else happens before the nth call that changes something at the destination.
    Meets { nth: usize },
    /// The nth call of a name fails, or it and all later ones do.
    Fails {
        call: &'static str,
        nth: usize,
        with: Errno,
        for_ever: bool,
    },
}

/// How a run ended.
pub(crate) struct Traced {
    pub(crate) ran: Ran,
    /// The call at which it was struck, in words.
    pub(crate) struck: Option<String>,
    /// Calls that change something, and those of them that change something at the destination.
    pub(crate) changing: [usize; 2],
    /// The names of those that change something, in order.
    pub(crate) order: Vec<&'static str>,
    /// Calls by name.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// Whether it had to be ended because it did not end.
    pub(crate) hung: bool,
}

impl Traced {
    /// A run that nobody followed.
    pub(crate) fn of(ran: Ran) -> Self {
        Self {
            ran,
            struck: None,
            changing: [0; 2],
            order: Vec::new(),
            counts: BTreeMap::new(),
            hung: false,
        }
    }
}

/// The calls of a run as they come.
struct Watch<'a> {
    main: Pid,
    fate: Fate,
    folder: &'a Path,
    /// What else happens.
    event: &'a mut dyn FnMut(),
    begun: bool,
    counts: BTreeMap<&'static str, usize>,
    changing: [usize; 2],
    order: Vec<&'static str>,
    struck: Option<String>,
    /// Threads whose call is to fail when it ends.
    failing: BTreeMap<Pid, Errno>,
    /// What is run, and which threads run it.
    program: Option<PathBuf>,
    ours: BTreeMap<Pid, bool>,
}

/// Runs a command that begins with [`WRAPPER`] to its end; what it says is kept below the folder meanwhile, which
/// what is told leaves out of paths.
///
/// # Panics
///
/// If it cannot be started or traced.
#[expect(
    clippy::zombie_processes,
    reason = "it is waited for with all that it starts"
)]
pub(crate) fn run(
    mut command: Command,
    words: &[&str],
    fate: Fate,
    folder: &Path,
    event: &mut dyn FnMut(),
) -> Traced {
    let told = ["said.out", "said.err"].map(|name| folder.join(name));
    let [out, err] = told.each_ref().map(|path| File::create(path).unwrap());
    let child = command.stdout(out).stderr(err).spawn().unwrap();
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let stopped = waitpid(main, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    ptrace::seize(
        main,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL,
    )
    .unwrap_or_else(|error| panic!("ptrace is not allowed here: {error}"));
    kill(main, Signal::SIGCONT).unwrap();
    let mut watch = Watch {
        main,
        fate,
        folder,
        event,
        begun: false,
        counts: BTreeMap::new(),
        changing: [0; 2],
        order: Vec::new(),
        struck: None,
        failing: BTreeMap::new(),
        program: None,
        ours: BTreeMap::new(),
    };
    let (ended, waits) = mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        let late = waits.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            let _ = kill(main, Signal::SIGKILL);
        }
        late
    });
    let (code, signal) = watch.until_all_ended();
    drop(ended);
    let hung = guard.join().unwrap();
    let [stdout, stderr] = told.map(|path| {
        let said = fs::read(path).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    Traced {
        ran: Ran {
            what: words.join(" "),
            words: words.iter().copied().map(str::to_owned).collect(),
            code,
            signal,
            stdout,
            stderr,
        },
        struck: watch.struck,
        changing: watch.changing,
        order: watch.order,
        counts: watch.counts,
        hung,
    }
}

impl Watch<'_> {
    /// Follows all processes until none is left; gives how the first one ended.
    fn until_all_ended(&mut self) -> (i32, Option<i32>) {
        let mut end = (-1, None);
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let on = match waitpid(None, Some(flags)) {
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => return end,
                Err(error) => panic!("waitpid: {error}"),
                Ok(WaitStatus::Exited(pid, code)) => {
                    if pid == self.main {
                        end = (code, None);
                    }
                    continue;
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    if pid == self.main {
                        end = (128 + signal as i32, Some(signal as i32));
                    }
                    continue;
                }
                Ok(WaitStatus::PtraceSyscall(pid)) => {
                    self.at_call(pid);
                    ptrace::syscall(pid, None)
                }
                Ok(WaitStatus::Stopped(pid, signal)) => ptrace::syscall(pid, signal),
                Ok(WaitStatus::PtraceEvent(pid, ..)) => {
                    // It may be another program from now on.
                    self.ours.remove(&pid);
                    ptrace::syscall(pid, None)
                }
                Ok(_) => continue,
            };
            // Whoever was killed meanwhile is heard of when it has ended.
            assert!(matches!(on, Ok(()) | Err(Errno::ESRCH)), "ptrace: {on:?}");
        }
    }

    /// Whether a thread is of the program, and not of one that it has started.
    fn is_ours(&mut self, thread: Pid) -> bool {
        let program = |thread: Pid| fs::read_link(format!("/proc/{thread}/exe")).ok();
        if self.program.is_none() {
            self.program = program(self.main);
        }
        let known = &self.program;
        *self
            .ours
            .entry(thread)
            .or_insert_with(|| program(thread) == *known)
    }

    /// A thread stands before or behind a call.
    fn at_call(&mut self, thread: Pid) {
        const BEFORE: u8 = 1;
        let Ok(info) = ptrace::syscall_info(thread) else {
            return;
        };
        if info.op != BEFORE {
            if let Some(error) = self.failing.remove(&thread) {
                end_call(thread, error);
            }
            return;
        }
        let Some(made) = Made::by(thread) else {
            return;
        };
        self.begun |= made.opens("config.json");
        if !self.begun {
            return;
        }
        let name = made.call.name;
        // What rclone and rsync make of it is theirs.
        let count = match self.is_ours(thread) {
            true => {
                let count = self.counts.entry(name).or_default();
                *count += 1;
                *count
            }
            false => 0,
        };
        let changes = made.changes();
        let at_destination = changes && made.is_below(&self.folder.join("dst"));
        self.changing[0] += usize::from(changes);
        self.order.extend(changes.then_some(name));
        self.changing[1] += usize::from(at_destination);
        match self.fate {
            Fate::Killed { nth, stored }
                if (if stored { at_destination } else { changes })
                    && self.changing[usize::from(stored)] == nth
                    && self.struck.is_none() =>
            {
                self.struck = Some(made.in_words(self.folder));
                let _ = kill(self.main, Signal::SIGKILL);
            }
            Fate::Meets { nth } if at_destination && self.changing[1] == nth => {
                self.struck = Some(made.in_words(self.folder));
                (self.event)();
            }
            Fate::Fails {
                call,
                nth,
                with,
                for_ever,
            } if count > 0 && call == name && (count == nth || for_ever && count > nth) => {
                self.struck
                    .get_or_insert_with(|| made.in_words(self.folder));
                if skip_call(thread) {
                    self.failing.insert(thread, with);
                }
            }
            _ => {}
        }
    }
}

/// Whether calls can be made to fail on this machine.
pub(crate) const CAN_FAIL: bool = cfg!(target_arch = "x86_64");

/// Has the kernel do nothing in the call before which a thread stands.
fn skip_call(thread: Pid) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Ok(mut registers) = ptrace::getregs(thread) {
        registers.orig_rax = u64::MAX;
        return ptrace::setregs(thread, registers).is_ok();
    }
    let _ = thread;
    false
}

/// Has a skipped call end with an error.
fn end_call(thread: Pid, with: Errno) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(mut registers) = ptrace::getregs(thread) {
        registers.rax = (-i64::from(with as i32)).cast_unsigned();
        let _ = ptrace::setregs(thread, registers);
    }
    let _ = (thread, with);
}

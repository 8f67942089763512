//! One run of rsync, from its start to its end: watched, and ended when it must.
//!
//! Owns the process. What its output says is taken by [`super::listener`] while it runs.

use std::{
    ffi::OsString,
    os::{fd::AsFd as _, unix::ffi::OsStringExt as _},
    process::{Command, Stdio},
};

use rustix::io::Errno;
use schema::{FailureCode, plan::SnapshotStep, record::Capabilities, rsync::RsyncPlan};

use super::{
    adopter::Adopter,
    listener::{RsyncListener, Tally, say_left_to_engine},
    reader::{Reader, Sides},
    readers::{Readers, Shared},
};
use crate::{
    error::{Error, Result, system_reason},
    event::Context,
    process::{
        ChildGroup, Limits, LineEnd, ProcessExit, WaitingStall, isolate_environment,
        orphans::{self, end_marked},
        parent::die_with_parent,
        supervise,
    },
    store::Store,
    survey::is_hollow,
    sys::mounts,
};

/// How rsync ended, and what it complained of.
pub(super) struct RsyncExit {
    /// How its process ended.
    pub(super) exit: ProcessExit,
    /// What it wrote to the standard error, line by line.
    pub(super) faults: Vec<Vec<u8>>,
    /// The folder that it ran in, as its messages name it.
    pub(super) into: Vec<u8>,
}

/// Everything that a run of rsync needs besides its arguments.
pub(super) struct Call<'a> {
    pub(super) store: &'a Store,
    pub(super) step: &'a SnapshotStep,
    pub(super) rsync: &'a RsyncPlan,
    pub(super) destination_id: &'a str,
    /// What the destination can hold.
    pub(super) can: &'a Capabilities,
    pub(super) context: Context<'a>,
}

impl Call<'_> {
    /// Runs rsync in the folder of the new tree, with the source as standard input. None where the
    /// system lets no process or thread start now, which is said.
    ///
    /// # Errors
    /// An interruption, too little space, or a program that cannot be run. It has ended then.
    pub(super) fn run(
        &self,
        arguments: &[OsString],
        sides: &Sides,
        adopter: &mut Adopter<'_>,
        tally: &mut Tally,
    ) -> Result<Option<RsyncExit>> {
        let Some(child) = self.start(arguments, sides)? else {
            return Ok(None);
        };
        let (jobs, shared) = Shared::new(sides);
        std::thread::scope(|scope| {
            let readers = Readers::start(scope, &shared, jobs, self.context.threads);
            self.follow(child, sides, readers, adopter, tally)
        })
    }

    /// Follows rsync to its end.
    fn follow(
        &self,
        mut child: ChildGroup,
        sides: &Sides,
        readers: Option<Readers<'_>>,
        adopter: &mut Adopter<'_>,
        tally: &mut Tally,
    ) -> Result<Option<RsyncExit>> {
        let lines = match child.lines(LineEnd::NewlineOrReturn) {
            Ok(lines) => lines,
            Err(error) => {
                drop(child);
                end_marked(self.destination_id)?;
                say_left_to_engine(self.context, &error.message);
                return Ok(None);
            }
        };
        let mut stall = WaitingStall::new(is_local(sides), is_hollow);
        let by = (readers, Reader::new(sides));
        let mut listener =
            RsyncListener::new(self.store, self.step, self.context, by, adopter, tally);
        let limits = Limits::until(None)
            .stopped_by(self.context.stop)
            .unless_stalled(&mut stall);
        let ended = supervise(&mut child, &lines, limits, &mut listener).and_then(|exit| {
            if matches!(exit, ProcessExit::Stalled(_) | ProcessExit::GivenUp) {
                end_marked(self.destination_id)?;
            }
            listener.take_rest()?;
            Ok(exit)
        });
        match ended {
            Ok(exit) => Ok(Some(RsyncExit {
                exit,
                faults: listener.faults,
                into: sides.new.proc_name(".".as_ref()).unwrap_or_default(),
            })),
            Err(error) => {
                lines
                    .try_iter()
                    .for_each(|line| listener.hear_copied(&line));
                // Who is blocked on a full pipe does not hear that it is to end.
                drop(lines);
                drop(child);
                end_marked(self.destination_id)?;
                listener.take_last(&error);
                Err(error)
            }
        }
    }

    fn start(&self, arguments: &[OsString], sides: &Sides) -> Result<Option<ChildGroup>> {
        let program = &self.rsync.program;
        let source = sides.source.as_fd().try_clone_to_owned();
        let source = source.map_err(|error| Error::io("open", b"the source", error))?;
        let folder = sides.new.proc_path(".".as_ref());
        let mut command = Command::new(program);
        isolate_environment(&mut command);
        command
            .env(orphans::MARK, self.destination_id)
            .args(arguments)
            .current_dir(OsString::from_vec(folder))
            .stdin(Stdio::from(source))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        match ChildGroup::start(&mut command) {
            Ok(child) => Ok(Some(child)),
            Err(error) if for_now(&error) => {
                let because = format!("{program} cannot be started: {}", system_reason(&error));
                say_left_to_engine(self.context, &because);
                Ok(None)
            }
            Err(error) => {
                let message = format!("{program} cannot be run: {}", system_reason(&error));
                Err(Error::failed(message)
                    .coded(FailureCode::ProgramMissing)
                    .because(error)
                    .hint(
                        "install rsync, or set local.useRsync to false: the built-in engine makes \
                         the same snapshots",
                    ))
            }
        }
    }
}

/// Whether the kernel alone answers for what is copied from and to, as far as it says.
fn is_local(sides: &Sides) -> bool {
    let all = mounts::all_mounts().unwrap_or_default();
    [&sides.source, &sides.new].into_iter().all(|dir| {
        let stat = dir.stat_self();
        let mount = stat.ok().and_then(|stat| mounts::mount_of(&all, &stat));
        mount.is_some_and(|mount| !mount.may_fall_silent())
    })
}

/// Whether a program cannot be started because of what the system has too few of just now.
fn for_now(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::AGAIN | Errno::NOMEM))
}

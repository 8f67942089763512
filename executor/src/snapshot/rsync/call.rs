//! One run of rsync, from its start to its end: watched, and ended when it must.
//!
//! Owns the process. What its output says is read by [`super::output`], what it copied is taken
//! over by [`super::adopter`] while it runs.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{BufRead as _, BufReader, Read},
    os::{
        fd::AsFd as _,
        unix::{ffi::OsStringExt as _, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use rustix::io::Errno;
use schema::{escape, plan::SnapshotStep, rsync::RsyncPlan};

use super::{
    super::{too_little_space, worker::free_bytes},
    adopter::{Adopter, Sides, Taken},
    environment, orphans,
    output::{self, Said},
    silence::Silence,
};
use crate::{
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress},
    steps::child::{end_group, how},
    store::Store,
    sys::tie,
    threads,
};

/// How often time, space and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long after rsync tells of a file it is looked for: the telling side is ahead of the writing.
const RIPE: Duration = Duration::from_millis(200);
/// How often it is looked for while rsync runs.
const TRIES: u32 = 20;
/// How long a run that is to end may still take over what was copied.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Lines that may wait to be read. More, and rsync waits.
const WAITING: usize = 4096;
/// Faults that are kept; more say nothing new.
const MAX_FAULTS: usize = 2000;
/// Faults that are shown as they come: the report lists them all.
const SHOWN_FAULTS: usize = 20;
/// A longer line is cut: no path is as long.
const MAX_LINE: usize = 64 << 10;

/// How rsync ended.
pub(super) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    /// As the end of a sentence about it.
    pub(super) how: String,
    /// What it wrote to the standard error, line by line.
    pub(super) faults: Vec<Vec<u8>>,
    /// The folder that it ran in, as its messages name it.
    pub(super) into: Vec<u8>,
    /// It was ended because it would never have gone on, after so long.
    pub(super) hung: Option<Duration>,
}

/// How far all calls of one step are.
#[derive(Default)]
pub(super) struct Tally {
    /// Files that are to be copied.
    pub(super) files: u64,
    entries: u64,
    bytes_before: u64,
    bytes: u64,
}

/// Everything that a run of rsync needs besides its arguments.
pub(super) struct Call<'a> {
    pub(super) store: &'a Store,
    pub(super) step: &'a SnapshotStep,
    pub(super) rsync: &'a RsyncPlan,
    pub(super) destination_id: &'a str,
    pub(super) context: Context<'a>,
}

/// Files that rsync told of and that are not dealt with.
#[derive(Default)]
struct Waiting {
    fresh: VecDeque<(Instant, Vec<u8>, u32)>,
    /// Looked for in vain: again at the end.
    late: Vec<Vec<u8>>,
}

impl Waiting {
    fn add(&mut self, path: Vec<u8>) {
        self.fresh.push_back((Instant::now(), path, 0));
    }

    fn again(&mut self, path: Vec<u8>, tries: u32) {
        if tries < TRIES {
            self.fresh.push_back((Instant::now(), path, tries + 1));
        } else {
            self.late.push(path);
        }
    }

    /// One that rsync should have finished by now.
    fn ripe(&mut self) -> Option<(Vec<u8>, u32)> {
        let (since, ..) = self.fresh.front()?;
        if since.elapsed() < RIPE {
            return None;
        }
        self.fresh.pop_front().map(|(_, path, tries)| (path, tries))
    }

    fn any(&mut self) -> Option<Vec<u8>> {
        let next = self.fresh.pop_front().map(|(_, path, _)| path);
        next.or_else(|| self.late.pop())
    }
}

enum Heard {
    Line(Vec<u8>),
    Fault(Vec<u8>),
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
        sides: &mut Sides,
        adopter: &mut Adopter<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Ended>> {
        let Some(mut child) = self.start(arguments, sides)? else {
            return Ok(None);
        };
        let heard = match listen(&mut child) {
            Ok(heard) => heard,
            Err(error) => {
                end_group(&mut child);
                orphans::end(self.destination_id)?;
                super::said(self.context, &error.message);
                return Ok(None);
            }
        };
        let mut waiting = Waiting::default();
        let ended = self.watch(&mut child, &heard, &mut waiting, sides, adopter, tally);
        ended.map(Some).or_else(|error| {
            for one in heard.try_iter() {
                if let Heard::Line(line) = one
                    && let Said::Copied(path) = output::said(&line)
                {
                    waiting.add(path.into_owned());
                }
            }
            // Who is blocked on a full pipe does not hear that it is to end.
            drop(heard);
            if !matches!(child.try_wait(), Ok(Some(_))) {
                end_group(&mut child);
            }
            orphans::end(self.destination_id)?;
            // What is finished need not be copied again, as far as there is time to look at it.
            let until = Instant::now() + LAST_WORDS;
            let mut tick = || {
                let over = Instant::now() >= until;
                if over { Err(error.clone()) } else { Ok(()) }
            };
            while let Some(path) = waiting.any() {
                let taken = tick().and_then(|()| adopter.take(sides, &path, &mut tick));
                if taken.is_err() {
                    break;
                }
            }
            Err(error)
        })
    }

    fn start(&self, arguments: &[OsString], sides: &Sides) -> Result<Option<Child>> {
        let program = &self.rsync.program;
        let source = sides.source.as_fd().try_clone_to_owned();
        let source = source.map_err(|error| Error::io("open", b"the source", error))?;
        let folder = sides.new.proc_path(".".as_ref());
        let mut command = Command::new(program);
        environment(&mut command);
        command
            .env(orphans::MARK, self.destination_id)
            .args(arguments)
            .current_dir(OsString::from_vec(folder))
            .stdin(Stdio::from(source))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        tie::to_parent(&mut command);
        match command.spawn() {
            Ok(child) => Ok(Some(child)),
            Err(error) if for_now(&error) => {
                let because = format!("{program} cannot be started: {}", reason(&error));
                super::said(self.context, &because);
                Ok(None)
            }
            Err(error) => {
                Err(
                    Error::failed(format!("{program} cannot be run: {}", reason(&error))).hint(
                        "install rsync, or set local.useRsync to false: the built-in engine makes \
                         the same snapshots",
                    ),
                )
            }
        }
    }

    fn watch(
        &self,
        child: &mut Child,
        heard: &Receiver<Heard>,
        waiting: &mut Waiting,
        sides: &mut Sides,
        adopter: &mut Adopter<'_>,
        tally: &mut Tally,
    ) -> Result<Ended> {
        let mut faults = Vec::new();
        let mut last_look = Instant::now();
        let mut status = None;
        let mut silence = Silence::new(child.id());
        let mut hung = None;
        loop {
            let said = heard.recv_timeout(LOOK);
            if said.is_ok() {
                silence.broken();
            }
            match said {
                Ok(Heard::Line(line)) => match output::said(&line) {
                    Said::Copied(path) => {
                        tally.entries += 1;
                        waiting.add(path.into_owned());
                    }
                    Said::Bytes(bytes) => tally.bytes = bytes,
                    Said::Other => {}
                },
                Ok(Heard::Fault(line)) => {
                    if faults.len() < SHOWN_FAULTS {
                        self.context.observer.event(Event::ScriptLine {
                            step: "snapshot",
                            line: &escape::display(&line),
                        });
                    }
                    if faults.len() < MAX_FAULTS {
                        faults.push(line);
                    }
                }
                // Nothing more comes, even if something that rsync started holds the outputs open.
                Err(_) if status.is_some() => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
            if last_look.elapsed() >= LOOK {
                last_look = Instant::now();
                self.look(tally)?;
                if status.is_none() {
                    status = child
                        .try_wait()
                        .map_err(|error| Error::io("wait for", b"rsync", error))?;
                    if status.is_none() && silence.is_for_ever() {
                        hung = Some(silence.length());
                        end_group(child);
                        orphans::end(self.destination_id)?;
                        status = child
                            .try_wait()
                            .map_err(|error| Error::io("wait for", b"rsync", error))?;
                    }
                }
                adopter.checkpoint_now_and_then()?;
            }
            while let Some((path, tries)) = waiting.ripe() {
                let mut tick = || self.tick(&mut last_look, tally);
                if adopter.take(sides, &path, &mut tick)? == Taken::NotYet {
                    waiting.again(path, tries);
                }
            }
        }
        while let Some(path) = waiting.any() {
            let mut tick = || self.tick(&mut last_look, tally);
            tick()?;
            adopter.take(sides, &path, &mut tick)?;
        }
        tally.bytes_before += std::mem::take(&mut tally.bytes);
        self.report(tally);
        let status = status.ok_or_else(|| Error::failed("rsync was lost sight of"))?;
        Ok(Ended {
            code: status.code(),
            how: how(status),
            faults,
            into: sides.new.proc_name(".".as_ref()).unwrap_or_default(),
            hung,
        })
    }

    /// [`Self::look`] from time to time.
    fn tick(&self, last: &mut Instant, tally: &Tally) -> Result<()> {
        if last.elapsed() < LOOK {
            return Ok(());
        }
        *last = Instant::now();
        self.look(tally)
    }

    /// Whether to go on: no one asks to stop, and the disk has room.
    fn look(&self, tally: &Tally) -> Result<()> {
        self.context.stop.check()?;
        let limit = self.step.min_free_bytes;
        let free = free_bytes(&self.store.root)
            .map_err(|error| self.store.io("look at", "the free space", error))?;
        if free < limit {
            return Err(too_little_space(self.store, free, limit));
        }
        self.report(tally);
        Ok(())
    }

    fn report(&self, tally: &Tally) {
        self.context.observer.event(Event::Progress(Progress {
            phase: Phase::Rsync,
            entries: tally.entries,
            entries_total: tally.files,
            bytes: tally.bytes_before + tally.bytes,
            bytes_total: self.step.expected.new_bytes,
        }));
    }
}

/// Whether a program cannot be started because of what the system has too few of just now.
fn for_now(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::AGAIN | Errno::NOMEM))
}

/// Both outputs, line by line; a carriage return ends a line as well.
fn listen(child: &mut Child) -> Result<Receiver<Heard>> {
    let (sender, receiver) = sync_channel(WAITING);
    if let Some(output) = child.stdout.take() {
        read_lines(output, sender.clone(), Heard::Line)?;
    }
    if let Some(output) = child.stderr.take() {
        read_lines(output, sender, Heard::Fault)?;
    }
    Ok(receiver)
}

fn read_lines(
    output: impl Read + Send + 'static,
    sender: SyncSender<Heard>,
    heard: fn(Vec<u8>) -> Heard,
) -> Result<()> {
    threads::start("rsync-output", move || {
        let mut output = BufReader::with_capacity(64 << 10, output);
        let mut line = Vec::new();
        while let Ok(some) = output.fill_buf() {
            if some.is_empty() {
                break;
            }
            let end = some.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.unwrap_or(some.len());
            let room = MAX_LINE.saturating_sub(line.len()).min(length);
            line.extend_from_slice(&some[..room]);
            output.consume(length + usize::from(end.is_some()));
            if end.is_some()
                && !line.is_empty()
                && sender.send(heard(std::mem::take(&mut line))).is_err()
            {
                return;
            }
        }
        if !line.is_empty() {
            let _ = sender.send(heard(line));
        }
    })
    .map(drop)
}

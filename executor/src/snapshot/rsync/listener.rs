//! What is done while rsync runs: its lines are taken, what it finished is taken over, and whether
//! there is room is looked at.

use std::{
    collections::VecDeque,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use schema::{StoredPath, StoredPathBuf, escape, plan::SnapshotStep};

use super::{
    adopter::Adopter,
    output::{self, OutputEvent},
    reader::{Looked, Reader},
    readers::{Readers, Told},
};
use crate::{
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    process::{Listener, OutputLine, Stream},
    snapshot::limits::{free_bytes, too_little_space},
    store::Store,
};

/// How often space and the request to stop are looked at while a file is read.
const LOOK: Duration = Duration::from_millis(50);
/// How long after rsync tells of a file it is looked for: the telling side is ahead of the writing.
const RIPE: Duration = Duration::from_millis(60);
/// How often it is looked for while rsync runs.
const TRIES: u32 = 20;
/// How long a run that is to end may still take over what was copied.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Faults that are kept; more say nothing new.
const MAX_FAULTS: usize = 2000;
/// Faults that are shown as they come: the report lists them all.
const SHOWN_FAULTS: usize = 20;

/// Bytes more than were to be copied from which on rsync is watched as if it were silent: files grow, and
/// one that got terabytes of holes says that it is copied for hours.
const MORE: u64 = 1 << 30;
/// Bytes more than were to be copied that show that it will not come to an end soon: what it once took for
/// the length of a file it sends, whatever has become of the file.
const FAR_MORE: u64 = 4 << 30;

/// How far all calls of one step are.
#[derive(Default)]
pub(super) struct Tally {
    /// Files that are to be copied.
    pub(super) files: u64,
    /// Their bytes, as the survey found them.
    pub(super) expected_bytes: u64,
    entries: u64,
    bytes_before: u64,
    bytes: u64,
}

impl Tally {
    /// Bytes that were copied.
    fn copied(&self) -> u64 {
        self.bytes_before.saturating_add(self.bytes)
    }

    /// Bytes that were copied beyond what was to be.
    fn more_than_expected(&self) -> u64 {
        self.copied().saturating_sub(self.expected_bytes)
    }
}

/// Files that rsync told of and that are not dealt with.
#[derive(Default)]
struct WaitingFiles {
    fresh: VecDeque<(Instant, StoredPathBuf, u32)>,
    /// Looked for in vain: again at the end.
    late: Vec<StoredPathBuf>,
}

impl WaitingFiles {
    fn add(&mut self, path: StoredPathBuf) {
        self.fresh.push_back((Instant::now(), path, 0));
    }

    fn again(&mut self, path: StoredPathBuf, tries: u32) {
        if tries < TRIES {
            self.fresh.push_back((Instant::now(), path, tries + 1));
        } else {
            self.late.push(path);
        }
    }

    /// One that rsync should have finished by now.
    fn ripe(&mut self) -> Option<Told> {
        let (since, ..) = self.fresh.front()?;
        if since.elapsed() < RIPE {
            return None;
        }
        self.fresh.pop_front().map(|(_, path, tries)| (path, tries))
    }

    fn any(&mut self) -> Option<StoredPathBuf> {
        let next = self.fresh.pop_front().map(|(_, path, _)| path);
        next.or_else(|| self.late.pop())
    }
}

/// Tells why rsync does not do all of it.
pub(super) fn say_left_to_engine(context: Context<'_>, because: &str) {
    context.observer.event(Event::ScriptLine {
        step: "snapshot",
        line: &format!("{because}; the built-in engine copies what is missing"),
    });
}

/// Listens to one run of rsync.
pub(super) struct RsyncListener<'a, 's> {
    store: &'a Store,
    step: &'a SnapshotStep,
    context: Context<'a>,
    /// What there is to read is read by these; else by this one.
    readers: Option<Readers<'a>>,
    reader: Reader<'a>,
    adopter: &'a mut Adopter<'s>,
    tally: &'a mut Tally,
    waiting: WaitingFiles,
    last_look: Instant,
    /// It copies far more than there was.
    is_endless: bool,
    /// What it wrote to the standard error.
    pub(super) faults: Vec<Vec<u8>>,
}

impl<'a, 's> RsyncListener<'a, 's> {
    pub(super) fn new(
        store: &'a Store,
        step: &'a SnapshotStep,
        context: Context<'a>,
        (readers, reader): (Option<Readers<'a>>, Reader<'a>),
        adopter: &'a mut Adopter<'s>,
        tally: &'a mut Tally,
    ) -> Self {
        Self {
            store,
            step,
            context,
            readers,
            reader,
            adopter,
            tally,
            waiting: WaitingFiles::default(),
            last_look: Instant::now(),
            is_endless: false,
            faults: Vec::new(),
        }
    }

    /// Remembers a file that rsync tells of, which it may finish yet.
    pub(super) fn hear_copied(&mut self, line: &OutputLine) {
        if line.stream == Stream::Stdout
            && let OutputEvent::Copied(path) = output::parse_output(&line.bytes)
        {
            self.waiting.add(path.into_owned().into());
        }
    }

    /// Takes a line of its output; gives whether it shows that rsync gets on.
    fn hear_output(&mut self, line: &[u8]) -> bool {
        match output::parse_output(line) {
            OutputEvent::Copied(path) => {
                let at_hand = self.reader.path_of(&path);
                self.context.observer.at_hand(&at_hand);
                self.tally.entries += 1;
                self.waiting.add(path.into_owned().into());
            }
            OutputEvent::Bytes(bytes) => {
                self.tally.bytes = bytes;
                return self.hear_more(self.tally.more_than_expected());
            }
            OutputEvent::Grown(bytes) => return self.hear_more(bytes),
            OutputEvent::Other => {}
        }
        true
    }

    /// Takes how many bytes more it copies than it was to.
    fn hear_more(&mut self, more: u64) -> bool {
        self.is_endless = more > FAR_MORE;
        more <= MORE
    }

    fn hear_fault(&mut self, line: Vec<u8>) {
        if self.faults.len() < SHOWN_FAULTS {
            self.context.observer.event(Event::ScriptLine {
                step: "snapshot",
                line: &escape::display(&line),
            });
        }
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(line);
        }
    }

    /// Takes over what is left once rsync has ended.
    ///
    /// # Errors
    /// An interruption, too little space, or a log that cannot be written.
    pub(super) fn take_rest(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        if let Some(mut readers) = self.readers.take() {
            self.hand_over_all(&mut readers);
            loop {
                match readers.done().recv_timeout(LOOK) {
                    Ok(read) => {
                        for (file, looked) in read {
                            match looked {
                                Looked::Read(read) => self.adopter.take(read)?,
                                // It may have been looked for before rsync had ended.
                                Looked::NotYet => rest.push(file.0),
                                Looked::Not => {}
                            }
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                self.check_now_and_then()?;
            }
        }
        while let Some(path) = rest.pop().or_else(|| self.waiting.any()) {
            self.check_now_and_then()?;
            if let Looked::Read(read) = self.read(&path)? {
                self.adopter.take(read)?;
            }
        }
        self.tally.bytes_before += std::mem::take(&mut self.tally.bytes);
        report_progress(self.context, self.step, self.tally);
        Ok(())
    }

    /// Takes over what is left of a run that ends with this error, as far as there is time: what is
    /// finished need not be copied again.
    pub(super) fn take_last(&mut self, error: &Error) {
        let until = Instant::now() + LAST_WORDS;
        if let Some(mut readers) = self.readers.take() {
            self.hand_over_all(&mut readers);
            let left = || until.saturating_duration_since(Instant::now());
            while let Ok(read) = readers.done().recv_timeout(left()) {
                for (_, looked) in read {
                    if let Looked::Read(read) = looked
                        && self.adopter.take(read).is_err()
                    {
                        return;
                    }
                }
            }
            return;
        }
        let mut tick = || {
            let over = Instant::now() >= until;
            if over { Err(error.clone()) } else { Ok(()) }
        };
        while let Some(path) = self.waiting.any() {
            let looked = tick().and_then(|()| self.reader.read(&path, &mut tick));
            let taken = match looked {
                Ok(Looked::Read(read)) => self.adopter.take(read),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            if taken.is_err() {
                break;
            }
        }
    }

    /// Hands over all that waits, which is the last.
    fn hand_over_all(&mut self, readers: &mut Readers<'_>) {
        while let Some(path) = self.waiting.any() {
            readers.hand_over((path, 0));
        }
        readers.close();
    }

    /// Reads a file on this thread.
    fn read(&mut self, path: &StoredPath) -> Result<Looked> {
        let (store, step, context) = (self.store, self.step, self.context);
        let (tally, last_look) = (&*self.tally, &mut self.last_look);
        let mut tick = || {
            if last_look.elapsed() < LOOK {
                return Ok(());
            }
            *last_look = Instant::now();
            check_stop_and_space(store, step, context, tally)
        };
        self.reader.read(path, &mut tick)
    }

    /// Takes what was found out about a file while rsync runs.
    fn take(&mut self, (path, tries): Told, looked: Looked) -> Result<()> {
        match looked {
            Looked::Read(read) => self.adopter.take(read),
            Looked::NotYet => {
                self.waiting.again(path, tries);
                Ok(())
            }
            Looked::Not => Ok(()),
        }
    }

    /// Has what is ripe read by others, and takes what they have read.
    fn hand_over_and_take(&mut self) -> Result<()> {
        let Some(readers) = &mut self.readers else {
            return Ok(());
        };
        while let Some(file) = self.waiting.ripe() {
            readers.hand_over(file);
        }
        readers.send();
        let done: Vec<_> = readers.done().try_iter().flatten().collect();
        done.into_iter()
            .try_for_each(|(file, looked)| self.take(file, looked))
    }

    fn check_now_and_then(&mut self) -> Result<()> {
        if self.last_look.elapsed() < LOOK {
            return Ok(());
        }
        self.last_look = Instant::now();
        check_stop_and_space(self.store, self.step, self.context, self.tally)
    }
}

impl Listener for RsyncListener<'_, '_> {
    fn line(&mut self, line: OutputLine) -> Result<bool> {
        // Between a return and a newline nothing is said.
        if !line.bytes.is_empty() {
            match line.stream {
                Stream::Stdout => return Ok(self.hear_output(&line.bytes)),
                Stream::Stderr => self.hear_fault(line.bytes),
            }
        }
        Ok(true)
    }

    fn gives_up(&self) -> bool {
        self.is_endless
    }

    fn tick(&mut self) -> Result<()> {
        self.check_now_and_then()?;
        self.adopter.checkpoint_now_and_then(self.tally.copied())?;
        self.hand_over_and_take()?;
        while self.readers.is_none()
            && let Some(file) = self.waiting.ripe()
        {
            let looked = self.read(&file.0)?;
            self.take(file, looked)?;
        }
        Ok(())
    }
}

/// Whether to go on: no one asks to stop, and the disk has room.
fn check_stop_and_space(
    store: &Store,
    step: &SnapshotStep,
    context: Context<'_>,
    tally: &Tally,
) -> Result<()> {
    context.stop.check()?;
    let limit = step.min_free_bytes;
    let free =
        free_bytes(&store.root).map_err(|error| store.io("look at", "the free space", error))?;
    if free < limit {
        return Err(too_little_space(store, free, limit));
    }
    report_progress(context, step, tally);
    Ok(())
}

fn report_progress(context: Context<'_>, step: &SnapshotStep, tally: &Tally) {
    context.observer.event(Event::Progress(Progress {
        phase: Phase::Rsync,
        entries: tally.entries,
        entries_total: tally.files,
        bytes: tally.bytes_before + tally.bytes,
        bytes_total: step.expected.new_bytes,
    }));
}

//! Several readers of what rsync copies, on threads that give way to rsync: it is what all wait for, and they
//! use what it leaves of the processors.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::Scope,
};

use rustix::process::{getpriority_process, setpriority_process};
use schema::StoredPathBuf;

use super::reader::{Looked, Reader, Sides};
use crate::{error::Error, threads::start_scoped_thread, worker_pool::JobQueue};

/// Readers at most: what they read is in memory, and where it is not, one disk has it.
const MOST: usize = 2;
/// How much more they give way than rsync, as nice(1) counts. Not so much that whoever else is busy on
/// the machine keeps them from their work.
const NICER: i32 = 5;
/// Files that are handed over together.
const FILES: usize = 64;

/// A file that rsync told of, and how often it was looked for in vain.
pub(super) type Told = (StoredPathBuf, u32);

/// What readers share with who waits for them.
pub(super) struct Shared<'a> {
    sides: &'a Sides,
    jobs: JobQueue<Vec<Told>>,
    /// What is being read need not be.
    is_over: AtomicBool,
}

/// The readers of one call.
pub(super) struct Readers<'s> {
    is_over: &'s AtomicBool,
    /// None once there is no more to read.
    jobs: Option<Sender<Vec<Told>>>,
    next: Vec<Told>,
    done: Receiver<Vec<(Told, Looked)>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(sides: &'a Sides) -> (Sender<Vec<Told>>, Self) {
        let (sender, jobs) = JobQueue::unbounded();
        let shared = Self {
            sides,
            jobs,
            is_over: AtomicBool::new(false),
        };
        (sender, shared)
    }

    /// Reads until there is nothing more to read.
    fn read_all(&self, done: &Sender<Vec<(Told, Looked)>>) {
        // One that may not give way works all the same.
        let _ = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER));
        let mut reader = Reader::new(self.sides);
        let mut tick = || match self.is_over.load(Ordering::Relaxed) {
            true => Err(Error::failed("nobody waits for it any more")),
            false => Ok(()),
        };
        while let Some(files) = self.jobs.next_job() {
            let mut read = Vec::with_capacity(files.len());
            for file in files {
                let looked = tick().and_then(|()| reader.read(&file.0, &mut tick));
                read.push((file, looked.unwrap_or(Looked::Not)));
            }
            if done.send(read).is_err() {
                return;
            }
        }
    }
}

impl<'s> Readers<'s> {
    /// Starts as many as there are to be, at most [`MOST`]; none where the work is to be done by one thread,
    /// or none can be started.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        shared: &'scope Shared<'_>,
        jobs: Sender<Vec<Told>>,
        threads: usize,
    ) -> Option<Self>
    where
        'scope: 's,
    {
        let (to_caller, done) = channel();
        let wanted = if threads > 1 { threads.min(MOST) } else { 0 };
        let mut started = 0;
        for _ in 0..wanted {
            let to_caller = to_caller.clone();
            let reader = start_scoped_thread(scope, "reader", move || shared.read_all(&to_caller));
            started += usize::from(reader.is_ok());
        }
        (started > 0).then_some(Self {
            is_over: &shared.is_over,
            jobs: Some(jobs),
            next: Vec::new(),
            done,
        })
    }

    /// Hands a file over, with others at a time.
    pub(super) fn hand_over(&mut self, file: Told) {
        self.next.push(file);
        if self.next.len() >= FILES {
            self.send();
        }
    }

    /// Sends what was handed over.
    pub(super) fn send(&mut self) {
        let next = std::mem::take(&mut self.next);
        if let Some(jobs) = self.jobs.as_ref().filter(|_| !next.is_empty()) {
            let _ = jobs.send(next);
        }
    }

    /// There is nothing more to read.
    pub(super) fn close(&mut self) {
        self.send();
        self.jobs = None;
    }

    /// What was read; after [`Self::close`] it ends with the last of them.
    pub(super) fn done(&self) -> &Receiver<Vec<(Told, Looked)>> {
        &self.done
    }
}

impl Drop for Readers<'_> {
    /// Whatever they read is of no use any more.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

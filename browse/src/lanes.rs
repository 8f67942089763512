//! Threads that ask the source, so that keys never wait for a disk or a network.
//!
//! A thread that hangs in a call is left behind: nobody waits for it, also at the end.

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _, pipe},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::Builder,
    time::{Duration, Instant},
};

use crate::{
    data::{Cancel, Source},
    request::{Answer, Lane, Request},
};

/// What a thread is to do next.
#[derive(Default)]
struct Mailbox {
    next: Mutex<Next>,
    changed: Condvar,
}

#[derive(Default)]
struct Next {
    request: Option<Request>,
    /// Gives up what is under way.
    cancel: Cancel,
    /// Since when the thread has something to do that was not answered.
    since: Option<Instant>,
    /// Nobody asks any more.
    is_over: bool,
}

impl Mailbox {
    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread for each lane.
pub(crate) struct Lanes {
    mailboxes: Vec<(Lane, Arc<Mailbox>)>,
    answers: Receiver<Answer>,
    /// Has something to read when there is an answer.
    woken: PipeReader,
}

impl Lanes {
    /// Starts the threads.
    ///
    /// # Errors
    /// That the system lets none start.
    pub(crate) fn start(source: &Arc<dyn Source>) -> io::Result<Self> {
        let (tell, answers) = channel();
        let (woken, wake) = pipe()?;
        let mut mailboxes = Vec::new();
        for lane in Lane::ALL {
            let mailbox = Arc::new(Mailbox::default());
            let (source, own) = (Arc::clone(source), Arc::clone(&mailbox));
            let (tell, wake) = (tell.clone(), wake.try_clone()?);
            Builder::new()
                .name(lane.name().to_owned())
                .spawn(move || serve(&own, &*source, &tell, &wake))?;
            mailboxes.push((lane, mailbox));
        }
        Ok(Self {
            mailboxes,
            answers,
            woken,
        })
    }

    /// Asks something, in the place of what was asked before on the same lane.
    pub(crate) fn ask(&self, request: Request) {
        let lane = request.lane();
        let found = self.mailboxes.iter().find(|(own, _)| *own == lane);
        let Some((_, mailbox)) = found else {
            return;
        };
        let mut next = mailbox.next();
        next.cancel.ask();
        next.request = Some(request);
        next.since.get_or_insert_with(Instant::now);
        mailbox.changed.notify_one();
    }

    /// For how long an answer has been waited for that does not take its time by itself.
    pub(crate) fn longest_wait(&self) -> Option<Duration> {
        let quick = self
            .mailboxes
            .iter()
            .filter(|(lane, _)| *lane != Lane::Work);
        let waits = quick.filter_map(|(_, mailbox)| mailbox.next().since);
        waits.min().map(|since| since.elapsed())
    }

    /// What can be read when there is an answer.
    pub(crate) fn woken(&self) -> &PipeReader {
        &self.woken
    }

    /// What was answered, after [`Self::woken`] could be read.
    pub(crate) fn answers(&self) -> impl Iterator<Item = Answer> {
        // A byte for each of them.
        let _ = (&self.woken).read(&mut [0; 512]);
        self.answers.try_iter()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for (_, mailbox) in &self.mailboxes {
            let mut next = mailbox.next();
            next.cancel.ask();
            next.is_over = true;
            mailbox.changed.notify_one();
        }
    }
}

/// A thread's work.
fn serve(mailbox: &Mailbox, source: &dyn Source, tell: &Sender<Answer>, mut wake: &PipeWriter) {
    loop {
        let mut next = mailbox.next();
        let (request, cancel) = loop {
            if next.is_over {
                return;
            }
            if let Some(request) = next.request.take() {
                next.cancel = Cancel::default();
                next.since = Some(Instant::now());
                break (request, next.cancel.clone());
            }
            next.since = None;
            next = mailbox
                .changed
                .wait(next)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(next);
        request.serve(source, &cancel, &mut |answer| {
            tell.send(answer).is_ok() && wake.write_all(&[1]).is_ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        thread::sleep,
        time::{Duration, Instant},
    };

    use schema::{StoredPath, StoredPathBuf};

    use super::*;
    use crate::{Folder, FoundPath, Overview, Read, Versions};

    /// A source of whose folders all but one are only given up, never read; everything else is there at once.
    struct Silent;

    /// The snapshot whose folders are there.
    const THERE: &str = "there";

    impl Source for Silent {
        fn overview(&self) -> Read<Overview> {
            Ok(Overview::default())
        }

        fn folder(&self, snapshot: &str, _: &StoredPath, cancel: &Cancel) -> Read<Folder> {
            while snapshot != THERE && !cancel.is_asked() {
                sleep(Duration::from_millis(1));
            }
            Ok(Folder::default())
        }

        fn versions(&self, _: &StoredPath, _: &Cancel) -> Read<Versions> {
            Ok(Versions::default())
        }

        fn find(
            &self,
            _: &str,
            _: &Cancel,
            _: &mut dyn FnMut(FoundPath) -> bool,
        ) -> Read<Option<String>> {
            Ok(None)
        }

        fn changes(&self, _: &str, _: &str, _: &StoredPath, _: &Cancel) -> Read<Vec<String>> {
            Ok(Vec::new())
        }

        fn content(&self, _: &str, _: &StoredPath, _: u64, _: &Cancel) -> Read<Option<Vec<u8>>> {
            Ok(None)
        }

        fn time(&self, _: i64) -> String {
            String::new()
        }
    }

    /// The next answer, for which somebody waits as the screen does.
    fn next(lanes: &Lanes) -> Answer {
        let began = Instant::now();
        loop {
            // What is not there is not waited for.
            if let Some(answer) = lanes.answers.try_iter().next() {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no answer");
            sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_never_answers_holds_up_nothing_else_and_is_given_up_for_what_is_asked_next() {
        let source: Arc<dyn Source> = Arc::new(Silent);
        let lanes = Lanes::start(&source).unwrap();
        let path = StoredPathBuf::default();
        let folder = |snapshot: &str| Request::Folder {
            snapshot: snapshot.to_owned(),
            path: path.clone(),
        };
        lanes.ask(folder("one"));
        lanes.ask(Request::Versions { path: path.clone() });
        assert!(matches!(next(&lanes), Answer::Versions { .. }));
        // Who looks at another folder meanwhile still hears which snapshots there are.
        lanes.ask(Request::Overview);
        lanes.ask(folder("two"));
        assert!(matches!(next(&lanes), Answer::Overview(_)));
        // Of these folders neither is answered: both were given up.
        lanes.ask(folder(THERE));
        assert!(matches!(next(&lanes), Answer::Folder { snapshot, .. } if snapshot == THERE));
        // Whoever waits for answers was woken for each.
        (&lanes.woken).read_exact(&mut [0; 3]).unwrap();
    }

    #[test]
    fn what_is_not_answered_is_waited_for_until_another_one_is_and_the_threads_end_with_it() {
        let source: Arc<dyn Source> = Arc::new(Silent);
        let lanes = Lanes::start(&source).unwrap();
        let folder = |snapshot: &str| Request::Folder {
            snapshot: snapshot.to_owned(),
            path: StoredPathBuf::default(),
        };
        let until = |is_so: &dyn Fn() -> bool| {
            let began = Instant::now();
            while !is_so() {
                assert!(began.elapsed() < Duration::from_secs(30), "never");
                sleep(Duration::from_millis(1));
            }
        };
        assert_eq!(lanes.longest_wait(), None);
        lanes.ask(folder("one"));
        until(&|| lanes.longest_wait() > Some(Duration::from_millis(20)));
        lanes.ask(folder(THERE));
        next(&lanes);
        until(&|| lanes.longest_wait().is_none());
        lanes.ask(folder("two"));
        drop(lanes);
        until(&|| Arc::strong_count(&source) == 1);
    }
}

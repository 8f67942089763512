//! The worker pool: jobs are done on several threads, and their results are taken in order.
//!
//! Owns the threads and the order; what a job is, is the caller's. With one thread everything
//! happens on the caller's, one job after the other, so that a run can be followed call by call. Where
//! threads wait for somebody far away more of them join, as the [`Width`] says.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, PoisonError,
        mpsc::{
            Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError, channel,
            sync_channel,
        },
    },
    thread::Scope,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    error::{Error, Result},
    threads::start_scoped_thread,
    width::{Spent, Width},
};

/// How often a caller that waits for a long job is given a turn.
const IDLE: Duration = Duration::from_millis(100);

/// Jobs that may be ahead of the one whose result is taken next, for each thread.
const AHEAD: usize = 8;
/// The same where many threads have small jobs.
const AHEAD_FAR: usize = 4;

/// The caller's side of the work: hands out the jobs, and takes their results.
pub(crate) trait Coordinator {
    /// A piece of work.
    type Job: Send;
    /// What became of it.
    type Output: Send;

    /// The next job; none at the end, which is final only once all results were taken.
    ///
    /// # Errors
    /// What ends the work.
    fn next_job(&mut self) -> Result<Option<Self::Job>>;

    /// Takes the result of a job, in the order of the jobs.
    ///
    /// # Errors
    /// What ends the work.
    fn take_output(&mut self, done: Self::Output) -> Result<()>;

    /// Called while a long job is waited for.
    ///
    /// # Errors
    /// What ends the work.
    fn while_waiting(&mut self) -> Result<()>;

    /// The work has ended with an error: jobs under way should end soon.
    fn on_failure(&mut self);

    /// What became of a job whose turn had not come when the work ended with an error.
    fn take_late_output(&mut self, _done: Self::Output) {}
}

/// Jobs that wait for one of several workers.
pub(crate) struct JobQueue<J>(Mutex<Receiver<J>>);

impl<J> JobQueue<J> {
    /// A queue in which so many jobs may wait.
    pub(crate) fn bounded(jobs: usize) -> (SyncSender<J>, Self) {
        let (sender, receiver) = sync_channel(jobs);
        (sender, Self(Mutex::new(receiver)))
    }

    /// A queue in which any number of jobs may wait.
    pub(crate) fn unbounded() -> (Sender<J>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(Mutex::new(receiver)))
    }

    /// The next job, once there is one; none when there will be no more.
    pub(crate) fn next_job(&self) -> Option<J> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.recv().ok()
    }
}

/// Does all jobs of a coordinator on so many threads.
///
/// # Errors
/// The first that the coordinator says. All jobs have ended when this returns.
pub(crate) fn run_in_order<C: Coordinator>(
    width: Width,
    coordinator: &mut C,
    do_job: &(impl Fn(C::Job) -> C::Output + Sync),
) -> Result<()> {
    if width.most() <= 1 {
        return run_alone(coordinator, do_job);
    }
    let (to_threads, jobs) = JobQueue::<(u64, C::Job)>::bounded(2 * width.most());
    let (from_threads, results) = channel();
    let mut waiting = BTreeMap::new();
    std::thread::scope(|scope| {
        let mut threads = Threads {
            scope,
            width,
            jobs: &jobs,
            do_job,
            from_threads: Some(from_threads),
            started: 0,
            spent: Spent::default(),
            measured: 0,
        };
        threads.start_up_to(width.threads());
        if threads.started == 0 {
            drop(threads);
            return run_alone(coordinator, do_job);
        }
        let result = hand_out_and_take(
            &mut threads,
            coordinator,
            &results,
            &to_threads,
            &mut waiting,
        );
        drop(threads);
        if result.is_err() {
            coordinator.on_failure();
        }
        drop(to_threads);
        if result.is_err() {
            let others = results.iter().filter_map(|answer| answer.done.ok());
            let waited = std::mem::take(&mut waiting).into_values();
            waited
                .chain(others)
                .for_each(|done| coordinator.take_late_output(done));
        }
        result
    })
}

/// The threads that work, and what they spent.
struct Threads<'scope, 'env, J, O, F> {
    scope: &'scope Scope<'scope, 'env>,
    width: Width,
    jobs: &'scope JobQueue<(u64, J)>,
    do_job: &'scope F,
    /// None once no more threads are to be had.
    from_threads: Option<Sender<Answer<O>>>,
    started: usize,
    /// What those that there are spent since the last of them joined.
    spent: Spent,
    /// Jobs that this is of.
    measured: usize,
}

impl<'scope, J: Send, O: Send + 'scope, F: Fn(J) -> O + Sync> Threads<'scope, '_, J, O, F> {
    /// Starts threads until there are so many; those that there are do the work.
    fn start_up_to(&mut self, threads: usize) {
        let (jobs, do_job) = (self.jobs, self.do_job);
        let is_measured = self.width.is_far();
        while self.started < threads
            && let Some(from_threads) = self.from_threads.clone()
        {
            let thread = start_scoped_thread(self.scope, "worker", move || {
                while let Some((number, next)) = jobs.next_job() {
                    let began = is_measured.then(|| (Instant::now(), own_work()));
                    let done = catch_unwind(AssertUnwindSafe(|| do_job(next)));
                    let spent = began.map(|(began, worked)| Spent {
                        passed: began.elapsed(),
                        worked: own_work().saturating_sub(worked),
                    });
                    let stop = done.is_err();
                    let answer = Answer {
                        number,
                        done,
                        spent: spent.unwrap_or_default(),
                    };
                    if from_threads.send(answer).is_err() || stop {
                        break;
                    }
                }
            });
            if thread.is_err() {
                self.from_threads = None;
                return;
            }
            self.started += 1;
        }
        if self.started >= self.width.most() {
            self.from_threads = None;
        }
    }

    /// Notes what a job took; once each thread had one, others may join.
    fn note(&mut self, spent: Spent) {
        if self.from_threads.is_none() {
            return;
        }
        self.spent.passed += spent.passed;
        self.spent.worked += spent.worked;
        self.measured += 1;
        if self.measured < self.started {
            return;
        }
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        let threads = self.width.after(self.spent, self.started, processors);
        (self.spent, self.measured) = (Spent::default(), 0);
        self.start_up_to(threads);
    }
}

/// How long a processor was at work for this thread.
fn own_work() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Does all jobs on the caller's thread.
fn run_alone<C: Coordinator>(
    coordinator: &mut C,
    do_job: &impl Fn(C::Job) -> C::Output,
) -> Result<()> {
    while let Some(next) = coordinator.next_job()? {
        coordinator.take_output(do_job(next))?;
    }
    Ok(())
}

/// What became of a job.
struct Answer<T> {
    number: u64,
    done: std::result::Result<T, Box<dyn Any + Send>>,
    spent: Spent,
}

/// Hands jobs out and takes results in order.
fn hand_out_and_take<'scope, C: Coordinator>(
    threads: &mut Threads<'scope, '_, C::Job, C::Output, impl Fn(C::Job) -> C::Output + Sync>,
    coordinator: &mut C,
    results: &Receiver<Answer<C::Output>>,
    to_threads: &SyncSender<(u64, C::Job)>,
    waiting: &mut BTreeMap<u64, C::Output>,
) -> Result<()>
where
    C::Output: 'scope,
{
    let lost = || Error::failed("a thread of this program ended early");
    let ahead = match threads.width.is_far() {
        true => AHEAD_FAR,
        false => AHEAD,
    };
    let (mut given, mut taken) = (0, 0);
    let mut next = coordinator.next_job()?;
    loop {
        while let Some(done) = waiting.remove(&taken) {
            taken += 1;
            coordinator.take_output(done)?;
        }
        // What was taken may have brought up more to do.
        if next.is_none() {
            next = coordinator.next_job()?;
        }
        if next.is_none() && given == taken {
            return Ok(());
        }
        let mut full = true;
        if given - taken < (ahead * threads.started) as u64
            && let Some(job) = next.take()
        {
            match to_threads.try_send((given, job)) {
                Ok(()) => {
                    given += 1;
                    next = coordinator.next_job()?;
                    full = false;
                }
                Err(TrySendError::Full((_, job))) => next = Some(job),
                Err(TrySendError::Disconnected(_)) => return Err(lost()),
            }
        }
        let answer = if full {
            match results.recv_timeout(IDLE) {
                Ok(answer) => Some(answer),
                Err(RecvTimeoutError::Timeout) => {
                    coordinator.while_waiting()?;
                    None
                }
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
            }
        } else {
            match results.try_recv() {
                Ok(answer) => Some(answer),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return Err(lost()),
            }
        };
        if let Some(answer) = answer {
            match answer.done {
                Ok(done) => {
                    waiting.insert(answer.number, done);
                    threads.note(answer.spent);
                }
                Err(panic) => {
                    coordinator.on_failure();
                    resume_unwind(panic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Numbers {
        next: u64,
        end: u64,
        taken: Vec<u64>,
        fails_at: u64,
        ended: bool,
        late: Vec<u64>,
    }

    impl Coordinator for Numbers {
        type Job = u64;
        type Output = u64;

        fn next_job(&mut self) -> Result<Option<u64>> {
            self.next += 1;
            Ok((self.next <= self.end).then_some(self.next))
        }

        fn take_output(&mut self, done: u64) -> Result<()> {
            if done == self.fails_at {
                return Err(Error::failed("enough"));
            }
            self.taken.push(done);
            Ok(())
        }

        fn while_waiting(&mut self) -> Result<()> {
            Ok(())
        }

        fn on_failure(&mut self) {
            self.ended = true;
        }

        fn take_late_output(&mut self, done: u64) {
            self.late.push(done);
        }
    }

    fn numbers(fails_at: u64) -> Numbers {
        Numbers {
            next: 0,
            end: 1000,
            taken: Vec::new(),
            fails_at,
            ended: false,
            late: Vec::new(),
        }
    }

    /// One, some, and those of a place far away, which others join.
    fn widths() -> [Width; 4] {
        let far = Width::for_distance(1, Duration::from_micros(100));
        [Width::fixed(1), Width::fixed(2), Width::fixed(7), far]
    }

    #[test]
    fn threads_that_only_wait_are_joined_by_others_and_never_by_more_than_there_may_be() {
        let width = Width::for_distance(1, Duration::from_micros(100));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut coordinator = numbers(u64::MAX);
        run_in_order(width, &mut coordinator, &|number| {
            let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(at_once, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            number
        })
        .unwrap();
        let most = most.into_inner();
        assert!(most > width.threads(), "{most}");
        assert!(most <= width.most(), "{most}");
        assert_eq!(coordinator.taken, (1..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn results_are_taken_in_the_order_of_the_jobs_however_many_threads_work() {
        for width in widths() {
            let mut coordinator = numbers(u64::MAX);
            run_in_order(width, &mut coordinator, &|number| {
                if number % 13 == 0 {
                    std::thread::sleep(Duration::from_micros(300));
                }
                number
            })
            .unwrap();
            assert_eq!(coordinator.taken, (1..=1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_work_and_is_what_comes_out() {
        for width in widths() {
            let mut coordinator = numbers(500);
            let error = run_in_order(width, &mut coordinator, &|number| number).unwrap_err();
            assert_eq!(error.message, "enough");
            assert_eq!(coordinator.taken.len(), 499);
            let is_alone = width.most() == 1;
            assert!(coordinator.ended || is_alone);
            // Nothing that was done and not taken is lost: all that was handed out, in fact.
            let late = u64::try_from(coordinator.late.len()).unwrap();
            coordinator.late.sort_unstable();
            assert_eq!(coordinator.late, (501..=500 + late).collect::<Vec<_>>());
            // The one that `next` gave last was not handed out any more.
            assert!(is_alone || late + 2 + 500 >= coordinator.next, "{late}");
        }
    }

    #[test]
    #[should_panic(expected = "seventh")]
    fn a_panic_in_a_job_is_one_of_the_caller() {
        let mut coordinator = numbers(u64::MAX);
        let _ = run_in_order(Width::fixed(2), &mut coordinator, &|number| {
            assert!(number != 7, "seventh");
            number
        });
    }
}

//! How many threads work on a file system: on a disk of this machine as many as the caller says, on one
//! that somebody far away answers for as many as its distance asks for.
//!
//! A thread that waits for an answer works on nothing. Over a network that is nearly all of its time, so
//! the number of processors says nothing: as many requests must be under way as keep a processor busy
//! between two answers. The first guess is one measured round trip; what threads then spend corrects it.
//! Pure: what was measured comes in, a number goes out.

use std::time::Duration;

/// Most threads: a server has no use for more requests at once, and each thread holds a buffer.
pub(crate) const MOST: usize = 64;
/// Fewest threads where answers come from far away.
const FAR: usize = 16;
/// Entries of a job there: at the end of the work nobody waits long for whoever got the last one.
const TOGETHER: usize = 4;
/// An answer that takes less is one of this machine's.
const NEAR: Duration = Duration::from_micros(100);
/// What is done between two answers: most of it is system calls.
const BETWEEN: Duration = Duration::from_micros(50);

/// How many threads work at first, and how many there may be in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width {
    threads: usize,
    most: usize,
    is_far: bool,
}

/// What threads spent, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Time that passed while they did their jobs.
    pub(crate) passed: Duration,
    /// How long a processor was at work for them meanwhile.
    pub(crate) worked: Duration,
}

impl Width {
    /// So many threads, whatever is measured.
    pub(crate) fn fixed(threads: usize) -> Self {
        let threads = threads.max(1);
        Self {
            threads,
            most: threads,
            is_far: false,
        }
    }

    /// As many as a distance asks for, but not fewer than these.
    pub(crate) fn for_distance(threads: usize, round_trip: Duration) -> Self {
        if round_trip < NEAR {
            return Self::fixed(threads);
        }
        let answers = round_trip.as_nanos() / BETWEEN.as_nanos();
        let wanted = usize::try_from(answers).unwrap_or(MOST);
        Self {
            threads: wanted.clamp(FAR, MOST).max(threads),
            most: MOST.max(threads),
            is_far: true,
        }
    }

    /// The one of two that asks for more threads.
    pub(crate) fn or_wider(self, other: Self) -> Self {
        match other.threads > self.threads {
            true => other,
            false => self,
        }
    }

    /// Threads to begin with.
    pub(crate) fn threads(self) -> usize {
        self.threads
    }

    /// Threads that there may be in the end.
    pub(crate) fn most(self) -> usize {
        self.most
    }

    /// Whether answers come from far away: then jobs are to be small, so that all have one.
    pub(crate) fn is_far(self) -> bool {
        self.is_far
    }

    /// Entries of a job, where `near` is right for a disk of this machine.
    pub(crate) fn entries(self, near: usize) -> usize {
        match self.is_far() {
            true => near.min(TOGETHER),
            false => near,
        }
    }

    /// How many threads there should be after `now` threads spent this much: as many as it takes for
    /// `processors` to be busy. At most twice as many as there are, and never fewer.
    pub(crate) fn after(self, spent: Spent, now: usize, processors: usize) -> usize {
        let worked = spent.worked.as_nanos().max(1);
        let wanted = spent.passed.as_nanos() * processors as u128 / worked;
        let wanted = usize::try_from(wanted).unwrap_or(self.most);
        wanted.min(2 * now).min(self.most).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    fn spent(passed: u32, worked: u32) -> Spent {
        Spent {
            passed: passed * MICROSECOND,
            worked: worked * MICROSECOND,
        }
    }

    #[test]
    fn a_near_file_system_gets_what_the_caller_says_and_never_more() {
        for width in [
            Width::fixed(3),
            Width::for_distance(3, 20 * MICROSECOND),
            Width::for_distance(3, Duration::ZERO),
            // As many as there are far away are no distance.
            Width::fixed(MOST),
        ] {
            let threads = width.threads();
            assert!(threads == 3 || threads == MOST);
            assert_eq!(width.most(), threads);
            assert!(!width.is_far());
            assert_eq!(width.entries(256), 256);
            assert_eq!(width.after(spent(1_000_000, 1), threads, 8), threads);
        }
        assert_eq!(Width::fixed(0).threads(), 1);
    }

    #[test]
    fn the_farther_the_more_threads_whatever_the_processors() {
        let at = |micros: u32| Width::for_distance(1, micros * MICROSECOND);
        assert_eq!(at(100).threads(), 16);
        assert_eq!(at(1000).threads(), 20);
        assert_eq!(at(2000).threads(), 40);
        assert_eq!(at(200_000).threads(), MOST);
        for micros in [100, 1000, 200_000] {
            assert!(at(micros).is_far());
            assert_eq!(at(micros).entries(256), 4);
            assert_eq!(at(micros).entries(3), 3);
            assert_eq!(at(micros).most(), MOST);
        }
        assert_eq!(at(1000).or_wider(at(2000)), at(2000));
        assert_eq!(at(2000).or_wider(Width::fixed(1)), at(2000));
        let many = Width::for_distance(100, Duration::from_secs(1));
        assert_eq!((many.threads(), many.most()), (100, 100));
    }

    #[test]
    fn threads_that_wait_get_company_until_the_processors_are_busy() {
        let width = Width::for_distance(2, 150 * MICROSECOND);
        // Each waits nine tenths of its time: ten for each of two processors.
        assert_eq!(width.after(spent(1000, 100), 16, 2), 20);
        // Never more than twice as many at once, nor more than there may be.
        assert_eq!(width.after(spent(100_000, 100), 16, 2), 32);
        assert_eq!(width.after(spent(100_000, 100), 60, 2), MOST);
        // Whoever works all the time needs none, and nobody is sent away.
        assert_eq!(width.after(spent(1000, 1000), 16, 2), 16);
        assert_eq!(width.after(Spent::default(), 16, 2), 16);
    }
}

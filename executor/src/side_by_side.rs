//! Several small pieces of work at once, each of which waits for somebody far away.
//!
//! Where there are no threads to be had, or one alone is asked for, they follow each other.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::threads::start_scoped_thread;

/// Does something with each of several things, with so many at once; what came of them is in their order.
pub(crate) fn with_each<T: Sync, R: Send>(
    things: &[T],
    at_once: usize,
    work: &(impl Fn(&T) -> R + Sync),
) -> Vec<R> {
    let threads = at_once.min(things.len());
    if threads <= 1 {
        return things.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let work_on = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else {
                return done;
            };
            done.push((at, work(thing)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others = (1..threads).map_while(|_| start_scoped_thread(scope, "beside", work_on).ok());
        let others: Vec<_> = others.collect();
        let mut done = work_on();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, one)| one).collect()
}

/// Does two things, at once or the second after the first.
pub(crate) fn both<A, B: Send>(
    at_once: bool,
    first: impl FnOnce() -> A,
    second: &(impl Fn() -> B + Sync),
) -> (A, B) {
    thread::scope(|scope| {
        let other = at_once.then(|| start_scoped_thread(scope, "beside", second).ok());
        let first = first();
        let second = match other.flatten() {
            Some(other) => other.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => second(),
        };
        (first, second)
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread::current};

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_things_and_each_is_done_once() {
        let things: Vec<usize> = (0..100).collect();
        let counted = AtomicUsize::new(0);
        for at_once in [0, 1, 7, 1000] {
            counted.store(0, Ordering::Relaxed);
            let done = with_each(&things, at_once, &|thing| {
                counted.fetch_add(1, Ordering::Relaxed);
                thing * 2
            });
            assert_eq!(done, (0..200).step_by(2).collect::<Vec<_>>());
            assert_eq!(counted.load(Ordering::Relaxed), 100);
        }
        assert!(with_each(&[] as &[u8], 7, &|thing| *thing).is_empty());
    }

    #[test]
    fn work_at_once_waits_for_none_of_the_others() {
        // Nobody gets past it alone.
        let barrier = Barrier::new(3);
        let met = with_each(&[0, 1, 2], 3, &|_| barrier.wait().is_leader());
        assert_eq!(met.into_iter().filter(|leads| *leads).count(), 1);
        let barrier = Barrier::new(2);
        let meet = || barrier.wait().is_leader();
        let (first, second) = both(true, meet, &meet);
        assert_ne!(first, second);
        let here = current().id();
        assert_eq!(
            both(false, || current().id(), &|| current().id()),
            (here, here)
        );
    }
}

//! Kills at system calls: which calls a run makes, and the same run killed at one of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::lab::{NOW, Ran, World, every_point};

/// Where a program is killed: at the nth call of a name.
pub(crate) struct Point {
    pub(crate) call: &'static str,
    pub(crate) nth: usize,
    count: usize,
}

/// The words of the run that is tried.
pub(crate) const APPLY: [&str; 3] = ["apply", "--now", NOW];

/// What an `ioctl` is asked for that changes something: between two of these a kill leaves the same.
const CHANGES: [&str; 5] = [
    "SNAP_CREATE",
    "SUBVOL_CREATE",
    "SUBVOL_SETFLAGS",
    "SNAP_DESTROY",
    "FICLONE",
];

impl World {
    /// Runs the program undisturbed and gives the points of a sweep over these calls: of each about as many
    /// as stand beside it, or every one where `KILLS` says so. The run must end with 0 and make each call.
    #[track_caller]
    pub(crate) fn points(&self, words: &[&str], calls: &[(&'static str, usize)]) -> Vec<Point> {
        let names: Vec<&str> = calls.iter().map(|(call, _)| *call).collect();
        let trace = format!("trace={}", names.join(","));
        self.trace_words(words, &["-e", &trace]).expect(0);
        let trace = self.trace();
        let mut points = Vec::new();
        for (call, most) in calls {
            let all = changing_calls(&trace, call);
            assert!(!all.is_empty(), "no {call} in a whole run");
            let step = match every_point() {
                true => 1,
                false => all.len().div_ceil(*most),
            };
            let count = all.last().copied().unwrap_or_default();
            let some = all.into_iter().step_by(step);
            points.extend(some.map(|nth| Point { call, nth, count }));
        }
        points
    }

    /// Runs the program and kills it at a point, which it may end before.
    pub(crate) fn kill_at_point(&self, words: &[&str], point: &Point) -> Ran {
        let Point { call, nth, count } = point;
        let done = self.kill_at_call(words, call, *nth);
        eprintln!("{call} {nth} of {count}: {:?} {:?}", done.code, done.signal);
        done
    }

    /// Runs the program and kills it at the nth call of a name.
    pub(crate) fn kill_at_call(&self, words: &[&str], call: &str, nth: usize) -> Ran {
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        self.trace_words(words, &["-e", &trace, "-e", &inject])
    }
}

/// Which of a thread's calls of this name change something. Calls are counted for each thread.
fn changing_calls(trace: &str, call: &str) -> BTreeSet<usize> {
    let begun = format!(" {call}(");
    let mut counts = BTreeMap::new();
    let mut changing = BTreeSet::new();
    for line in trace.lines().filter(|line| line.contains(&begun)) {
        let thread = line.split(' ').next().unwrap_or_default();
        let count = counts.entry(thread).or_insert(0);
        *count += 1;
        if call != "ioctl" || CHANGES.iter().any(|change| line.contains(change)) {
            changing.insert(*count);
        }
    }
    changing
}

//! SIGKILL at random instants, after each journal record and at each system call that matters.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    check::{all_lead_somewhere, all_whole, equal, fingerprint, finished, layout},
    lab::{ID, NOW, Random, World, is_missing, kills, with_history},
    sweep::APPLY,
};

/// A history, and what an undisturbed run makes of it.
pub(crate) struct Reference {
    pub(crate) world: World,
    pub(crate) layout: BTreeMap<String, String>,
    /// Old snapshots that stay.
    pub(crate) stay: Vec<String>,
    took: Duration,
}

/// Runs undisturbed once and brings everything back.
pub(crate) fn reference(with_big_file: bool) -> Reference {
    let world = with_history(with_big_file);
    let before = all_whole(&world.host());
    let began = Instant::now();
    world.apply(NOW).expect(0);
    let took = began.elapsed();
    let after = all_whole(&world.host());
    let stay: Vec<_> = before
        .iter()
        .filter(|name| after.contains(name))
        .cloned()
        .collect();
    // Otherwise this would try less than it says.
    assert_eq!((before.len(), stay.len()), (4, 2), "{before:?} {after:?}");
    assert!(after.contains(&format!("weekly/{ID}")), "{after:?}");
    equal(&world, &format!("weekly/{ID}"));
    let layout = layout(&world.host());
    world.bring_back();
    Reference {
        world,
        layout,
        stay,
        took,
    }
}

impl Reference {
    /// What must not change.
    pub(crate) fn old(&self) -> Vec<Vec<String>> {
        self.stay
            .iter()
            .map(|name| fingerprint(&self.world.host().join(name), &[]))
            .collect()
    }

    /// Lets the run end and checks everything.
    #[track_caller]
    pub(crate) fn ends_right(&self, unfinished: Option<PathBuf>, old: &[Vec<String>]) {
        all_lead_somewhere(&self.world.host());
        self.world.apply(NOW).expect(0);
        if let Some(run) = unfinished {
            let ended = run.join("report.json").exists();
            assert!(ended, "{} was not continued", run.display());
        }
        assert_eq!(self.world.unfinished(), None);
        assert_eq!(self.world.planned_runs().len(), 5, "runs");
        finished(&self.world, &self.layout);
        assert!(self.old() == old, "an old snapshot was changed");
    }
}

/// When to kill.
#[derive(Debug)]
enum When {
    After(Duration),
    Records(usize),
}

/// Starts a run and kills it; false if it ended before.
fn kill(world: &World, when: &When) -> bool {
    let mut child = world.start(NOW);
    match when {
        When::After(time) => std::thread::sleep(*time),
        When::Records(count) => {
            while child.try_wait().unwrap().is_none() && records(world) < *count {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.success() || status.code().is_none(),
        "ended by itself: {status}"
    );
    status.code().is_none()
}

/// Records in the journal of the unfinished run.
fn records(world: &World) -> usize {
    world.unfinished().map_or(0, |run| {
        let journal = fs::read(run.join("journal.jsonl")).unwrap_or_default();
        journal.iter().filter(|byte| **byte == b'\n').count()
    })
}

fn many_kills(reference: &Reference, count: usize, random: &mut Random) {
    let world = &reference.world;
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    let longest = u64::try_from(reference.took.as_micros()).unwrap();
    for number in 0..count {
        world.bring_back();
        let old = reference.old();
        let times = 1 + random.below(3);
        let mut unfinished = None;
        let mut tried = Vec::new();
        for time in 0..times {
            let when = if time == 0 && number % 2 == 0 {
                When::Records(usize::try_from(1 + random.below(9)).unwrap())
            } else {
                When::After(Duration::from_micros(random.below(longest)))
            };
            let killed = kill(world, &when);
            tried.push(when);
            if let (Some(before), Some(now)) = (&unfinished, world.unfinished()) {
                assert_eq!(*before, now, "another run was begun after {tried:?}");
            }
            if killed {
                let phase = match (world.unfinished(), records(world)) {
                    (None, _) => "no plan, or the end".to_owned(),
                    (Some(_), records) => format!("{records} records"),
                };
                *at.entry(phase).or_default() += 1;
            }
            unfinished = unfinished.or_else(|| world.unfinished());
            // The kill may also hit a program that has done everything and is about to exit.
            if !killed || world.unfinished().is_none() && world.planned_runs().len() == 5 {
                break;
            }
        }
        eprintln!("kill {number}: {tried:?}");
        if world.planned_runs().len() == 5 && world.unfinished().is_none() {
            // It had ended: nothing is left to continue.
            finished(world, &reference.layout);
            assert!(reference.old() == old, "an old snapshot was changed");
        } else {
            reference.ends_right(unfinished, &old);
        }
    }
    eprintln!("{count} runs, killed at {at:?}");
}

#[test]
fn a_run_that_was_killed_at_any_instant_is_continued_to_the_same_end() {
    let name = "a_run_that_was_killed_at_any_instant_is_continued_to_the_same_end";
    if is_missing(name, &["rsync", "setfattr"], false) {
        return;
    }
    let mut random = Random::from_environment(7);
    many_kills(&reference(false), kills() * 9 / 10, &mut random);
}

#[test]
fn a_run_that_was_killed_while_a_large_file_was_copied_is_continued() {
    let name = "a_run_that_was_killed_while_a_large_file_was_copied_is_continued";
    if is_missing(name, &["rsync", "setfattr"], false) {
        return;
    }
    let reference = reference(true);
    // Large and new.
    let big = reference.world.source().join("big");
    fs::rename(&big, big.with_file_name("new big")).unwrap();
    let bytes = Random::from_environment(3).bytes(30_000_000);
    fs::write(&big, bytes).unwrap();
    let mut random = Random::from_environment(8);
    let took = reference.took + Duration::from_secs(2);
    let reference = Reference { took, ..reference };
    many_kills(&reference, kills() / 10, &mut random);
}

#[test]
fn a_kill_at_any_rename_link_or_sync_is_survived() {
    let name = "a_kill_at_any_rename_link_or_sync_is_survived";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    let calls = [
        ("renameat2", 40),
        ("renameat", 40),
        ("syncfs", 40),
        ("fsync", 10),
        ("fdatasync", 3),
        ("linkat", 3),
        ("unlinkat", 4),
    ];
    let points = world.points(&APPLY, &calls);
    for point in &points {
        world.bring_back();
        let old = reference.old();
        world.kill_at_point(&APPLY, point);
        let unfinished = world.unfinished();
        if unfinished.is_none() && world.planned_runs().len() == 5 {
            finished(world, &reference.layout);
        } else {
            reference.ends_right(unfinished, &old);
        }
    }
    eprintln!("{} points", points.len());
}

#[test]
fn a_kill_at_any_moment_of_the_very_first_run_is_survived() {
    let name = "a_kill_at_any_moment_of_the_very_first_run_is_survived";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = World::new(&serde_json::json!({}));
    fs::create_dir(world.source().join("folder")).unwrap();
    fs::write(world.source().join("folder/file"), "content").unwrap();
    fs::hard_link(
        world.source().join("folder/file"),
        world.source().join("again"),
    )
    .unwrap();
    world.keep();
    let calls = [
        "mkdirat",
        "renameat",
        "renameat2",
        "fsync",
        "linkat",
        "unlinkat",
        "fchmod",
    ];
    let points = world.points(&APPLY, &calls.map(|call| (call, 4)));
    let expected = layout(&world.host());
    for point in &points {
        world.bring_back();
        world.kill_at_point(&APPLY, point);
        world.apply(NOW).expect(0);
        assert_eq!(world.planned_runs().len(), 1);
        finished(&world, &expected);
    }
}

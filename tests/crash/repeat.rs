//! Each step run twice: the second time changes nothing.

use executor::{
    clock::Clock,
    destination,
    event::{Context, Silent, Stop},
    scan::Looks,
    snapshot,
    steps::{repair, rotate, space_check},
    verify::{self, heal, snapshots},
};
use schema::{journal::Sealed, plan::Action, verify::Depth};
use test_support::{entry_names, flip_byte};

use crate::{
    check::{equal, fingerprint, layout},
    lab::{NOW, is_missing, with_history},
};

#[test]
fn each_step_that_is_run_again_changes_nothing() {
    let name = "each_step_that_is_run_again_changes_nothing";
    if is_missing(name, &["rsync", "setfattr"], false) {
        return;
    }
    let world = with_history(false);
    // Leftovers that the space check removes.
    for leftover in [
        "trash/2025-01-03_02-00-00/a/b",
        "partial/2025-01-04_02-00-00/c",
    ] {
        std::fs::create_dir_all(world.host().join(".backup").join(leftover)).unwrap();
    }
    let saved = world.saved_plan(NOW);
    let plan = saved.plan;
    let stop = Stop::default();
    let context = Context {
        observer: &Silent,
        stop: &stop,
        clock: Clock::at(NOW.parse().unwrap()),
        threads: 2,
        widens: false,
    };
    let mut store = None;
    let mut sealed = None;
    let mut kinds = Vec::new();
    for step in &plan.steps {
        let mut act = || match &step.action {
            Action::DestinationCheck(check) => {
                store = Some(destination::prepare_destination(check, context).unwrap());
            }
            Action::SpaceCheck(check) => {
                assert_eq!(
                    (check.empty_trash.len(), check.discard_partial.len()),
                    (1, 1)
                );
                space_check::run_space_check_step(store.as_ref().unwrap(), check, context).unwrap();
            }
            Action::Snapshot(step) => {
                let store = store.as_ref().unwrap();
                let outcome = snapshot::run_snapshot_step(
                    store,
                    &plan.run_id,
                    step,
                    (None, &mut Looks::default()),
                    None,
                    context,
                )
                .unwrap();
                // What it cost is known to whoever copied it.
                let now = outcome.sealed.map(|sealed| Sealed {
                    costs_most: None,
                    left_out: None,
                    gone: None,
                    ..sealed
                });
                if sealed.is_some() {
                    assert_eq!(sealed, now);
                }
                sealed = now;
            }
            Action::Rotate(step) => {
                let store = store.as_ref().unwrap();
                rotate::run_rotate_step(store, &plan.run_id, step, sealed.as_ref(), context)
                    .unwrap();
            }
            other => panic!("a step of kind {}", other.kind()),
        };
        act();
        // When it rotated is told again, in a file of its own.
        let without = [".backup/rotation.json", ".backup\t"];
        let once = fingerprint(&world.host(), &without);
        act();
        assert!(
            fingerprint(&world.host(), &without) == once,
            "{} changed something when it was run again: {:#?}",
            step.action.kind(),
            layout(&world.host())
        );
        kinds.push(step.action.kind());
    }
    assert_eq!(
        kinds,
        ["destination-check", "space-check", "snapshot", "rotate"]
    );
    equal(&world, "latest");
}

#[test]
fn a_repair_that_is_run_again_changes_nothing() {
    let name = "a_repair_that_is_run_again_changes_nothing";
    if is_missing(name, &["rsync", "setfattr"], false) {
        return;
    }
    let world = with_history(false);
    let damaged = world.in_snapshot("latest").join("small");
    std::fs::write(damaged.join("20"), "other content").unwrap();
    std::fs::remove_file(damaged.join("21")).unwrap();
    let plan = world.saved_plan(NOW).plan;
    let stop = Stop::default();
    let context = Context {
        observer: &Silent,
        stop: &stop,
        clock: Clock::at(NOW.parse().unwrap()),
        threads: 2,
        widens: false,
    };
    let check = plan.steps.iter().find_map(|step| match &step.action {
        Action::DestinationCheck(check) => Some(check),
        _ => None,
    });
    let store = destination::prepare_destination(check.unwrap(), context).unwrap();
    let sources = [schema::config::AbsolutePath::new(
        world.source().to_str().unwrap(),
    )];
    let verified = || {
        let all = snapshots::all_snapshots(&store, *plan.created_at.offset()).all;
        let chosen: Vec<usize> = (0..all.len()).collect();
        let found = verify::verify_snapshots(&store, &all, &chosen, Depth::Full, context).unwrap();
        (all, found)
    };
    let (all, mut found) = verified();
    let step = heal::plan_repair(&store, &all, &sources, &mut found, context).unwrap();
    assert_eq!((step.files.len(), step.folders.len()), (2, 1));
    assert!(step.files.iter().any(|file| file.names.len() > 1));
    let without = [".backup\t"];
    let mut once = None;
    for _ in 0..3 {
        repair::run_repair_step(&store, "run", &step, &|_| {}, context).unwrap();
        let now = fingerprint(&world.host(), &without);
        assert!(once.is_none_or(|once| once == now), "changed something");
        once = Some(now);
    }
    assert_eq!(verified().1.damage, []);
}

#[test]
fn what_a_killed_repair_made_anew_is_not_taken_for_a_strangers() {
    let name = "what_a_killed_repair_made_anew_is_not_taken_for_a_strangers";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = with_history(false);
    let records = world.host().join(".backup/snapshots");
    let mut ids = entry_names(&records);
    let (last, before) = (ids.pop().unwrap(), ids.pop().unwrap());
    for id in [&before, &last] {
        flip_byte(&records.join(id).join("manifest/manifest.000001.zst"));
    }
    // Killed as soon as the second manifest is to take its place, which comes after that of the first.
    let place = records.join(&last);
    let words = ["verify", "--all", "--quick", "--repair"];
    let calls = "linkat,renameat,renameat2";
    let done = world.trace_words(
        &words,
        &[
            "-P",
            place.to_str().unwrap(),
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:signal=SIGKILL:when=1"),
        ],
    );
    assert_eq!(done.signal, Some(9), "{}", done.all());
    let record = world.record(&before);
    assert!(record["manifest_rebuilt_at"].is_string(), "{record}");
    world.run(&words).expect(0);
    let json = world
        .run(&["--json", "verify", "--all", "--against-state"])
        .expect(0)
        .json();
    assert_eq!(json["against_state"]["changed"], serde_json::json!([]));
}

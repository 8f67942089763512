//! Each step run twice: the second time changes nothing.

use executor::{
    clock::Clock,
    destination,
    event::{Context, Silent, Stop},
    snapshot,
    steps::{rotate, space_check},
};
use schema::plan::Action;

use crate::{
    check::{equal, fingerprint, layout},
    lab::{NOW, skipped, with_history},
};

#[test]
fn each_step_that_is_run_again_changes_nothing() {
    let name = "each_step_that_is_run_again_changes_nothing";
    if skipped(name, &["rsync", "setfattr"], false) {
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
    };
    let mut store = None;
    let mut sealed = None;
    let mut kinds = Vec::new();
    for step in &plan.steps {
        let mut act = || match &step.action {
            Action::DestinationCheck(check) => {
                store = Some(destination::prepare(check, context).unwrap());
            }
            Action::SpaceCheck(check) => {
                assert_eq!(
                    (check.empty_trash.len(), check.discard_partial.len()),
                    (1, 1)
                );
                space_check::run(store.as_ref().unwrap(), check, context).unwrap();
            }
            Action::Snapshot(step) => {
                let store = store.as_ref().unwrap();
                let outcome = snapshot::run(store, &plan.run_id, step, None, context).unwrap();
                if let Some(before) = &sealed {
                    assert_eq!(Some(before), outcome.sealed.as_ref());
                }
                sealed = outcome.sealed;
            }
            Action::Rotate(step) => {
                let store = store.as_ref().unwrap();
                rotate::run(store, &plan.run_id, step, sealed.as_ref(), context).unwrap();
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

//! Each path is inside its root.

use super::*;

#[test]
fn every_path_is_inside_its_root() {
    let world = nights();
    fires(
        &world,
        |plan| plan.run_id = "../x".to_owned(),
        PATH_OUTSIDE,
        "`../x` is no name",
    );
    fires(
        &world,
        |plan| plan.host = "..".to_owned(),
        PATH_OUTSIDE,
        "no name for the host",
    );
    let named = |plan: &mut Plan| step(plan, "rotate").id = "Rotate/..".to_owned();
    fires(&world, named, PATH_OUTSIDE, "which is not a step");
    let check = |plan: &mut Plan, folder: &str, mount_point: &str| match &mut step(
        plan,
        "destination-check",
    )
    .action
    {
        Action::DestinationCheck(check) => {
            check.folder = folder.to_owned();
            check.mount_point = schema::config::AbsolutePath::new(mount_point);
        }
        other => panic!("{other:?}"),
    };
    let folder = |plan: &mut Plan| check(plan, "hermes", "/mnt/backup");
    fires(
        &world,
        folder,
        PATH_OUTSIDE,
        "which is not the folder of atlas",
    );
    let elsewhere = |plan: &mut Plan| check(plan, "atlas", "/mnt");
    fires(
        &world,
        elsewhere,
        PATH_OUTSIDE,
        "which is not the destination",
    );
    for (change, words) in restores() {
        let mut step = restore();
        let action = Action::Restore(step.clone());
        let plan = planner::plan_maintenance(&world.config(), &world.inventory, Some(action));
        assert_eq!(lint::check(&plan, &world.inventory), []);
        change(&mut step);
        let action = Action::Restore(step);
        let plan = planner::plan_maintenance(&world.config(), &world.inventory, Some(action));
        refused(&world, &plan, PATH_OUTSIDE, words);
    }
}

type Change = fn(&mut RestoreStep);

fn restores() -> [(Change, &'static str); 9] {
    [
        (|step| step.folder = "../etc".to_owned(), "`../etc`"),
        (
            |step| step.folder = "daily/../..".to_owned(),
            "`daily/../..`",
        ),
        (
            |step| step.path = "home/../../etc".to_owned(),
            "a path below the snapshot",
        ),
        // The same path, escaped.
        (
            |step| step.path = r"home/\056\056/x".to_owned(),
            "a path below the snapshot",
        ),
        (
            |step| step.path = "/home".to_owned(),
            "a path below the snapshot",
        ),
        (
            |step| step.only = vec!["a/b".to_owned()],
            "an entry of the path",
        ),
        (|step| step.target = "here".to_owned(), "an absolute target"),
        (|step| step.aside_suffix = "/../x".to_owned(), "kept aside"),
        (
            |step| step.through = vec!["..".to_owned()],
            "a path below the target",
        ),
    ]
}

#[test]
fn repairs_and_adoptions_stay_in_their_folders() {
    let world = nights();
    let repair = |snapshot: &str, path: &str| {
        let step: schema::plan::RepairStep = serde_json::from_value(json!({
            "files": [],
            "folders": [{
                "name": {"snapshot": snapshot, "path": path},
                "metadata": {"mode": 493, "uid": 0, "gid": 0, "time": {"seconds": 0, "nanos": 0}},
            }],
        }))
        .unwrap();
        planner::plan_maintenance(
            &world.config(),
            &world.inventory,
            Some(Action::Repair(step)),
        )
    };
    let newest = "2025-01-16_02-00-00";
    assert_eq!(lint::check(&repair(newest, "home"), &world.inventory), []);
    let plan = repair("2020-01-01_02-00-00", "home");
    refused(
        &world,
        &plan,
        TOUCHES_PROTECTED,
        "which is no snapshot of this program",
    );
    refused(
        &world,
        &repair(newest, "../x"),
        PATH_OUTSIDE,
        "a path below snapshot",
    );
    let adopt = |from: &str, at: &str| {
        let step: schema::plan::AdoptStep = serde_json::from_value(json!({
            "root": "/mnt/old", "sources": ["/home"],
            "trees": [{
                "from": from, "inode": 7, "at": at, "id": "2020-01-01_02-00-00", "home": "daily",
                "started_at": "2020-01-01T02:00:00Z", "day": "2020-01-01", "made_by": "dated",
            }],
        }))
        .unwrap();
        planner::plan_maintenance(&world.config(), &world.inventory, Some(Action::Adopt(step)))
    };
    assert_eq!(
        lint::check(&adopt("daily.0/localhost", ""), &world.inventory),
        []
    );
    for (from, at) in [("", "home"), ("../x", "home"), ("daily.0", "home/../..")] {
        let words = if at.contains("..") {
            "a path below a snapshot"
        } else {
            "adopted from"
        };
        refused(&world, &adopt(from, at), PATH_OUTSIDE, words);
    }
}

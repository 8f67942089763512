//! What an older version wrote is read, and is what it was.
#![allow(missing_docs, clippy::unwrap_used)]

use schema::plan::{Action, SavedPlan};

/// A plan as version 0.1.0 saved it before plans and health checks had one type for the last good backup.
const SAVED_PLAN: &str = include_str!("of-before/saved-plan.json");

/// Another digest would be that of an altered plan: a saved one is refused then, and a run that was
/// interrupted during an update is neither continued nor told of.
#[test]
fn a_plan_of_an_older_version_keeps_its_digest() {
    let saved: SavedPlan = serde_json::from_str(SAVED_PLAN).unwrap();
    let mut steps = saved.plan.steps.iter();
    let tells = steps.any(|step| match &step.action {
        Action::Notify(notify) => notify.last_good.is_some(),
        _ => false,
    });
    assert!(tells, "the plan is to have a last good backup");
    assert_eq!(saved.plan.expected_digest(), saved.plan.digest);
}

#[test]
fn an_older_version_can_read_what_this_one_writes_of_a_plan() {
    let saved: SavedPlan = serde_json::from_str(SAVED_PLAN).unwrap();
    let mut written = serde_json::to_value(&saved).unwrap();
    let mut before: serde_json::Value = serde_json::from_str(SAVED_PLAN).unwrap();
    // A configuration has a value for every option that there is; those of before have theirs.
    let (now, then) = (written["config"].take(), before["config"].take());
    assert_eq!(written, before);
    for (section, options) in then.as_object().unwrap() {
        for (option, value) in options.as_object().into_iter().flatten() {
            assert_eq!(now[section][option], *value, "{section}.{option}");
        }
        if !options.is_object() {
            assert_eq!(now[section], *options, "{section}");
        }
    }
}

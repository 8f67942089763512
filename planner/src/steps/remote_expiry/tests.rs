//! A remote over many days: what is let go, and when it is taken away.

use chrono::{DateTime, Days, FixedOffset};
use schema::{
    Config, Plan,
    cloud::{CloudMemory, CloudState},
    config::DestinationName,
    inventory::SnapshotState,
    remote_history::{ExpiredSnapshot, SameSnapshot},
};
use serde_json::json;

use super::*;
use crate::{Options, feeds::RemoteFacts, test_support};

const NAME: &str = "b2";

fn config(more: &serde_json::Value) -> Config {
    let mut b2 = json!({
        "type": "remote", "remote": "b2:bucket", "keepLast": 0, "keepDaily": 3, "keepWeekly": 0, "keepMonthly": 0,
        "keepHistoryDays": 5, "maxDelete": 1,
    });
    for (key, value) in more.as_object().unwrap() {
        b2[key] = value.clone();
    }
    serde_json::from_value(json!({
        "version": 1, "local": { "enable": false, "sources": ["/home"] }, "destinations": { NAME: b2 },
    }))
    .unwrap()
}

fn snapshot(day: &str) -> SnapshotState {
    serde_json::from_value(test_support::snapshot(day, false)).unwrap()
}

fn at(day: &str) -> DateTime<FixedOffset> {
    format!("{day}T03:00:00Z").parse().unwrap()
}

fn days_of_march(days: impl IntoIterator<Item = u32>) -> RemoteContent {
    RemoteContent {
        snapshots: days
            .into_iter()
            .map(|day| snapshot(&format!("2025-03-{day:02}")))
            .collect(),
        ..RemoteContent::default()
    }
}

fn plan_with(
    config: &Config,
    content: &RemoteContent,
    runs: &[&str],
    now: &str,
    approve: bool,
) -> Plan {
    let name = DestinationName::new(NAME);
    let view = config.view(&name).unwrap();
    let cloud = CloudState {
        memory: CloudMemory {
            runs: runs.iter().map(|day| at(day)).collect(),
            ..CloudMemory::default()
        },
        history: Some(content.clone()),
        ..CloudState::default()
    };
    let mut inventory = test_support::inventory(&test_support::destination(true, &json!([])), now);
    inventory.destination = None;
    inventory.cloud = Some(cloud);
    let options = Options {
        approve_deletions: approve,
        ..Options::default()
    };
    let remote = RemoteFacts::supposed(config.remote_options(&name).unwrap(), Vec::new());
    crate::pipeline::plan_view(&view, &inventory, &options, Some(&remote))
}

fn expiry(plan: &Plan) -> Option<&ExpireStep> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Expire(expire) => Some(expire),
        _ => None,
    })
}

fn goes(plan: &Plan) -> Vec<String> {
    let all = expiry(plan).into_iter().flat_map(|step| &step.expire);
    all.map(|one| one.id.local().format("%d").to_string())
        .collect()
}

const NOW: &str = "2025-03-10T03:00:00Z";

#[test]
fn what_the_rules_do_not_keep_is_let_go_after_the_upload() {
    let config = config(&json!({}));
    let plan = plan_with(&config, &days_of_march(5..=8), &[], NOW, false);
    assert_eq!(goes(&plan), ["05"]);
    let at = |kind: &str| {
        plan.steps
            .iter()
            .position(|step| step.action.kind() == kind)
    };
    assert!(at("upload").unwrap() < at("expire").unwrap());
    let step = &plan.steps[at("expire").unwrap()];
    assert_eq!(step.needs, ["upload"]);
    // Nothing to let go is no step.
    let plan = plan_with(&config, &days_of_march(6..=8), &[], NOW, false);
    assert!(expiry(&plan).is_none());
}

#[test]
fn a_key_that_may_not_delete_lets_nothing_go() {
    let config = config(&json!({ "expire": "never" }));
    let plan = plan_with(&config, &days_of_march(1..=9), &[], NOW, true);
    assert!(expiry(&plan).is_none());
}

#[test]
fn more_than_a_night_accounts_for_waits_for_a_person() {
    let config = config(&json!({}));
    let content = days_of_march(1..=8);
    let plan = plan_with(&config, &content, &[], NOW, false);
    let step = expiry(&plan).unwrap();
    assert!(step.expire.is_empty());
    assert_eq!(step.withheld.len(), 5);
    let told = plan
        .findings
        .iter()
        .find(|one| one.code == code::DELETIONS_NEED_APPROVAL);
    assert!(
        told.unwrap()
            .message
            .starts_with("5 deletions at once on the remote need approval")
    );
    let plan = plan_with(&config, &content, &[], NOW, true);
    assert_eq!(goes(&plan), ["01", "02", "03", "04", "05"]);
}

#[test]
fn the_newest_the_pinned_and_whatever_was_made_last_stay() {
    let config = config(&json!({ "keepDaily": 1 }));
    let mut content = days_of_march([1, 2, 3]);
    content.snapshots[0].marks.pinned = true;
    // The clock was ahead: what was made last is not the one of the latest date.
    content.snapshots[1].record.sequence = 9;
    let plan = plan_with(&config, &content, &[], NOW, true);
    assert_eq!(goes(&plan), Vec::<String>::new());
}

#[test]
fn a_day_on_which_nothing_had_changed_keeps_what_it_is_the_same_as() {
    let config = config(&json!({ "keepDaily": 2 }));
    let mut content = days_of_march([1, 2, 3]);
    let same = |day: u32, like: u32| SameSnapshot {
        id: format!("2025-03-{day:02}_02-00-00").parse().unwrap(),
        started_at: at(&format!("2025-03-{day:02}")),
        day: chrono::NaiveDate::from_ymd_opt(2025, 3, day).unwrap(),
        like: content.snapshots[like as usize - 1].record.id,
    };
    let all = vec![same(4, 1), same(5, 2)];
    content.same = all;
    let plan = plan_with(&config, &content, &[], NOW, true);
    // 4 and 5 are the days that are kept: 1 and 2 hold them, and 3 is the newest that is there.
    assert_eq!(goes(&plan), Vec::<String>::new());
    content.same.clear();
    let plan = plan_with(&config, &content, &[], NOW, true);
    assert_eq!(goes(&plan), ["01"]);
}

#[test]
fn what_was_let_go_is_taken_away_when_three_clocks_on_three_days_say_so() {
    let config = config(&json!({}));
    let mut content = days_of_march(6..=8);
    let id: SnapshotId = "2025-02-01_02-00-00".parse().unwrap();
    let mut swept = |seen: &[&str], runs: &[&str]| {
        content.expired = vec![ExpiredSnapshot {
            id,
            seen: seen.iter().map(|day| at(day)).collect(),
        }];
        let plan = plan_with(&config, &content, runs, NOW, false);
        expiry(&plan).is_some_and(|step| step.sweep == [id])
    };
    let seen = ["2025-03-01", "2025-03-02", "2025-03-03"];
    assert!(swept(&seen, &["2025-03-08", "2025-03-09"]));
    // Five days after the second of the first three.
    assert!(!swept(&seen, &["2025-03-06", "2025-03-09"]));
    // One clock that jumped is no witness, however often it says so on one day.
    assert!(!swept(&seen, &[]));
    assert!(!swept(&seen, &["2025-03-10", "2025-03-10"]));
    assert!(!swept(
        &["2025-02-01", "2025-02-02"],
        &["2025-03-08", "2025-03-09"]
    ));
    assert!(!swept(
        &["2025-03-01", "2025-03-09", "2025-03-10"],
        &["2025-03-08", "2025-03-09"]
    ));
}

#[test]
fn run_by_run_it_keeps_what_pruning_once_would_keep() {
    let config = config(&json!({ "keepDaily": 4, "keepWeekly": 2, "maxDelete": "50%" }));
    let first = chrono::NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let day = |number: u64| first.checked_add_days(Days::new(number)).unwrap();
    let mut there = RemoteContent::default();
    let mut all = RemoteContent::default();
    for number in 0..60 {
        let mut one = snapshot(&day(number).to_string());
        one.record.sequence = number + 1;
        there.snapshots.push(one.clone());
        all.snapshots.push(one);
        let now = format!("{}T03:00:00Z", day(number + 1));
        let plan = plan_with(&config, &there, &[], &now, false);
        let gone: Vec<SnapshotId> = expiry(&plan)
            .into_iter()
            .flat_map(|step| step.expire.iter().map(|one| one.id))
            .collect();
        assert!(gone.len() <= 3, "{gone:?} in one night");
        there.snapshots.retain(|one| !gone.contains(&one.record.id));
        let once = plan_with(&config, &all, &[], &now, true);
        let once: BTreeSet<SnapshotId> = expiry(&once)
            .into_iter()
            .flat_map(|step| step.expire.iter().map(|one| one.id))
            .collect();
        let mut left = all.snapshots.iter().map(|one| one.record.id);
        let left: Vec<SnapshotId> = left.by_ref().filter(|id| !once.contains(id)).collect();
        let kept: Vec<SnapshotId> = there.snapshots.iter().map(|one| one.record.id).collect();
        assert_eq!(kept, left, "after {now}");
    }
}

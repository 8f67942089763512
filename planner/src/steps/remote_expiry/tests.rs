//! A remote over many days: what is let go, and when it is taken away.

use chrono::{DateTime, Days, FixedOffset};
use schema::{
    Config, Inventory, Plan,
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

fn inventory_with(content: &RemoteContent, runs: &[&str], now: &str) -> Inventory {
    let cloud = CloudState {
        memory: CloudMemory {
            runs: runs.iter().map(|day| at(day)).collect(),
            ..CloudMemory::default()
        },
        history: Some(content.clone()),
        ..CloudState::default()
    };
    let empty = test_support::destination(true, &json!([]));
    Inventory {
        destination: None,
        cloud: Some(cloud),
        ..test_support::inventory(&empty, now)
    }
}

fn plan_of(config: &Config, inventory: &Inventory, approve: bool) -> Plan {
    let name = DestinationName::new(NAME);
    let view = config.view(&name).unwrap();
    let options = Options {
        approve_deletions: approve,
        ..Options::default()
    };
    let remote = RemoteFacts::supposed(config.remote_options(&name).unwrap(), Vec::new(), true);
    crate::pipeline::plan_view(&view, inventory, &options, Some(&remote))
}

fn plan_with(
    config: &Config,
    content: &RemoteContent,
    runs: &[&str],
    now: &str,
    approve: bool,
) -> Plan {
    plan_of(config, &inventory_with(content, runs, now), approve)
}

fn expiry(plan: &Plan) -> Option<&ExpireStep> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Expire(expire) => Some(expire),
        _ => None,
    })
}

fn swept(step: &ExpireStep) -> Vec<SnapshotId> {
    step.sweep.iter().map(|one| one.id).collect()
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
fn what_is_suspect_there_holds_all_deletions_back_until_somebody_accepts_it() {
    let config = config(&json!({}));
    let mut content = days_of_march(5..=9);
    content.expired = vec![ExpiredSnapshot {
        id: "2025-03-01_02-00-00".parse().unwrap(),
        seen: ["2025-03-01", "2025-03-02", "2025-03-03"].map(at).to_vec(),
    }];
    let runs = ["2025-03-08", "2025-03-09"];
    let newest = content.snapshots.last_mut().unwrap();
    newest.record.suspect = vec!["half of it is gone".to_owned()];
    assert!(expiry(&plan_with(&config, &content, &runs, NOW, true)).is_none());
    content.snapshots.last_mut().unwrap().marks.accepted = true;
    let plan = plan_with(&config, &content, &runs, NOW, true);
    assert_eq!(goes(&plan), ["05", "06"]);
    assert_eq!(expiry(&plan).unwrap().sweep.len(), 1);
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
    let mut is_swept = |seen: &[&str], runs: &[&str]| {
        content.expired = vec![ExpiredSnapshot {
            id,
            seen: seen.iter().map(|day| at(day)).collect(),
        }];
        let plan = plan_with(&config, &content, runs, NOW, false);
        expiry(&plan).is_some_and(|step| swept(step) == [id])
    };
    let seen = ["2025-03-01", "2025-03-02", "2025-03-03"];
    assert!(is_swept(&seen, &["2025-03-08", "2025-03-09"]));
    // Five days after the second of the first three.
    assert!(!is_swept(&seen, &["2025-03-06", "2025-03-09"]));
    // One clock that jumped is no witness, however often it says so on one day.
    assert!(!is_swept(&seen, &[]));
    assert!(!is_swept(&seen, &["2025-03-10", "2025-03-10"]));
    assert!(!is_swept(
        &["2025-02-01", "2025-02-02"],
        &["2025-03-08", "2025-03-09"]
    ));
    assert!(!is_swept(
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

/// A plan of a remote alone with this in its expiry, and what it is held against.
fn forged(change: &dyn Fn(&mut ExpireStep)) -> (Plan, Inventory) {
    let config = config(&json!({ "keepDaily": 2 }));
    let mut content = days_of_march([1, 2, 3, 4]);
    content.snapshots[2].marks.pinned = true;
    let old: SnapshotId = "2025-02-01_02-00-00".parse().unwrap();
    content.expired = vec![ExpiredSnapshot {
        id: old,
        seen: ["2025-03-01", "2025-03-02", "2025-03-03"].map(at).to_vec(),
    }];
    let inventory = inventory_with(&content, &["2025-03-08", "2025-03-09"], NOW);
    let mut plan = plan_of(&config, &inventory, true);
    for step in &mut plan.steps {
        if let Action::Expire(expire) = &mut step.action {
            assert_eq!(swept(expire), [old]);
            change(expire);
        }
    }
    assert!(expiry(&plan).is_some());
    (plan, inventory)
}

fn day_of_march(day: u32) -> SnapshotId {
    format!("2025-03-{day:02}_02-00-00").parse().unwrap()
}

#[test]
fn a_plan_that_lets_go_what_is_pinned_newest_or_unknown_breaks_a_law() {
    let breaks = |change: &dyn Fn(&mut ExpireStep)| {
        let (mut plan, inventory) = forged(change);
        plan.digest = plan.expected_digest();
        !crate::lint::check(&plan, &inventory).is_empty()
    };
    assert!(!breaks(&|_| {}));
    for id in [3, 4, 9].map(day_of_march) {
        assert!(breaks(&|expire| expire.expire[0].id = id), "{id}");
    }
    assert!(breaks(&|expire| expire.sweep[0].id = day_of_march(1)));
}

#[test]
fn a_saved_plan_lets_nothing_go_that_the_configuration_keeps() {
    let undue = |change: &dyn Fn(&mut ExpireStep), keep: u32| {
        let (plan, inventory) = forged(change);
        let name = DestinationName::new(NAME);
        let view = config(&json!({ "keepDaily": keep })).view(&name).unwrap();
        let present = crate::accord::Present {
            config: &view,
            host: "atlas",
            machine: None,
            privileged: true,
        };
        crate::accord::find_undue_expiry(&plan, &present, &inventory)
    };
    assert_eq!(undue(&|_| {}, 2), None);
    let kept = "step `expire` would let 2025-03-01_02-00-00 go, which the configuration keeps";
    assert_eq!(undue(&|_| {}, 9).as_deref(), Some(kept));
    let early = undue(&|expire| expire.sweep[0].id = day_of_march(2), 2).unwrap();
    assert!(
        early.ends_with("which is not let go for long enough"),
        "{early}"
    );
}

#[test]
fn what_goes_with_each_is_told_and_what_is_not_known_is_not_nothing() {
    use schema::remote_history::RemoteLoss;
    let lost = |id: SnapshotId, files: u64| RemoteLoss {
        id,
        lost: Lost {
            files: Some(files),
            bytes: 10 * files,
            at_least: false,
        },
    };
    let config = config(&json!({ "keepDaily": 2 }));
    let old = ["2025-01-01_02-00-00", "2025-01-02_02-00-00"].map(|id| id.parse().unwrap());
    let mut content = days_of_march([1, 2, 3, 4]);
    content.expired = old
        .map(|id| ExpiredSnapshot {
            id,
            seen: ["2025-03-01", "2025-03-02", "2025-03-03"].map(at).to_vec(),
        })
        .to_vec();
    content.lost = vec![lost(day_of_march(1), 3), lost(old[1], 2)];
    let runs = ["2025-03-08", "2025-03-09"];
    let inventory = inventory_with(&content, &runs, NOW);
    let plan = plan_of(&config, &inventory, true);
    let step = expiry(&plan).unwrap();
    assert_eq!(step.expire[0].lost, Some(lost(day_of_march(1), 3).lost));
    assert_eq!(step.expire[1].lost, None);
    let told = ExpireStep::lost_with(&step.expire).to_string();
    assert_eq!(told, "at least 30 B that no other snapshot has");
    assert_eq!(
        [step.sweep[0].lost, step.sweep[1].lost],
        [None, Some(lost(old[1], 2).lost)]
    );
    // What is taken away is deleted; what is let go is there.
    assert_eq!((plan.totals.deletions, plan.totals.freed_bytes), (2, 20));
    // What is to be found out is of those that go.
    let view = config.view(&DestinationName::new(NAME)).unwrap();
    let (let_go, taken) = going_on_remote(&view, &inventory);
    assert_eq!(
        (let_go, taken),
        ([1, 2].map(day_of_march).to_vec(), old.to_vec())
    );
    // What waits for a person is told as well.
    let waiting = plan_of(&config, &inventory, false);
    let waits = &expiry(&waiting).unwrap().withheld;
    assert_eq!(
        waits.first().and_then(|one| one.lost),
        Some(lost(day_of_march(1), 3).lost)
    );
}

#[test]
fn what_a_person_lets_go_is_named_or_due_and_never_what_must_stay() {
    use crate::remote_by_hand::{plan_remote_deletion, plan_remote_prune};
    let config = config(&json!({ "keepDaily": 2 }));
    let name = DestinationName::new(NAME);
    let (view, options) = (
        config.view(&name).unwrap(),
        config.remote_options(&name).unwrap(),
    );
    let remote = (&name, options);
    let mut content = days_of_march(1..=5);
    content.snapshots[1].marks.pinned = true;
    let inventory = inventory_with(&content, &[], NOW);
    let delete = |days: &[u32]| {
        let ids: Vec<SnapshotId> = days.iter().map(|day| day_of_march(*day)).collect();
        plan_remote_deletion(&view, &inventory, remote, &ids)
    };
    let goes_of = |plan: &Plan| {
        let broken = crate::lint::check(plan, &inventory);
        assert!(broken.is_empty(), "{broken:?}");
        goes(plan)
    };
    // More than the nights account for: it was shown, and a person agreed.
    let pruned = plan_remote_prune(&view, &inventory, remote).unwrap();
    assert_eq!(goes_of(&pruned), ["01", "03"]);
    assert_eq!((pruned.totals.kept, pruned.totals.deletions), (3, 0));
    // What the rules keep goes as well, if it is named.
    let deleted = delete(&[1, 4]).unwrap();
    assert_eq!(goes_of(&deleted), ["01", "04"]);
    let reasons = &expiry(&deleted).unwrap().expire;
    assert!(reasons.iter().all(|one| one.reason == ExpireReason::ByHand));
    for (days, why) in [
        (&[5][..], "newest"),
        (&[1, 2], "pinned"),
        (&[1, 3, 4, 5], "newest"),
    ] {
        let refused = delete(days).unwrap_err();
        assert!(
            refused.message.contains(why),
            "{days:?}: {}",
            refused.message
        );
    }
    let never = schema::config::RemoteOptions {
        expire: Expire::Never,
        ..options
    };
    assert!(plan_remote_prune(&view, &inventory, (&name, never)).is_err());
    assert!(plan_remote_deletion(&view, &inventory, (&name, never), &[]).is_err());
    // No backup has such a step: one in a plan from a file is not what the configuration gives.
    let present = crate::accord::Present {
        config: &view,
        host: "atlas",
        machine: None,
        privileged: true,
    };
    let undue = crate::accord::find_undue_expiry(&deleted, &present, &inventory).unwrap();
    assert!(undue.contains("2025-03-04_02-00-00"), "{undue}");
    // Nothing to do is nothing done.
    content.snapshots.truncate(2);
    let few = inventory_with(&content, &[], NOW);
    assert!(
        plan_remote_prune(&view, &few, remote)
            .unwrap()
            .steps
            .is_empty()
    );
}

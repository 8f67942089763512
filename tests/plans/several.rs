//! Plans for several destinations: each is a chain of its own, and none holds up another.

use planner::{accord::Present, findings::code, lint, refuse_unlawful, staleness};
use schema::{
    Finding, Plan, Severity,
    config::{AbsolutePath, DestinationName},
    inventory::{OtherDestination, Presence},
    plan::{Action, SavedPlan},
};
use serde_json::json;

use super::{
    chains_are_the_plans_of_each_alone, find_difference, holds_of_every_plan, reversed,
    world::{World, source},
};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

/// `local` with two snapshots, a disk with one, and a NAS with none.
fn three() -> World {
    World::nightly("2025-01-14", 2)
        .add_disk("usb", json!({}), World::nightly("2025-01-15", 1))
        .add_disk("nas", json!({ "keepDaily": 30 }), World::new(NIGHT))
}

/// The same with scripts and a notification around.
fn framed() -> World {
    three()
        .set("preBackupScript", json!("/run/before"))
        .set("postBackupScript", json!("/run/after"))
        .set(
            "notifications",
            json!({ "enable": true, "onFailure": true, "desktop": false, "command": "/run/tell" }),
        )
}

fn name(text: &str) -> DestinationName {
    DestinationName::new(text)
}

fn usb(mut world: World, change: impl FnOnce(&mut OtherDestination)) -> World {
    change(world.inventory.others.get_mut(&name("usb")).unwrap());
    world
}

fn unmounted(world: World) -> World {
    usb(world, |usb| {
        usb.destination.as_mut().unwrap().mounted = false
    })
}

/// The usb disk backs up a source of its own.
fn with_own_source(change: impl FnOnce(&mut OtherDestination)) -> World {
    let world = three().set("destinations.usb.sources", json!(["/srv"]));
    usb(world, |usb| {
        usb.sources = vec![source("/srv", "8:2", 12)];
        change(usb);
    })
}

/// The plan, after all that must hold of it.
#[track_caller]
fn planned(world: &World) -> Plan {
    let plan = world.plan();
    holds_of_every_plan(&plan, &world.inventory);
    chains_are_the_plans_of_each_alone(world, &plan);
    let (config, inventory) = (world.config(), &world.inventory);
    let present = Present {
        config: &config,
        host: &inventory.host,
        machine: inventory.machine,
        privileged: inventory.privileged,
    };
    assert_eq!(find_difference(&plan, &present, true), None);
    assert_eq!(refuse_unlawful(plan.clone(), inventory), plan);
    let again = World {
        inventory: reversed(inventory.clone()),
        ..world.clone()
    };
    assert_eq!(again.plan(), plan);
    if !plan.is_made_in_two() {
        let saved = SavedPlan {
            config: config.clone(),
            plan: plan.clone(),
        };
        assert_eq!(staleness(&saved, &config, inventory), []);
    }
    plan
}

/// The names of the steps of one destination, or of the run and its base.
fn steps_of<'a>(plan: &'a Plan, of: &str) -> Vec<&'a str> {
    let is_own = |step: &&schema::plan::Step| match of {
        "" => step.of.is_none(),
        of => step.of.as_ref().is_some_and(|one| one.as_str() == of),
    };
    let own = plan.steps.iter().filter(is_own);
    own.map(|step| step.id.as_str()).collect()
}

const OF_LOCAL: [&str; 4] = ["destination-check", "space-check", "snapshot", "rotate"];
const OF_USB: [&str; 4] = [
    "destination-check:usb",
    "space-check:usb",
    "snapshot:usb",
    "rotate:usb",
];

fn codes(plan: &Plan, of: &str) -> Vec<String> {
    let findings = plan.chains[&name(of)].findings.iter();
    findings.map(|finding| finding.code.clone()).collect()
}

#[test]
fn each_destination_is_a_chain_of_its_own_within_the_scripts() {
    let plan = planned(&framed());
    let framed = ["pre-script"].into_iter().chain(OF_LOCAL);
    let framed: Vec<&str> = framed.chain(["post-script", "notify"]).collect();
    assert_eq!(steps_of(&plan, ""), framed);
    assert_eq!(steps_of(&plan, "usb"), OF_USB);
    assert_eq!(steps_of(&plan, "nas").len(), 4);
    let last = plan.steps.last().unwrap();
    assert_eq!(last.after.len(), plan.steps.len() - 1);
    let check = plan.steps.iter().find(|step| step.id == OF_USB[0]).unwrap();
    assert_eq!(check.needs, ["pre-script"]);
    // Retention is that of each: the disk keeps 3 days, and the NAS 30.
    let basis = |of: Option<&str>| {
        let chain = plan.chain(&name(of.unwrap_or("local"))).unwrap();
        chain
            .snapshot()
            .unwrap()
            .basis
            .as_ref()
            .map(|one| one.id.to_string())
    };
    assert_eq!(basis(None).as_deref(), Some("2025-01-15_02-00-00"));
    assert_eq!(basis(Some("usb")).as_deref(), Some("2025-01-15_02-00-00"));
    assert_eq!(basis(Some("nas")), None);
}

#[test]
fn without_named_ones_a_plan_is_that_of_the_only_destination() {
    let world = World::nightly("2025-01-14", 2);
    let alone = planner::plan(&world.config(), &world.inventory, &world.options);
    assert_eq!(world.plan(), alone);
    // One that is not used is as none.
    let off = world
        .clone()
        .add_disk("usb", json!({ "enable": false }), World::new(NIGHT));
    assert_eq!(off.plan(), alone);
}

#[test]
fn an_absent_disk_is_refused_or_deferred_alone() {
    let plan = planned(&unmounted(three()));
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);
    assert_eq!(steps_of(&plan, "nas").len(), 4);
    assert_eq!(steps_of(&plan, "usb"), [""; 0]);
    assert_eq!(plan.gravest_of(&name("usb")), Some(Severity::Refusal));
    assert!(plan.severity() < Some(Severity::Warning));
    let told = &plan.chains[&name("usb")].findings[0].message;
    assert!(
        told.contains("/mnt/usb (destinations.usb.mountPoint)"),
        "{told}"
    );
    let deferred = unmounted(three()).set("destinations.usb.ifAbsent", json!("defer"));
    let plan = planned(&deferred);
    assert_eq!(plan.gravest_of(&name("usb")), Some(Severity::Deferral));
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);
}

#[test]
fn where_local_is_absent_the_others_are_served() {
    let world = three().destination(|found| found.mounted = false);
    let plan = planned(&world);
    assert_eq!(plan.severity(), Some(Severity::Refusal));
    assert_eq!(steps_of(&plan, ""), [""; 0]);
    assert_eq!(steps_of(&plan, "usb"), OF_USB);
    let mut all = unmounted(world);
    let usb = all.config["destinations"]["usb"].clone();
    all.config["destinations"] = json!({ "usb": usb });
    assert!(!planned(&all).does_something());
}

#[test]
fn where_a_script_may_mount_one_disk_all_are_planned_after_it() {
    let before = unmounted(framed());
    let plan = planned(&before);
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["pre-script", "plan-again", "post-script", "notify"]);
    let mut after = before.clone();
    after.options.after_pre_script = true;
    let plan = planned(&after);
    assert_eq!(steps_of(&plan, "usb"), [""; 0]);
    assert_eq!(plan.gravest_of(&name("usb")), Some(Severity::Refusal));
    assert_eq!(steps_of(&plan, "nas").len(), 4);
    assert_eq!(steps_of(&plan, "")[..2], ["pre-script", "plan-again"]);
}

#[test]
fn a_full_or_suspect_disk_holds_up_no_other() {
    let full = usb(three(), |usb| {
        usb.destination.as_mut().unwrap().free_bytes = 1 << 30;
    });
    let plan = planned(&full);
    assert_eq!(codes(&plan, "usb")[0], code::INSUFFICIENT_SPACE);
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);
    let suspect = usb(three(), |usb| {
        let found = usb.destination.as_mut().unwrap();
        found.snapshots[0].record.suspect = vec!["half of it is gone".to_owned()];
    });
    let plan = planned(&suspect);
    assert!(codes(&plan, "usb").contains(&code::SUSPECT_SNAPSHOT.to_owned()));
    assert!(!codes(&plan, "nas").contains(&code::SUSPECT_SNAPSHOT.to_owned()));
    assert_eq!(steps_of(&plan, "usb"), OF_USB);
}

#[test]
fn sources_of_its_own_are_backed_up_there_alone() {
    let sources = |plan: &Plan, of: &str| -> Vec<AbsolutePath> {
        let chain = plan.chain(&name(of)).unwrap();
        let sources = chain.snapshot().unwrap().sources.iter();
        sources.map(|source| source.path.clone()).collect()
    };
    let plan = planned(&with_own_source(|_| {}));
    assert_eq!(sources(&plan, "usb"), [AbsolutePath::new("/srv")]);
    assert_eq!(sources(&plan, "nas"), [AbsolutePath::new("/home")]);
    let missing = with_own_source(|usb| usb.sources[0].presence = Presence::Missing);
    let plan = planned(&missing);
    assert!(plan.gravest_of(&name("usb")) >= Some(Severity::Warning));
    assert!(plan.gravest_of(&name("nas")) < Some(Severity::Warning));
    assert!(plan.severity() < Some(Severity::Warning));
}

#[test]
fn what_is_due_runs_within_the_scripts_and_what_is_named_without() {
    let plan = planned(&framed().choose(&["local", "nas"], false));
    assert_eq!(plan.only_of, [name("local"), name("nas")]);
    assert!(plan.chain(&name("usb")).is_none());
    assert_eq!(steps_of(&plan, "")[0], "pre-script");

    let plan = planned(&framed().choose(&["usb"], false));
    assert_eq!(steps_of(&plan, ""), ["pre-script", "post-script", "notify"]);
    assert_eq!(steps_of(&plan, "usb"), OF_USB);

    let plan = planned(&framed().choose(&["usb"], true));
    assert_eq!(steps_of(&plan, ""), [""; 0]);
    assert_eq!(steps_of(&plan, "usb"), OF_USB);

    let plan = planned(&framed().choose(&["cloud", "local", "usb"], true));
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);

    // `local` alone is asked for as ever.
    let plan = framed().choose(&["local"], true).plan();
    assert_eq!((plan.only_of.len(), plan.chains.len()), (0, 0));
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);
    let unknown = framed().choose(&["other"], true).plan();
    assert_eq!(unknown.severity(), Some(Severity::Refusal));
}

#[test]
fn without_local_the_named_ones_are_served() {
    let plan = planned(&framed().set("local.enable", json!(false)));
    assert_eq!(steps_of(&plan, ""), ["pre-script", "post-script", "notify"]);
    assert_eq!(steps_of(&plan, "usb"), OF_USB);
    let tells = plan.steps.iter().find_map(|step| match &step.action {
        Action::Notify(notify) => Some(notify.last_good.is_some()),
        _ => None,
    });
    assert_eq!(tells, Some(true));
}

#[test]
fn one_disk_under_two_names_is_backed_up_to_once() {
    let id = three().inventory.known_destinations[0].clone();
    let world = usb(three(), |usb| {
        usb.known_destinations = vec![id.clone()];
        usb.destination
            .as_mut()
            .unwrap()
            .record
            .as_mut()
            .unwrap()
            .id = id;
    });
    let plan = planned(&world);
    assert_eq!(codes(&plan, "usb")[0], code::DESTINATION_TWICE);
    assert_eq!(steps_of(&plan, "usb"), [""; 0]);
    assert_eq!(steps_of(&plan, ""), OF_LOCAL);
}

#[test]
fn a_chain_that_waits_for_another_or_is_of_none_is_refused() {
    let world = three();
    let plan = world.plan();
    let mut waits = plan.clone();
    let last = waits.steps.iter_mut().find(|step| step.id == OF_USB[0]);
    last.unwrap().after.push("snapshot".to_owned());
    let mut foreign = plan.clone();
    foreign.chains.remove(&name("usb"));
    for broken in [waits, foreign] {
        let found = lint::check(&broken, &world.inventory);
        assert_eq!(found[0].code, lint::OUT_OF_ORDER, "{found:?}");
        let left = refuse_unlawful(broken, &world.inventory);
        assert!(left.steps.iter().all(|step| step.of.is_none()));
        assert!(!left.does_something());
    }
}

#[test]
fn a_chain_that_breaks_a_law_is_taken_out_and_the_others_stay() {
    let world = framed();
    let mut plan = world.plan();
    let check = plan.steps.iter_mut().find(|step| step.id == "snapshot:usb");
    check.unwrap().needs.clear();
    let left = refuse_unlawful(plan, &world.inventory);
    assert_eq!(left.gravest_of(&name("usb")), Some(Severity::Refusal));
    assert_eq!(steps_of(&left, "usb"), [""; 0]);
    assert_eq!(steps_of(&left, "nas").len(), 4);
    assert_eq!(lint::check(&left, &world.inventory), []);
}

#[test]
fn a_saved_plan_is_stale_when_any_of_its_disks_changed() {
    let world = three();
    let saved = SavedPlan {
        config: world.config(),
        plan: world.plan(),
    };
    let changed = usb(world.clone(), |usb| {
        usb.destination.as_mut().unwrap().snapshots[0].marks.pinned = true;
    });
    let stale = staleness(&saved, &world.config(), &changed.inventory);
    assert_eq!(
        stale.first().map(|one| &*one.message),
        Some("usb: the destination changed: marks, links or leftovers are not as they were")
    );
    let mut altered = saved;
    let steps = &mut altered.plan.steps;
    let check = steps.iter_mut().find(|step| step.id == OF_USB[0]).unwrap();
    if let Action::DestinationCheck(check) = &mut check.action {
        check.mount_point = AbsolutePath::new("/elsewhere");
    }
    altered.plan.digest = altered.plan.expected_digest();
    assert_eq!(
        staleness(&altered, &world.config(), &world.inventory).len(),
        1
    );
}

#[test]
fn one_that_cannot_be_looked_at_is_refused_for_that_and_holds_up_no_other() {
    let fault = Finding::new(
        Severity::Refusal,
        code::DESTINATION_UNSEEN,
        "cannot open local.mountPoint",
    )
    .hint("`backup verify` it");
    let world = usb(three(), |usb| {
        *usb = OtherDestination {
            fault: Some(fault),
            ..OtherDestination::default()
        };
    });
    let plan = planned(&world);
    let found = &plan.chains[&name("usb")].findings;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "cannot open destinations.usb.mountPoint");
    assert_eq!(
        found[0].hint.as_deref(),
        Some("`backup verify --destination usb` it")
    );
    let of = |wanted: Option<&str>| {
        let mut steps = plan.steps.iter();
        steps.any(|step| step.of.as_ref().map(DestinationName::as_str) == wanted)
    };
    assert!(of(None) && of(Some("nas")) && !of(Some("usb")));
}

/// What of a destination's snapshot comes from which.
fn content_from<'a>(plan: &'a Plan, step: &str) -> Vec<(&'a str, String)> {
    let mut steps = plan.steps.iter().filter(|one| one.id == step);
    let Some(Action::Snapshot(snapshot)) = steps.next().map(|step| &step.action) else {
        return Vec::new();
    };
    let from = snapshot.content_from.iter();
    from.map(|one| (one.of.as_str(), one.snapshot.to_string()))
        .collect()
}

/// `/home` is on a file system of the network, for all destinations.
fn slow_source(mut world: World) -> World {
    let others = world.inventory.others.values_mut();
    let sources = others.flat_map(|other| &mut other.sources);
    for source in sources.chain(&mut world.inventory.sources) {
        source.is_distant = source.path.as_str() == "/home";
    }
    world
}

#[test]
fn what_a_disk_was_given_of_a_slow_source_serves_the_next() {
    let id = "2025-01-16_02-00-00".to_owned();
    let local = || ("local", id.clone());
    assert_eq!(content_from(&planned(&three()), "snapshot:usb"), []);
    let world = slow_source(three());
    let plan = planned(&world);
    assert_eq!(content_from(&plan, "snapshot"), []);
    assert_eq!(content_from(&plan, "snapshot:nas"), [local()]);
    let both = [local(), ("nas", id.clone())];
    assert_eq!(content_from(&plan, "snapshot:usb"), both);

    // Only of what is in the slow one.
    let other = slow_source(with_own_source(|_| {}));
    assert_eq!(content_from(&planned(&other), "snapshot:usb"), []);
    // Nobody takes from one that gets none.
    let plan = planned(&slow_source(three().set("local.enable", json!(false))));
    assert_eq!(content_from(&plan, "snapshot:usb"), [("nas", id.clone())]);

    // Nor from what is made later, or not at all.
    for (of, snapshot) in [("usb", id.as_str()), ("local", "2025-01-15_02-00-00")] {
        let mut broken = planned(&world);
        for step in &mut broken.steps {
            if let Action::Snapshot(step) = &mut step.action {
                for from in &mut step.content_from {
                    from.of = name(of);
                    from.snapshot = snapshot.parse().unwrap();
                }
            }
        }
        let found = lint::check(&broken, &world.inventory);
        assert!(
            found
                .iter()
                .any(|one| one.code == lint::OUT_OF_ORDER
                    && one.message.contains("takes content from")),
            "{found:?}"
        );
    }
}

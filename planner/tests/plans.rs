//! Every folder in `tests/plans` is a fact: its config and inventory give the plan beside them.
//!
//! Owns the comparison and what must hold of every plan. `BLESS=1` writes the generated configs
//! and inventories, `INSTA_UPDATE=always` the plans.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../../tests/plans/approval.rs"]
mod approval;
#[path = "../../tests/plans/mirrors.rs"]
mod mirrors;
#[path = "../../tests/plans/random.rs"]
mod random;
#[path = "../../tests/plans/readable.rs"]
mod readable;
#[path = "../../tests/plans/scenarios.rs"]
mod scenarios;
#[path = "../../tests/plans/several.rs"]
mod several;
#[path = "../../tests/plans/uploads.rs"]
mod uploads;
#[path = "../../tests/plans/world.rs"]
mod world;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use planner::{
    Options, Wanted,
    accord::{Present, find_difference, find_undue_deletion},
    choose_basis,
    findings::code,
    graph, lint, staleness,
};
use readable::{readable, write};
use schema::{
    Finding, Inventory, Plan, Severity, Tier,
    config::DestinationName,
    inventory::DestinationState,
    plan::{Action, Part, Rotation, SavedPlan, Step},
};
use serde_json::{Value, json};
use world::{World, time};

fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/plans")
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()))
}

/// The folder's config, inventory and options.
fn load(folder: &Path) -> World {
    let options = folder.join("options.json");
    let options: Value = match options.exists() {
        true => read(&options),
        false => json!({}),
    };
    let names = options["names"].as_array().cloned().unwrap_or_default();
    let names = names.iter().filter_map(Value::as_str);
    let wanted = Wanted {
        names: names.map(DestinationName::new).collect(),
        alone: options["alone"] == true,
    };
    let options = Options {
        approve_deletions: options["approveDeletions"] == true,
        scheduled: options["scheduled"] == true,
        only: None,
        after_pre_script: options["afterPreScript"] == true,
    };
    World {
        config: read(&folder.join("config.json")),
        inventory: read(&folder.join("inventory.json")),
        options,
        wanted,
    }
}

#[test]
fn every_folder_gives_the_plan_beside_it() {
    if bless() {
        generated_folders_are_as_generated();
    }
    let mut folders: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("config.json").exists())
        .collect();
    folders.sort();
    assert!(folders.len() >= 34, "{} folders", folders.len());
    let failed: Vec<&PathBuf> = folders
        .iter()
        .filter(|folder| catch_unwind(AssertUnwindSafe(|| one_folder(folder))).is_err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn one_folder(folder: &Path) {
    let world = load(folder);
    let (config, inventory) = (world.config(), world.inventory.clone());
    let plan = world.plan();
    holds_of_every_plan(&plan, &inventory);
    let present = Present {
        config: &config,
        host: &inventory.host,
        machine: inventory.machine,
        privileged: inventory.privileged,
    };
    assert_eq!(find_difference(&plan, &present, true), None);
    for (name, chain, inventory) in chains_of(&plan, &inventory) {
        let config = &config.view(&name).unwrap();
        deletes_what_may_go(&chain, &Present { config, ..present }, &inventory);
    }
    chains_are_the_plans_of_each_alone(&world, &plan);

    let bytes = serde_json::to_vec(&plan).unwrap();
    for again in [inventory.clone(), reversed(inventory)] {
        let again = World {
            inventory: again,
            ..world.clone()
        };
        let again = again.plan();
        assert_eq!(bytes, serde_json::to_vec(&again).unwrap());
    }
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(folder.canonicalize().unwrap());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("plan", readable(&plan)));
}

/// The rules let go what the plan deletes, also when the first of it is gone already.
fn deletes_what_may_go(plan: &Plan, present: &Present<'_>, inventory: &Inventory) {
    let Some(mut found) = inventory.destination.clone() else {
        return;
    };
    assert_eq!(find_undue_deletion(plan, present, &found), None);
    for step in &plan.steps {
        let deletions = match &step.action {
            Action::Delete(step) => &step.rotation.deletions,
            Action::Rotate(step) => &step.on_complete.deletions,
            _ => continue,
        };
        for gone in deletions {
            found.snapshots.retain(|one| one.record.id != gone.id);
            found.links.retain(|link| link.id != gone.id);
            assert_eq!(find_undue_deletion(plan, present, &found), None);
        }
    }
}

/// Each destination's plan as it would be alone, and its inventory; the base's first.
fn chains_of(plan: &Plan, inventory: &Inventory) -> Vec<(DestinationName, Plan, Inventory)> {
    let base = DestinationName::new(DestinationName::LOCAL);
    let names = [base].into_iter().chain(plan.chains.keys().cloned());
    names
        .map(|name| {
            let (chain, found) = (plan.chain(&name).unwrap(), inventory.view(&name));
            (name, chain, found)
        })
        .collect()
}

/// The chain of a destination in the plan for all is what the plan for it alone would be, but for the name of
/// the run, what the other destinations' last good backups are, what content comes from there, and a script that any
/// of them waits for.
fn chains_are_the_plans_of_each_alone(world: &World, joined: &Plan) {
    if joined.chains.is_empty() || (joined.is_made_in_two() && !world.options.after_pre_script) {
        return;
    }
    let config = world.config();
    let bare = |plan: Plan| {
        let steps = plan.steps.into_iter().map(|mut step| {
            match &mut step.action {
                Action::Notify(notify) => notify.last_good = None,
                Action::Snapshot(snapshot) => snapshot.content_from = Vec::new(),
                _ => {}
            }
            step
        });
        let steps: Vec<Step> = steps.collect();
        let codes = plan.findings.into_iter().map(|finding| finding.code);
        (
            codes.collect::<Vec<String>>(),
            steps,
            plan.totals,
            plan.bound_to,
        )
    };
    for (name, chain, inventory) in chains_of(joined, &world.inventory) {
        let is_taken_out = chain
            .findings
            .iter()
            .any(|one| one.code == code::DESTINATION_TWICE);
        let is_left_out = !world.wanted.has(&name) || !config.names().contains(&name);
        // A remote's hangs on the disks that it gets snapshots from.
        let is_left_out = is_left_out || config.remote_options(&name).is_some();
        if is_taken_out || is_left_out {
            continue;
        }
        let options = Options {
            only: world.wanted.alone.then_some(Part::Local),
            ..world.options
        };
        let mut alone = planner::plan(&config.view(&name).unwrap(), &inventory, &options);
        alone.findings.retain(|one| one.code != code::ONLY_ONE_PART);
        assert_eq!(bare(chain), bare(alone), "{name}");
    }
}

/// The laws that a plan can break on its own.
fn holds_of_every_plan(plan: &Plan, inventory: &Inventory) {
    assert_eq!(graph::check_graph(&plan.steps), Ok(()));
    assert_eq!(lint::check(plan, inventory), []);
    if let Some(destination) = inventory
        .destination
        .as_ref()
        .filter(|_| plan.chains.is_empty())
    {
        assert_eq!(lint::check_continued(plan, destination), []);
    }
    assert_eq!(plan.digest, plan.expected_digest());
    let back: Plan = serde_json::from_slice(&serde_json::to_vec(plan).unwrap()).unwrap();
    assert_eq!(back, *plan);
    for finding in &plan.findings {
        let Finding { severity, hint, .. } = finding;
        assert!(
            *severity < Severity::Warning || hint.is_some(),
            "{finding:?}"
        );
        assert!(!finding.message.ends_with('.'), "{finding:?}");
    }
    if !plan.chains.is_empty() {
        for (_, chain, inventory) in chains_of(plan, inventory) {
            holds_of_every_plan(&chain, &inventory);
        }
        return;
    }
    let refused = plan.severity() >= Some(Severity::Deferral);
    // Only the copy to the cloud is made while the rest is deferred until the disk is back.
    let live = |step: &Step| match &step.action {
        Action::CloudSync(sync) => sync.live.is_some(),
        Action::PreScript(_) | Action::PlanAgain => true,
        other => other.is_about_others(),
    };
    // A script that had run before it was planned is in it.
    let deferred = plan.severity() == Some(Severity::Deferral) || plan.is_made_in_two();
    let served = deferred && plan.steps.iter().all(live);
    assert!(!(refused && plan.does_something()) || served);
    let Some(destination) = &inventory.destination else {
        return;
    };
    for rotation in plan.steps.iter().flat_map(rotations) {
        newest_good_stays(rotation, plan, destination);
        assert!(rotation.deletions.is_empty() || rotation.withheld.is_empty());
        assert_eq!(
            rotation.withheld.is_empty(),
            rotation.withheld_because.is_none()
        );
        let total = rotation.keep.len() + rotation.deletions.len() + rotation.withheld.len();
        let left = destination.snapshots.len() - made_room(plan, destination);
        assert_eq!(total, left + 1);
    }
}

/// How many snapshots go first to make room: only what can, and only where a snapshot follows.
fn made_room(plan: &Plan, destination: &DestinationState) -> usize {
    let rooms = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Delete(step) => Some(&step.rotation.deletions),
        _ => None,
    });
    let gone: Vec<_> = rooms.flatten().map(|one| one.id).collect();
    if !gone.is_empty() {
        let now = plan.created_at;
        let counts = |one: &&schema::inventory::SnapshotState| {
            let suspect = !one.record.suspect.is_empty() && !one.marks.accepted;
            one.record.complete && !suspect && one.record.started_at <= now
        };
        let good = destination.snapshots.iter().filter(counts);
        let good = good.max_by_key(|one| one.record.started_at);
        let good = good.map(|good| good.record.id);
        let basis = choose_basis(destination, now).map(|basis| basis.id);
        assert!(plan.snapshot().is_some());
        for one in &destination.snapshots {
            let id = one.record.id;
            let suspect = !one.record.suspect.is_empty() && !one.marks.accepted;
            let stays = suspect || one.marks.pinned || Some(id) == good || Some(id) == basis;
            assert!(!(stays && gone.contains(&id)), "{id}");
        }
        assert!(
            !destination
                .snapshots
                .iter()
                .all(|one| gone.contains(&one.record.id))
        );
    }
    gone.len()
}

fn rotations(step: &Step) -> Vec<&Rotation> {
    match &step.action {
        Action::Rotate(step) => {
            let also = step.on_incomplete.as_deref();
            [&step.on_complete].into_iter().chain(also).collect()
        }
        _ => vec![],
    }
}

/// Law 7, by the letter: the newest that is not suspect and not from the future, the new one among
/// them unless it is sure to be suspect. Without a new snapshot nothing goes at all.
fn newest_good_stays(rotation: &Rotation, plan: &Plan, destination: &DestinationState) {
    let new = plan.snapshot().unwrap();
    let lost = new
        .sources
        .iter()
        .any(|source| !source.present && new.suspect_when.had_files.contains(&source.path));
    let emptied = |finding: &Finding| finding.code == code::SOURCE_EMPTY;
    let doubtful = lost || plan.findings.iter().any(emptied);
    assert!(!doubtful || rotation.deletions.is_empty());
    let found = destination.snapshots.iter().filter(|one| {
        let suspect = !one.record.suspect.is_empty() && !one.marks.accepted;
        !suspect && one.record.started_at <= plan.created_at
    });
    let newest = found
        .map(|one| (one.record.started_at, one.record.id))
        .chain((!doubtful).then_some((plan.created_at, new.id)))
        .max()
        .map(|(_, id)| id);
    let mut deleted = rotation.deletions.iter();
    assert!(deleted.all(|one| Some(one.id) != newest), "{newest:?}");
    if let Some(latest) = &rotation.latest {
        assert!(latest.ends_with(&newest.unwrap().to_string()));
    }
}

/// The same inventory with its lists read in the opposite order.
fn reversed(mut inventory: Inventory) -> Inventory {
    if let Some(found) = &mut inventory.destination {
        found.snapshots.reverse();
        found.links.reverse();
        found.unmanaged.reverse();
        found.partial.reverse();
        found.trash.reverse();
    }
    inventory.sources.reverse();
    inventory.known_destinations.reverse();
    for other in inventory.others.values_mut() {
        other.sources.reverse();
        if let Some(found) = &mut other.destination {
            found.snapshots.reverse();
            found.links.reverse();
        }
    }
    inventory
}

#[test]
fn generated_folders_are_as_generated() {
    let bless = bless();
    for (name, world) in scenarios::all() {
        let folder = folder().join(name);
        let mut options = json!({});
        if world.options.approve_deletions {
            options["approveDeletions"] = json!(true);
        }
        if world.options.scheduled {
            options["scheduled"] = json!(true);
        }
        if world.options.after_pre_script {
            options["afterPreScript"] = json!(true);
        }
        if !world.wanted.names.is_empty() {
            options["names"] = json!(world.wanted.names);
            options["alone"] = json!(world.wanted.alone);
        }
        let inventory = serde_json::to_value(&world.inventory).unwrap();
        let mut files = vec![
            ("config.json", world.config.clone()),
            ("inventory.json", inventory),
        ];
        if options != json!({}) {
            files.push(("options.json", options));
        }
        for (file, value) in files {
            let mut text = String::new();
            write(&mut text, &value, 0, true);
            text.push('\n');
            let path = folder.join(file);
            if bless {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, text).unwrap();
            } else {
                let written = fs::read_to_string(&path).unwrap_or_default();
                assert!(written == text, "{} needs BLESS=1", path.display());
            }
        }
    }
}

#[test]
fn a_year_of_runs_keeps_every_link_whole() {
    let mut world = World::new("2024-01-16T02:00:00+01:00");
    for _ in 0..366 {
        let before = world.plan();
        assert!(before.totals.deletions <= 3, "{}", before.run_id);
        assert_eq!(before.severity().filter(|it| *it > Severity::Note), None);
        world.run();
        let found = world.inventory.destination.as_ref().unwrap();
        let there: Vec<String> = found
            .snapshots
            .iter()
            .map(|one| format!("{}/{}", one.home, one.record.id))
            .collect();
        assert_eq!(before.totals.kept, there.len() as u64);
        for link in &found.links {
            let target = link.target.strip_prefix("../").unwrap().to_owned();
            assert!(there.contains(&target), "{link:?}");
            assert!(!there.contains(&format!("{}/{}", link.tier, link.id)));
        }
        assert!(there.contains(found.latest.as_ref().unwrap()));
        for tier in Tier::ALL {
            let folders = there.iter().filter(|name| name.starts_with(tier.folder()));
            let links = found.links.iter().filter(|link| link.tier == tier);
            let most = if tier == Tier::Daily { 3 } else { 2 };
            assert!(folders.count() + links.count() <= most, "{tier}: {there:?}");
        }
        world.next_night();
    }
}

#[test]
fn the_basis_of_the_scan_is_the_basis_of_the_plan() {
    for (name, world) in scenarios::all() {
        let found = world.inventory.destination.as_ref();
        let before = found.and_then(|found| choose_basis(found, world.inventory.taken_at));
        if let Some(snapshot) = world.plan().snapshot() {
            assert_eq!(snapshot.basis, before, "{name}");
        }
    }
}

/// A saved plan and the world that it was made from.
fn saved() -> (SavedPlan, World) {
    let world = World::nightly("2025-01-13", 3);
    let saved = SavedPlan {
        config: world.config(),
        plan: world.plan(),
    };
    (saved, world)
}

fn messages(saved: &SavedPlan, world: &World) -> Vec<String> {
    let findings = staleness(saved, &world.config(), &world.inventory);
    for finding in &findings {
        assert!(finding.severity >= Severity::Deferral && finding.hint.is_some());
    }
    findings.into_iter().map(|it| it.message).collect()
}

#[test]
fn a_plan_is_applied_as_long_as_nothing_changed() {
    let (saved, mut world) = saved();
    assert!(messages(&saved, &world).is_empty());
    world.inventory.taken_at = time("2025-01-17T01:59:00+01:00");
    let found = world.inventory.destination.as_mut().unwrap();
    found.free_bytes -= 1;
    found.snapshots.reverse();
    assert!(messages(&saved, &world).is_empty());
}

#[test]
fn a_stale_plan_says_what_changed() {
    let (saved, world) = saved();
    let says = |world: World, expected: &[&str]| assert_eq!(messages(&saved, &world), expected);
    says(
        world
            .clone()
            .set("local.keepDaily", json!(1))
            .set("hostname", json!("atlas")),
        &[
            "the config changed: hostname was null and is \"atlas\"",
            "the config changed: local.keepDaily was 3 and is 1",
        ],
    );
    says(
        world.clone().at("2025-01-17T02:00:01+01:00"),
        &[
            "the plan was made 2025-01-16 02:00, more than 24 hours ago, and its snapshot would \
           carry that time",
        ],
    );
    says(
        world.clone().at("2025-01-16T01:54:00+01:00"),
        &["the plan was made 2025-01-16 02:00, which is in the future"],
    );
    says(
        world
            .clone()
            .snapshot("2025-01-14_02-00-00", |one| one.marks.pinned = true),
        &["the destination changed: marks, links or leftovers are not as they were"],
    );
    says(
        world.clone().destination(|found| {
            found.snapshots.remove(0);
            found.snapshots[0].home = Tier::Weekly;
        }),
        &[
            "monthly/2025-01-13_02-00-00 is gone",
            "daily/2025-01-14_02-00-00 is weekly/2025-01-14_02-00-00 now",
        ],
    );
    says(
        world.clone().destination(|found| {
            found.record.as_mut().unwrap().id = "other".to_owned();
        }),
        &["the destination was `6f1d1c1e-0c3b-8a55-9d0a-3f5c2f1b7a10` and is `other`"],
    );
    says(
        world.clone().destination(|found| {
            found.mounted = false;
            found.record = None;
            found.snapshots.clear();
        }),
        &[
            "destination not mounted: /mnt/backup (local.mountPoint) is a folder with nothing \
           mounted on it",
        ],
    );
    let mut later = world.clone();
    later.run();
    assert!(messages(&saved, &later).contains(&"daily/2025-01-16_02-00-00 is new".to_owned()));
    let mut other = world;
    other.inventory.host = "hermes".to_owned();
    says(other, &["the plan is for atlas, and this is hermes"]);
}

#[test]
fn an_altered_plan_is_refused() {
    let (saved, world) = saved();
    let altered = |change: fn(&mut SavedPlan)| {
        let mut altered = saved.clone();
        change(&mut altered);
        messages(&altered, &world)
    };
    let expected = [format!(
        "the plan {} was altered after it was made",
        saved.plan.run_id
    )];
    assert_eq!(altered(|it| it.plan.totals.kept += 1), expected);
    assert_eq!(altered(|it| it.config.local.keep_daily = 9), expected);
}

#[test]
fn a_plan_is_drawn_in_both_languages() {
    let world = World::new("2025-01-16T02:00:00+01:00").set("postBackupScript", json!("/run/x"));
    let plan = world.plan();
    assert_eq!(
        graph::mermaid(&plan),
        r#"flowchart LR
  destination-check["destination-check<br/>/mnt/backup/atlas"]
  space-check["space-check"]
  snapshot["snapshot<br/>2025-01-16_02-00-00"]
  rotate["rotate"]
  post-script["post-script<br/>/run/x"]
  destination-check --> space-check
  space-check --> snapshot
  snapshot --> rotate
  destination-check -.-> post-script
  space-check -.-> post-script
  snapshot -.-> post-script
  rotate -.-> post-script
"#
    );
    let dot = graph::dot(&plan);
    assert!(dot.starts_with("digraph plan {\n"), "{dot}");
    assert!(dot.contains(r#""snapshot" [label="snapshot\n2025-01-16_02-00-00"];"#));
    assert!(dot.contains("\"rotate\" -> \"post-script\" [style=dashed];\n"));
}

//! Facts about what is kept, moved, linked and deleted.

use schema::{
    FailureCode, Tier,
    inventory::{Presence, SnapshotState, SourceScan},
    record::SnapshotMarks,
};
use serde_json::json;

use super::{
    super::world::{GIB, World, id, source, time},
    Scenario,
};

pub(crate) fn all() -> Vec<Scenario> {
    // 2025-01-12 is a Sunday.
    let week = || World::nightly("2025-01-06", 6);
    let suspect = |one: &mut SnapshotState| {
        one.record.suspect = vec!["it has 12 entries, its basis has 1000".to_owned()];
    };
    vec![
        ("the-sunday-snapshot-becomes-the-weekly", week()),
        (
            "monday-stands-for-the-week-when-sunday-was-missed",
            week().at("2025-01-13T02:00:00+01:00"),
        ),
        (
            "a-week-may-start-on-monday",
            week()
                .at("2025-01-13T02:00:00+01:00")
                .set("local.weekStartsOn", json!("monday")),
        ),
        (
            "the-first-of-the-month-becomes-the-monthly",
            World::nightly("2025-01-26", 6),
        ),
        (
            "an-expired-monthly-is-deleted",
            World::nightly("2024-12-30", 33),
        ),
        (
            "a-second-run-on-one-day-supersedes-the-first",
            World::nightly("2025-01-14", 3).at("2025-01-16T14:30:00+01:00"),
        ),
        (
            "two-runs-on-one-day-both-stay-among-the-last",
            World::nightly("2025-01-14", 3)
                .at("2025-01-16T14:30:00+01:00")
                .set("local.keepLast", json!(3)),
        ),
        ("hours-and-years-have-tiers-of-their-own", hours_and_years()),
        (
            "without-dailies-only-the-newest-and-longer-tiers-stay",
            World::nightly("2025-01-13", 3).set("local.keepDaily", json!(0)),
        ),
        (
            "a-pinned-snapshot-stays",
            World::nightly("2025-01-13", 4)
                .snapshot("2025-01-14_02-00-00", |one| one.marks.pinned = true),
        ),
        (
            "the-newest-verified-snapshot-stays",
            World::nightly("2025-01-13", 4).snapshot("2025-01-14_02-00-00", |one| {
                one.marks.verified_at = Some(time("2025-01-14T12:00:00+01:00"));
            }),
        ),
        ("a-snapshot-from-the-future-counts-for-nothing", future()),
        (
            "unmanaged-folders-are-left-alone",
            week()
                .unmanaged(Tier::Daily, "before-upgrade")
                .unmanaged(Tier::Weekly, "2024-06-02_02-00-00")
                .link(
                    Tier::Daily,
                    "2024-06-02_02-00-00",
                    "../weekly/2024-06-02_02-00-00",
                ),
        ),
        (
            "a-snapshot-whose-record-is-damaged-stays-and-is-no-basis",
            World::nightly("2025-01-10", 4)
                .destination(|found| {
                    let newest = found.snapshots.pop().unwrap();
                    assert_eq!(newest.record.id, id("2025-01-13_02-00-00"));
                    found.snapshots[0].marks_fault = Some("cannot read marks.json: EOF".to_owned());
                    found.snapshots[0].marks.pinned = true;
                    found.rotation_fault = Some("cannot read rotation.json: EOF".to_owned());
                })
                .record_damaged(Tier::Daily, "2025-01-13_02-00-00"),
        ),
        (
            "a-snapshot-does-not-move-onto-an-unmanaged-folder",
            // Weeklies are kept anew, and Sunday's cannot go where it should.
            World::nightly("2025-01-10", 4)
                .snapshot("2025-01-12_02-00-00", |one| one.home = Tier::Daily)
                .destination(|found| found.links.retain(|l| l.id != id("2025-01-12_02-00-00")))
                .unmanaged(Tier::Weekly, "2025-01-12_02-00-00"),
        ),
        ("more-than-three-deletions-need-approval", lowered()),
        ("approved-deletions-are-made", {
            let mut world = lowered();
            world.options.approve_deletions = true;
            world
        }),
        (
            "waiting-is-no-approval",
            // Withheld before, and so many were sealed since that they would account for it.
            lowered().destination(|found| {
                let rotation = found.rotation.as_mut().unwrap();
                rotation.rotated_at = time("2025-01-11T12:00:00+01:00");
                rotation.unapproved = vec![id("2025-01-06_02-00-00")];
            }),
        ),
        ("what-the-policy-lets-go-makes-room", full()),
        (
            "what-makes-room-is-approved-like-all-deletions",
            full()
                .set("local.keepDaily", json!(1))
                .set("local.keepWeekly", json!(0)),
        ),
        (
            "the-oldest-make-room-where-they-may",
            full()
                .set("local.keepDaily", json!(9))
                .set("local.makeRoom", json!("oldest")),
        ),
        (
            "the-oldest-make-no-room-where-they-may-not",
            full().set("local.keepDaily", json!(9)),
        ),
        (
            "a-few-make-room-where-the-oldest-would-be-too-many",
            one_film().set("local.makeRoom", json!("oldest")),
        ),
        ("what-is-offered-to-be-deleted-is-what-it-takes", one_film()),
        (
            "no-room-is-made-where-none-may-be",
            full().set("local.makeRoom", json!("never")),
        ),
        (
            "the-newest-good-snapshot-makes-no-room",
            World::nightly("2025-01-13", 1)
                .at("2025-01-13T14:00:00+01:00")
                .destination(|found| found.free_bytes = 10 * GIB),
        ),
        (
            // Until the new one is sealed it is the only one that lacks nothing.
            "the-newest-complete-snapshot-makes-no-room",
            World::nightly("2025-01-13", 2)
                .set("local.keepDaily", json!(1))
                .set("local.keepWeekly", json!(0))
                .set("local.keepMonthly", json!(0))
                .snapshot("2025-01-14_02-00-00", |one| one.record.complete = false)
                .destination(|found| found.free_bytes = 10 * GIB),
        ),
        ("deletions-are-withheld-when-a-source-vanished", {
            let mut world = lowered().add_source(source("/etc/nixos", "8:2", 12));
            world.options.approve_deletions = true;
            world.source(|home| {
                home.presence = Presence::Missing;
                home.place = None;
                home.scan = SourceScan::default();
            })
        }),
        (
            "deletions-that-failed-before-are-allowed-for",
            // Another was sealed since the last rotation.
            lowered().destination(|found| {
                let rotation = found.rotation.as_mut().unwrap();
                rotation.rotated_at = time("2025-01-11T12:00:00+01:00");
            }),
        ),
        (
            "a-suspect-snapshot-blocks-deletion",
            World::nightly("2025-01-13", 5)
                .snapshot("2025-01-15_02-00-00", suspect)
                .set("local.keepDaily", json!(2)),
        ),
        (
            "an-accepted-suspect-snapshot-counts",
            World::nightly("2025-01-13", 4)
                .snapshot("2025-01-16_02-00-00", suspect)
                .snapshot("2025-01-16_02-00-00", |one| one.marks.accepted = true),
        ),
        (
            "a-suspect-snapshot-is-the-basis-and-never-the-reference",
            World::nightly("2025-01-13", 2).snapshot("2025-01-14_02-00-00", suspect),
        ),
        (
            "a-snapshot-with-errors-is-the-basis-and-the-reference",
            World::nightly("2025-01-13", 3)
                .snapshot("2025-01-15_02-00-00", |one| one.record.complete = false),
        ),
        (
            "a-snapshot-whose-manifest-cannot-be-read-is-no-basis",
            World::nightly("2025-01-13", 3).snapshot("2025-01-15_02-00-00", |one| {
                one.manifest_fault = Some("the digest is another one".to_owned());
            }),
        ),
        (
            "a-snapshot-whose-tree-cannot-be-read-is-no-basis",
            World::nightly("2025-01-13", 3).snapshot("2025-01-15_02-00-00", |one| {
                one.manifest_fault = Some("cannot open its folder: input/output error".to_owned());
                one.manifest_fault_code = Some(FailureCode::TreeUnreadable);
            }),
        ),
        (
            "what-a-clock-that-was-ahead-made-is-the-basis-of-the-next",
            World::nightly("2025-01-13", 3)
                .numbered()
                .snapshot("2025-01-15_02-00-00", years_ahead),
        ),
        (
            "what-a-clock-that-was-ahead-made-is-the-basis-once",
            World::nightly("2025-01-13", 3)
                .numbered()
                .snapshot("2025-01-14_02-00-00", years_ahead),
        ),
        ("links-that-lead-nowhere-are-mended", broken_links()),
        (
            "a-machine-that-was-off-for-a-year-deletes-little",
            World::nightly("2023-12-01", 40).at("2025-01-16T02:00:00+01:00"),
        ),
        ("the-default-policy-after-a-year", default_policy()),
        (
            "the-hour-that-comes-twice-gives-two-ids",
            World::new("2025-10-26T02:30:00+02:00").twice("2025-10-26T02:30:00+01:00"),
        ),
        (
            "the-day-is-the-local-one-when-clocks-go-forward",
            // Still the 30th in UTC.
            World::nightly("2025-03-28", 2).at("2025-03-31T00:30:00+02:00"),
        ),
        ("what-a-branch-shares-is-not-promised", branch()),
    ]
}

/// Made under a clock that was years ahead.
fn years_ahead(one: &mut SnapshotState) {
    let record = &mut one.record;
    record.started_at = time("2031-05-05T02:00:00+01:00");
    record.sealed_at = time("2031-05-05T02:05:00+01:00");
    record.day = record.started_at.date_naive();
    record.id = id("2031-05-05_02-00-00");
}

impl World {
    /// Runs once now and is then at another time.
    fn twice(mut self, now: &str) -> Self {
        self.run();
        self.at(now)
    }
}

/// One snapshot was made while the clock was a year ahead.
fn future() -> World {
    let mut world = World::nightly("2025-01-13", 3);
    world.inventory.taken_at = time("2026-01-16T02:00:00+01:00");
    world.run();
    world.at("2025-01-16T02:00:00+01:00")
}

/// A disk that lacks 70 MiB for the next snapshot.
fn full() -> World {
    World::nightly("2025-01-13", 4).destination(|found| {
        found.free_bytes = 10 * GIB + 1_000_000_000;
        for one in &mut found.snapshots {
            let stored = &one.record.stored_by;
            one.record.files_stored_by = stored.keys().map(|id| (*id, 80)).collect();
        }
    })
}

/// A full disk on which most snapshots are small, and a later one alone has a film.
fn one_film() -> World {
    let mut world = World::new("2025-01-07T02:00:00+01:00").set("local.keepDaily", json!(99));
    for _ in 0..10 {
        world.run();
        world.next_night();
    }
    world
        .snapshot("2025-01-13_02-00-00", |one| {
            let id = one.record.id;
            one.record.stored_by.insert(id, 4 * GIB);
        })
        .destination(|found| found.free_bytes = 9 * GIB)
}

/// The person now keeps far less than before.
fn lowered() -> World {
    let mut world = World::new("2025-01-05T02:00:00+01:00").set("local.keepDaily", json!(7));
    for _ in 0..8 {
        world.run();
        world.next_night();
    }
    world.set("local.keepDaily", json!(1))
}

/// Runs every three hours over the turn of a year.
fn hours_and_years() -> World {
    let mut world = World::new("2024-12-31T12:00:00+01:00")
        .set("local.keepLast", json!(2))
        .set("local.keepHourly", json!(3))
        .set("local.keepYearly", json!(2));
    for _ in 0..6 {
        world.run();
        world.inventory.taken_at += chrono::TimeDelta::hours(3);
    }
    world
}

fn broken_links() -> World {
    World::nightly("2025-01-11", 3)
        .destination(|found| {
            found.latest = Some("daily/2024-12-01_02-00-00".to_owned());
            // A link that points elsewhere than it should.
            let mut links = found.links.iter_mut();
            links.next().unwrap().target = "../weekly/2024-12-01_02-00-00".to_owned();
        })
        // One whose snapshot is gone, and one that retention does not want.
        .link(
            Tier::Daily,
            "2024-12-01_02-00-00",
            "../monthly/2024-12-01_02-00-00",
        )
        .link(
            Tier::Monthly,
            "2025-01-12_02-00-00",
            "../weekly/2025-01-12_02-00-00",
        )
}

fn default_policy() -> World {
    let mut world = World::new("2024-01-16T02:00:00+01:00");
    world.config["local"] = json!({
        "enable": true, "useRsync": false, "sources": ["/home"], "excludePatterns": [],
    });
    for _ in 0..366 {
        world.run();
        world.next_night();
    }
    world
}

/// A snapshot that was suspect and then accepted, beside another on the same basis, which is gone.
fn branch() -> World {
    let stored = [("2025-01-12_02-00-00", 8 * GIB)].map(|(id, b)| (super::super::world::id(id), b));
    World::nightly("2025-01-13", 3)
        .snapshot("2025-01-13_02-00-00", |one| {
            one.record.basis = Some(id("2025-01-12_02-00-00"));
            one.record.stored_by.extend(stored);
            one.record.suspect = vec!["most of its files changed".to_owned()];
            one.marks = SnapshotMarks {
                accepted: true,
                ..SnapshotMarks::default()
            };
        })
        .snapshot("2025-01-14_02-00-00", |one| {
            one.record.basis = Some(id("2025-01-12_02-00-00"));
            one.record.stored_by =
                [(id("2025-01-12_02-00-00"), 5 * GIB), (one.record.id, GIB)].into();
        })
        .snapshot("2025-01-15_02-00-00", |one| {
            one.record
                .stored_by
                .insert(id("2025-01-12_02-00-00"), 4 * GIB);
            one.record.stored_by.remove(&id("2025-01-13_02-00-00"));
        })
        .set("local.keepDaily", json!(2))
        .set("local.keepWeekly", json!(0))
        .set("local.keepMonthly", json!(0))
}

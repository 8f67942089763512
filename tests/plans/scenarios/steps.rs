//! Facts about the steps: their order, what runs in any case, leftovers, and what defers a run.

use schema::inventory::Power;
use serde_json::{Value, json};

use super::{
    super::world::{GIB, World},
    Scenario,
};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

pub(crate) fn all() -> Vec<Scenario> {
    let new = || World::new(NIGHT);
    let scripts = || {
        new()
            .set("preBackupScript", json!("/run/before"))
            .set("postBackupScript", json!("/run/after"))
            .set("notifications", notifications())
    };
    vec![
        ("every-step-has-its-place", scripts()),
        (
            "the-cloud-copy-follows-the-rotation",
            scripts()
                .set("cloud.enable", json!(true))
                .set("cloud.syncMode", json!("copy"))
                .set("cloud.bandwidthLimit", json!("10M"))
                .set("cloud.configFile", json!("/etc/rclone-proton.conf")),
        ),
        (
            "any-rclone-remote-can-hold-the-copy",
            new()
                .set("cloud.enable", json!(true))
                .set("cloud.syncMode", json!("copy"))
                .set("cloud.provider", json!("custom"))
                .set("cloud.remote", json!("vault:bucket"))
                .set("cloud.remotePath", json!("/deep/er/")),
        ),
        (
            "a-failed-pre-script-may-be-tolerated",
            scripts().set("onPreBackupFailure", json!("warn")),
        ),
        (
            "post-script-and-notification-run-even-when-refused",
            scripts().destination(|found| found.read_only = true),
        ),
        (
            "where-the-destination-is-away-the-pre-script-runs-first",
            scripts().destination(|found| found.mounted = false),
        ),
        ("what-a-pre-script-did-not-mount-is-refused-after-it", {
            let mut world = scripts().destination(|found| found.mounted = false);
            world.options.after_pre_script = true;
            world
        }),
        ("a-run-on-battery-is-deferred", {
            let mut world = on_battery(scripts());
            world.options.scheduled = true;
            world
        }),
        ("a-person-may-run-on-battery", on_battery(new())),
        (
            "an-interrupted-deletion-is-ended-first",
            World::nightly("2025-01-14", 2)
                .trash("2025-01-10_02-00-00", 2 * GIB, 1000)
                .trash("2025-01-09_02-00-00", GIB, 1000),
        ),
        (
            "an-unfinished-snapshot-is-continued",
            World::nightly("2025-01-14", 1).partial("2025-01-15_02-00-00", GIB / 4, 300),
        ),
        (
            "of-several-partials-the-newest-is-continued",
            World::nightly("2025-01-13", 1)
                .partial("2025-01-15_02-00-00", GIB / 4, 300)
                .partial("2025-01-14_02-00-00", GIB / 8, 150),
        ),
        (
            "a-partial-older-than-a-snapshot-is-thrown-away",
            World::nightly("2025-01-14", 2).partial("2025-01-14_02-00-07", GIB / 4, 300),
        ),
        (
            "a-name-that-is-taken-is-not-used-again",
            new()
                .partial("2025-01-16_02-00-00", GIB / 4, 300)
                .trash("2025-01-16_02-00-01", GIB, 1000)
                .unmanaged(schema::Tier::Monthly, "2025-01-16_02-00-02"),
        ),
        ("the-cloud-alone-has-no-local-steps", {
            let mut world = scripts()
                .set("local.enable", json!(false))
                .set("cloud", json!({"enable": true}));
            world.inventory.destination = None;
            world
        }),
        ("the-cloud-alone-is-compared-with-the-last-upload", {
            let mut world = new()
                .set("local.enable", json!(false))
                .set("cloud", json!({"enable": true, "syncMode": "copy"}));
            world.inventory.destination = None;
            let memory = json!({
                "last": {
                    "format_version": 1,
                    "id": "2025-01-15_02-00-00",
                    "attempt": 3,
                    "uploaded_at": "2025-01-15T03:00:00+01:00",
                    "files": 800,
                    "bytes": 20_000_000_000_u64,
                    "manifest_digest": schema::Digest([0; 32]),
                    "made_by": "backup 0.1.0",
                    "not_uploaded": [],
                },
                "uploaded": ["2025-01-15_02-00-00", "2025-01-16_02-00-00"],
            });
            let state = json!({"rclone": {"version": "1.75.2", "fault": null},
                "memory": memory, "pending": {"upload_files": 0, "upload_bytes": 0,
                "replaced_files": 0, "gone_files": 0}});
            world.inventory.cloud = serde_json::from_value(state).unwrap();
            world
        }),
        (
            "what-the-cloud-holds-back-is-told-and-no-history-goes",
            remembered(
                json!({"withheld": {"files": 8, "because": "8 of 100 would go"}}),
                "2025-06-20",
            ),
        ),
        (
            "history-in-the-cloud-goes-when-three-days-agree",
            remembered(json!({}), "2025-06-20"),
        ),
        (
            "one-clock-that-jumped-lets-no-history-go",
            remembered(json!({}), "2025-01-16"),
        ),
        (
            "what-the-cloud-has-is-given-back",
            uploaded("2025-01-16T02:00:00+01:00"),
        ),
        (
            "under-a-clock-that-jumped-the-last-good-snapshot-is-not-given-back",
            uploaded("2031-01-16T02:00:00+01:00"),
        ),
        ("the-cloud-alone-needs-its-sources", {
            let mut world = new()
                .set("local.enable", json!(false))
                .set("cloud", json!({"enable": true}));
            world.inventory.destination = None;
            world.inventory.sources.clear();
            world
        }),
        ("when-nothing-is-enabled-nothing-is-done", {
            let mut world = scripts().set("local", json!({}));
            world.inventory.destination = None;
            world.inventory.sources.clear();
            world
        }),
        (
            "an-inventory-of-another-config-is-refused",
            new().set("local.mountPoint", json!("/mnt/other")),
        ),
    ]
}

/// A run that moves to the cloud, which has the two snapshots that are here.
fn uploaded(now: &str) -> World {
    let mut world = World::nightly("2025-01-13", 2)
        .at(now)
        .set("cloud", json!({"enable": true, "syncMode": "move"}));
    let ids = ["2025-01-13_02-00-00", "2025-01-14_02-00-00"];
    let state = json!({"memory": {"uploaded": ids}});
    world.inventory.cloud = serde_json::from_value(state).unwrap();
    world
}

/// A run in a summer, whose last copies were made on two days before; with what the last one's record
/// says besides.
fn remembered(record: Value, last_run: &str) -> World {
    let mut world = World::new("2025-06-21T02:00:00+02:00")
        .set("local.enable", json!(false))
        .set("cloud", json!({"enable": true, "syncMode": "sync"}));
    world.inventory.destination = None;
    let seen =
        ["2025-01-14", "2025-01-15", "2025-01-16"].map(|day| format!("{day}T03:00:00+01:00"));
    let mut last = json!({
        "format_version": 1,
        "id": "2025-01-16_02-00-00",
        "attempt": 3,
        "uploaded_at": "2025-01-16T03:00:00+01:00",
        "files": 800,
        "bytes": 20_000_000_000_u64,
        "manifest_digest": schema::Digest([0; 32]),
        "made_by": "backup 0.1.0",
        "not_uploaded": [],
    });
    for (key, value) in record.as_object().unwrap() {
        last[key] = value.clone();
    }
    let runs = match last_run {
        "2025-06-20" => vec!["2025-06-19T03:00:00+02:00", "2025-06-20T03:00:00+02:00"],
        _ => vec!["2025-01-15T03:00:00+01:00", "2025-01-16T03:00:00+01:00"],
    };
    let memory = json!({
        "last": last,
        "uploaded": ["2025-01-14_02-00-00", "2025-01-16_02-00-00"],
        "history": [{"id": "2025-01-14_02-00-00", "since": seen[0], "seen": seen}],
        "runs": runs,
    });
    let state = json!({"rclone": {"version": "1.75.2", "fault": null}, "memory": memory,
        "pending": {"upload_files": 0, "upload_bytes": 0, "replaced_files": 0, "gone_files": 0}});
    world.inventory.cloud = serde_json::from_value(state).unwrap();
    world
}

fn on_battery(mut world: World) -> World {
    world.inventory.power = Power::Battery;
    world
}

fn notifications() -> Value {
    json!({"enable": true, "onSuccess": true, "command": "/run/tell"})
}

//! How lists look.

use planner::list_snapshots;
use schema::{Config, inventory::DestinationState};
use serde_json::json;

use super::*;
use crate::render::page::assert_fits;

/// A destination with these snapshots, as an inventory has it.
pub(crate) fn destination(snapshots: &serde_json::Value) -> DestinationState {
    serde_json::from_value(json!({
        "mount_point": "/mnt/backup",
        "present": true,
        "absent_because": null,
        "mounted": true,
        "read_only": false,
        "place": null,
        "file_system": "ext4",
        "file_system_uuid": null,
        "free_bytes": 549_755_813_888u64,
        "total_bytes": 1_000_203_091_968u64,
        "free_inodes": null,
        "record": null,
        "record_fault": null,
        "expected_capabilities": null,
        "snapshots": snapshots,
        "unmanaged": [{"tier": "daily", "name": "before\\040upgrade"}],
        "links": [
            {"tier": "daily", "id": "2025-01-12_02-00-00", "target": "../weekly/2025-01-12_02-00-00"},
            {"tier": "weekly", "id": "2025-01-01_02-00-00", "target": "../monthly/2025-01-01_02-00-00"},
        ],
        "latest": "daily/2025-01-16_02-00-00",
        "partial": [{"id": "2025-01-16_14-00-00", "bytes": 268_435_456, "entries": 300}],
        "trash": [{"id": "2024-12-01_02-00-00", "bytes": 1_073_741_824, "entries": 1}],
        "rotation": null,
    }))
    .unwrap()
}

/// A snapshot as an inventory has it.
pub(crate) fn snapshot(
    home: &str,
    id: &str,
    errors: u64,
    marks: &serde_json::Value,
) -> serde_json::Value {
    let day = &id[..10];
    let suspect = if marks["suspect"] == true {
        json!(["it has 12 entries, its basis has 1000"])
    } else {
        json!([])
    };
    json!({
        "home": home,
        "marks": {
            "pinned": marks["pinned"] == true,
            "accepted": marks["accepted"] == true,
            "verified_at": marks["verified"].as_str(),
        },
        "record": {
            "format_version": 1,
            "id": id,
            "host": "atlas",
            "run_id": format!("{id}-8c1f"),
            "started_at": format!("{day}T02:00:00+01:00"),
            "sealed_at": format!("{day}T02:03:00+01:00"),
            "day": day,
            "complete": errors == 0,
            "suspect": suspect,
            "basis": null,
            "engine": "built-in",
            "made_by": "backup 0.1.0",
            "sources": [],
            "exclude_patterns": [],
            "totals": schema::record::SnapshotTotals {
                files: 12_345,
                bytes: 36_721_970_381,
                bytes_copied: 1_181_116_006,
                errors,
                ..Default::default()
            },
            "stored_by": {id: 0},
            "manifest": "manifest.zst",
            "manifest_digest": schema::Digest([0; 32]),
            "problems": [],
        },
    })
}

pub(crate) fn few() -> DestinationState {
    let none = json!({});
    destination(&json!([
        snapshot(
            "monthly",
            "2025-01-01_02-00-00",
            0,
            &json!({"pinned": true, "verified": "2025-01-02T00:00:00Z"})
        ),
        snapshot("weekly", "2025-01-12_02-00-00", 3, &none),
        snapshot("daily", "2025-01-15_02-00-00", 0, &json!({"suspect": true})),
        snapshot("daily", "2025-01-16_02-00-00", 0, &none),
    ]))
}

#[test]
fn snapshots_are_listed_newest_first_and_the_rest_below() {
    let text = snapshot_list(
        None,
        &list_snapshots(
            &Config::default(),
            &few(),
            "2025-01-16T05:00:00+01:00".parse().unwrap(),
        ),
        &Style::PLAIN,
    );
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn the_view_says_the_same_to_programs() {
    let view = list_snapshots(
        &Config::default(),
        &few(),
        "2025-01-16T05:00:00+01:00".parse().unwrap(),
    );
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["snapshots"][0]["id"], "2025-01-16_02-00-00");
    assert_eq!(json["snapshots"][0]["age_seconds"], 3 * 3600);
    assert_eq!(json["snapshots"][3]["tiers"], json!(["weekly", "monthly"]));
    assert_eq!(json["unmanaged"][0]["tier"], "daily");
    assert_eq!(json["unfinished"][0]["entries"], 300);
    assert_eq!(json["snapshots"][0]["kept"][0]["kind"], "daily");
    assert_eq!(json["snapshots"][0]["expires"], json!(null));
}

#[test]
fn an_empty_destination_is_said_to_be_so() {
    let mut empty = destination(&json!([]));
    empty.unmanaged.clear();
    empty.partial.clear();
    empty.trash.clear();
    let text = snapshot_list(
        None,
        &list_snapshots(
            &Config::default(),
            &empty,
            "2025-01-16T05:00:00+01:00".parse().unwrap(),
        ),
        &Style::PLAIN,
    );
    assert_eq!(text, "No snapshots in /mnt/backup.\n");
}

//! Values for unit tests: a destination, an inventory and a plan of it.

use schema::{Config, Inventory, Plan, inventory::DestinationState};
use serde_json::{Value, json};

use crate::Options;

/// A destination with these snapshots, mounted or not.
pub(crate) fn destination(is_mounted: bool, snapshots: &Value) -> DestinationState {
    serde_json::from_value(json!({
        "mount_point": "/mnt/backup",
        "present": true,
        "mounted": is_mounted,
        "read_only": false,
        "file_system": "ext4",
        "free_bytes": 500_u64 << 30,
        "total_bytes": 1000_u64 << 30,
        "record": {
            "format_version": 1,
            "id": "disk",
            "host": "atlas",
            "created_at": "2024-01-01T12:00:00Z",
            "capabilities": schema::record::Capabilities::all(),
        },
        "snapshots": snapshots,
        "unmanaged": [],
        "links": [],
        "partial": [],
        "trash": [],
    }))
    .unwrap()
}

/// A daily snapshot of 02:00 on this day.
pub(crate) fn snapshot(day: &str, is_suspect: bool) -> Value {
    let suspect: &[&str] = if is_suspect { &["it is small"] } else { &[] };
    json!({
        "home": "daily",
        "marks": {"pinned": false, "accepted": false, "verified_at": null},
        "record": {
            "format_version": 1,
            "id": format!("{day}_02-00-00"),
            "host": "atlas",
            "run_id": "r",
            "started_at": format!("{day}T02:00:00Z"),
            "sealed_at": format!("{day}T02:03:00Z"),
            "day": day,
            "complete": true,
            "suspect": suspect,
            "basis": null,
            "engine": "built-in",
            "made_by": "backup",
            "sources": [{"path": "/home", "present": true, "mounted": false, "entries": 1000}],
            "exclude_patterns": [],
            "totals": schema::record::SnapshotTotals {
                entries: 1000,
                files: 800,
                ..Default::default()
            },
            "stored_by": {format!("{day}_02-00-00"): 1_u64 << 30},
            "manifest": "m",
            "manifest_digest": "0".repeat(64),
            "problems": [],
        },
    })
}

/// The plan of a backup of `/home` to this destination, made at this time.
pub(crate) fn plan(config: &Config, destination: &DestinationState, now: &str) -> Plan {
    crate::plan(config, &inventory(destination, now), &Options::default())
}

/// The inventory of a machine with `/home` and this destination, taken at this time.
pub(crate) fn inventory(destination: &DestinationState, now: &str) -> Inventory {
    serde_json::from_value(json!({
        "format_version": 1,
        "taken_at": now,
        "host": "atlas",
        "privileged": true,
        "power": "ac",
        "known_destinations": ["disk"],
        "destination": destination,
        "sources": [{
            "path": "/home",
            "presence": {"state": "present"},
            "place": {"device": "8:2", "inode": 11, "within": "/home"},
            "mounted": false,
            "scan": {
                "entries": 1000,
                "files": 800,
                "folders": 190,
                "bytes": 10_u64 << 30,
                "new_files": 80,
                "new_bytes": 1_u64 << 30,
                "new_inodes": 80,
                "unreadable": 0,
                "excluded": 0,
            },
            "mounts_passed_over": [],
            "unreadable": [],
        }],
    }))
    .unwrap()
}

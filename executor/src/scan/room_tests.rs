//! Records that are longer together than there is room for: which snapshots are known, and what of them.

use std::fs;

use schema::{
    SnapshotId, Tier, config::AbsolutePath, inventory::DestinationState, record::SnapshotTotals,
};
use serde_json::{Value, json};

use super::tiers::{list_tiers, scan_tiers};
use crate::{
    state_dir::RecordIndex,
    store::{RecordRoom, Store},
    sys::resolve::resolve,
};

fn id(day: usize) -> SnapshotId {
    format!("2025-01-{day:02}_02-00-00").parse().unwrap()
}

/// The record of a snapshot that has something of each one before it.
fn record(day: usize) -> Value {
    let by: serde_json::Map<_, _> = (1..=day)
        .map(|by| (id(by).to_string(), json!(4096)))
        .collect();
    json!({
        "format_version": 1,
        "id": id(day),
        "host": "host",
        "run_id": format!("{}-00000000", id(day)),
        "started_at": format!("2025-01-{day:02}T02:00:00Z"),
        "sealed_at": format!("2025-01-{day:02}T02:01:00Z"),
        "day": format!("2025-01-{day:02}"),
        "complete": true,
        "suspect": [],
        "basis": null,
        "engine": "built-in",
        "made_by": "backup",
        "sources": [],
        "exclude_patterns": [],
        "totals": SnapshotTotals { entries: 1, files: day as u64, ..SnapshotTotals::default() },
        "stored_by": by.clone(),
        "files_stored_by": by,
        "manifest": "manifest/SHA256SUMS",
        "manifest_digest": "0".repeat(64),
        "problems": [],
    })
}

#[test]
fn where_there_is_no_room_for_all_records_the_oldest_do_not_say_what_they_share() {
    let temporary = tempfile::tempdir().unwrap();
    let host = temporary.path().join("host");
    let mut sizes = Vec::new();
    for day in 1..=9 {
        let tier = if day == 1 { "monthly" } else { "daily" };
        fs::create_dir_all(host.join(tier).join(id(day).to_string())).unwrap();
        let records = host.join(".backup/snapshots").join(id(day).to_string());
        fs::create_dir_all(&records).unwrap();
        let json = record(day).to_string();
        fs::write(records.join("snapshot.json"), &json).unwrap();
        sizes.push(json.len() as u64);
    }
    let path = temporary.path().to_str().unwrap();
    let mount = resolve(temporary.path()).unwrap().folder().unwrap();
    let store = Store::open(&mount, path, "host").unwrap().unwrap();
    let mount_point: AbsolutePath = path.parse().unwrap();
    let look_with = |room: RecordRoom, at_once: usize| {
        let mut state = DestinationState::absent(mount_point.clone());
        let (listed, mut index) = (list_tiers(&store, 1), RecordIndex::empty());
        scan_tiers(&store, listed, &mut state, &mut index, room, at_once);
        assert_eq!(state.unmanaged, []);
        state.snapshots
    };
    let look = |room| look_with(room, 1);
    let whole = look(RecordRoom::default());
    // Read side by side or one after the other, it is the same.
    assert_eq!(look_with(RecordRoom::default(), 2), whole);
    assert!(whole.iter().all(|one| one.record.tells_shares()));
    // Room for the three newest, of which that one is the longest.
    let room = || RecordRoom::for_whole(sizes[6..].iter().sum());
    let found = look(room());
    assert_eq!(look_with(room(), 3), found);
    assert_eq!(found.len(), whole.len());
    for (day, (found, whole)) in (1..).zip(found.into_iter().zip(whole)) {
        let mut expected = whole;
        if day <= 6 {
            expected.record.forget_shares();
        }
        assert_eq!(found.record.id, id(day));
        assert_eq!(found, expected, "{day}");
        assert_eq!(found.home == Tier::Monthly, day == 1);
    }
}

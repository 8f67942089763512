//! Facts about the destination: whether it is there, whether it is the right one, what it can do.

use schema::{
    Digest, FailureCode, Tier,
    inventory::{InTheWay, NeighbourHost, NotHeld, Renamed},
    record::Capabilities,
    verify::{DamagedFile, StoredName},
};
use serde_json::json;

use super::{
    super::world::{EXT4, GIB, World, place},
    Scenario,
};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

pub(crate) fn all() -> Vec<Scenario> {
    let new = || World::new(NIGHT);
    let unmounted = || new().destination(|found| found.mounted = false);
    let exfat = || {
        World::nightly("2025-01-14", 2).destination(|found| {
            found.file_system = Some("exfat".to_owned());
            found.latest = None;
            found.links.clear();
            let record = found.record.as_mut().unwrap();
            record.capabilities = Capabilities::of_type("exfat").unwrap();
            for snapshot in &mut found.snapshots {
                snapshot.record.basis = None;
                snapshot.record.stored_by = [(snapshot.record.id, 10 * GIB)].into();
            }
        })
    };
    vec![
        (
            "what-is-known-to-be-damaged-is-never-linked-to",
            World::nightly("2025-01-14", 2).destination(|found| {
                let id = found.snapshots[1].record.id;
                let name = |path: &str| StoredName {
                    snapshot: id,
                    path: path.to_owned(),
                };
                found.damaged = [(77, "home/ann/photo.jpg"), (12, "home/ann/letter.txt")]
                    .map(|(inode, path)| DamagedFile {
                        inode,
                        names: vec![name(path)],
                        expected: None,
                        found_at: NIGHT.parse().unwrap(),
                    })
                    .into();
            }),
        ),
        ("a-first-run-takes-the-destination-it-finds", first_run()),
        ("an-unmounted-destination-is-refused", unmounted()),
        (
            "an-absent-destination-may-defer-the-run",
            unmounted().set("local.ifAbsent", json!("defer")),
        ),
        (
            "without-the-disk-the-cloud-gets-the-live-sources",
            unmounted().set("cloud", json!({"enable": true})),
        ),
        (
            "a-plain-folder-serves-where-no-mount-is-required",
            unmounted().set("local.requireMount", json!(false)),
        ),
        (
            "a-folder-that-cannot-be-opened-is-not-a-destination",
            new()
                .set("local.requireMount", json!(false))
                .destination(|found| {
                    found.present = false;
                    found.mounted = false;
                    found.absent_because = Some("Input/output error (os error 5)".to_owned());
                }),
        ),
        (
            "a-read-only-destination-is-refused",
            new().destination(|found| found.read_only = true),
        ),
        (
            "the-wrong-file-system-is-refused",
            new().set(
                "local.fileSystemUUID",
                json!("5c1f4a52-1111-4222-8333-944455556666"),
            ),
        ),
        (
            "a-destination-whose-record-cannot-be-read-is-refused",
            new().destination(|found| {
                found.record = None;
                found.record_fault = Some("expected value at line 1 column 1".to_owned());
            }),
        ),
        (
            "a-destination-that-is-closed-to-the-user-is-refused",
            new().destination(|found| {
                found.record = None;
                found.record_fault = Some("cannot read destination.json".to_owned());
                found.record_fault_code = Some(FailureCode::PermissionDenied);
            }),
        ),
        (
            "a-destination-that-is-known-by-its-snapshots-gets-its-record-anew",
            World::nightly("2025-01-01", 3).destination(|found| {
                found.recognized_id = found.record.take().map(|record| record.id);
                found.record_fault = Some("expected value at line 1 column 1".to_owned());
            }),
        ),
        (
            "a-tier-that-is-a-file-is-left-alone-and-done-without",
            World::nightly("2025-01-01", 15).destination(|found| {
                found.in_the_way = ["daily", "weekly"]
                    .map(|tier| InTheWay {
                        path: tier.to_owned(),
                        what: "a file".to_owned(),
                        code: None,
                    })
                    .into();
                found.snapshots.retain(|one| one.home == Tier::Monthly);
                found.links.clear();
            }),
        ),
        (
            "a-tier-that-cannot-be-read-is-done-without",
            World::nightly("2025-01-01", 15).destination(|found| {
                found.in_the_way = vec![InTheWay {
                    path: "weekly".to_owned(),
                    what: "a folder that cannot be read: input/output error".to_owned(),
                    code: Some(FailureCode::IoError),
                }];
                found.snapshots.retain(|one| one.home != Tier::Weekly);
                found.links.retain(|link| link.tier != Tier::Weekly);
            }),
        ),
        (
            "without-any-tier-that-is-a-folder-nothing-runs",
            new().destination(|found| {
                found.in_the_way = Tier::ALL
                    .map(|tier| InTheWay {
                        path: tier.folder().to_owned(),
                        what: "a symlink to /elsewhere".to_owned(),
                        code: None,
                    })
                    .into();
            }),
        ),
        (
            "a-disk-that-this-machine-does-not-know-is-refused",
            new().destination(|found| {
                found.record.as_mut().unwrap().id = "0b0b0b0b-0000-8000-8000-000000000001".into();
            }),
        ),
        (
            "a-new-disk-beside-a-known-one-needs-init",
            new().destination(|found| found.record = None),
        ),
        (
            "a-destination-that-does-not-answer-is-refused",
            new().destination(|found| {
                found.present = false;
                found.mounted = false;
                found.absent_because = Some("it does not answer".to_owned());
                found.absent_code = Some(FailureCode::NoAnswer);
                found.place = None;
                found.record = None;
            }),
        ),
        ("the-destination-of-another-machine-is-refused", {
            let mut world = World::nightly("2025-01-13", 2).destination(|found| {
                found.record.as_mut().unwrap().machine = Some(Digest::of(b"another"));
            });
            world.inventory.machine = Some(Digest::of(b"own"));
            world
        }),
        ("a-known-destination-becomes-this-machines", {
            let mut world = new();
            world.inventory.machine = Some(Digest::of(b"own"));
            world
        }),
        (
            "the-backups-of-a-renamed-machine-are-found",
            new().set("hostname", json!("hermes")).destination(|found| {
                let record = found.record.take().unwrap();
                found.beside = vec![NeighbourHost {
                    folder: record.host,
                    id: record.id,
                    machine: None,
                }];
            }),
        ),
        (
            "the-destination-of-another-host-is-refused",
            new().set("hostname", json!("hermes")),
        ),
        (
            "a-destination-of-a-newer-version-is-refused",
            new().destination(|found| found.record.as_mut().unwrap().format_version = 2),
        ),
        ("a-destination-without-hard-links-is-refused", exfat()),
        (
            "whole-copies-are-made-where-they-are-allowed",
            exfat().set("local.allowFullCopies", json!(true)),
        ),
        ("what-a-nas-cannot-hold-is-said", nas()),
        ("names-that-a-nas-cannot-hold-are-told", short_of_names()),
        ("who-is-not-root-misses-no-owners", by_a_user()),
        (
            "a-full-disk-is-refused-before-copying",
            new().destination(|found| found.free_bytes = 9 * GIB),
        ),
        (
            "leftovers-count-as-free-space",
            new().destination(|found| found.free_bytes = 9 * GIB).trash(
                "2025-01-01_02-00-00",
                3 * GIB,
                900,
            ),
        ),
        (
            "what-cannot-be-removed-from-the-trash-is-not-free-space",
            new()
                .destination(|found| found.free_bytes = 9 * GIB)
                .trash("2024-12-30_02-00-00", GIB, 100)
                .trash("2025-01-01_02-00-00", 0, 3)
                .destination(|found| found.trash[1].stuck = 900),
        ),
        (
            "what-an-unfinished-snapshot-holds-needs-no-space",
            new()
                .destination(|found| found.free_bytes = 10 * GIB + GIB / 2)
                .partial("2025-01-15_02-00-00", GIB * 3 / 4, 700),
        ),
        (
            "too-few-inodes-are-refused",
            new().destination(|found| found.free_inodes = Some(100)),
        ),
        (
            "a-file-system-that-counts-no-inodes-serves",
            new().destination(|found| found.free_inodes = None),
        ),
        (
            "every-fault-of-a-destination-is-told-at-once",
            new()
                .set(
                    "local.fileSystemUUID",
                    json!("5c1f4a52-1111-4222-8333-944455556666"),
                )
                .destination(|found| {
                    found.read_only = true;
                    found.free_bytes = 0;
                    found.file_system_uuid = None;
                }),
        ),
    ]
}

fn first_run() -> World {
    let mut world = World::new(NIGHT).destination(|found| found.record = None);
    world.inventory.known_destinations.clear();
    world
}

fn short_of_names() -> World {
    let not_held = |path: &str, because: &str| NotHeld {
        path: path.to_owned(),
        because: because.to_owned(),
    };
    let renamed = |path: &str, stored_as: &str| Renamed {
        path: path.to_owned(),
        stored_as: stored_as.to_owned(),
    };
    nas()
        .destination(|found| {
            let can = &mut found.record.as_mut().unwrap().capabilities;
            can.name_max = 143;
            can.names.refused = "*:".to_owned();
            can.names.only_utf8 = true;
            can.file_max = Some(Capabilities::FAT_FILE_MAX);
        })
        .source(|source| {
            source.scan.not_held = 1;
            source.not_held = vec![not_held("ann/film.mkv", "it has more than 4.0 GiB")];
            source.scan.renamed = 4;
            source.renamed = vec![
                renamed("ann/09:15.txt", "09_15~0a1b2c3d.txt"),
                renamed("ann/readme", "readme~4e5f6a7b"),
            ];
        })
}

/// What a user found out, who may give no file away and make no device.
fn by_a_user() -> World {
    let mut world = World::nightly("2025-01-14", 2).destination(|found| {
        found.record.as_mut().unwrap().capabilities = Capabilities {
            owners: false,
            devices: false,
            tried_as_root: false,
            ..EXT4
        };
    });
    world.inventory.privileged = false;
    world
}

fn nas() -> World {
    World::nightly("2025-01-14", 2).destination(|found| {
        found.file_system = Some("cifs".to_owned());
        found.file_system_uuid = None;
        found.place = place("0:51", 2, "/");
        found.latest = None;
        found.links.clear();
        found.record.as_mut().unwrap().capabilities = Capabilities {
            symlinks: false,
            modes: false,
            owners: false,
            acls: false,
            fifos: false,
            case_sensitive: false,
            ..EXT4
        };
    })
}

//! How plans look.

use schema::{Digest, Finding};
use serde_json::{Value, json};

use super::*;
use crate::render::page::assert_fits;

const GIB: u64 = 1 << 30;

fn rotate() -> Value {
    let kept =
        |id: &str, home: &str, reasons: Value| json!({"id": id, "home": home, "reasons": reasons});
    json!({
        "on_complete": {
            "keep": [
                kept("2025-01-01_02-00-00", "monthly", json!([{"kind": "monthly", "year": 2025, "month": 1}, {"kind": "pinned"}])),
                kept("2025-01-06_02-00-00", "weekly", json!([{"kind": "weekly", "week_start": "2025-01-05"}])),
                kept("2025-01-11_02-00-00", "daily", json!([{"kind": "daily", "day": "2025-01-11"}])),
                kept("2025-01-12_02-00-00", "weekly", json!([
                    {"kind": "daily", "day": "2025-01-12"},
                    {"kind": "weekly", "week_start": "2025-01-12"},
                    {"kind": "monthly", "year": 2025, "month": 1},
                    {"kind": "newest"},
                ])),
            ],
            "moves": [{"id": "2025-01-12_02-00-00", "from": "daily", "to": "weekly"}],
            "unlinks": [{"tier": "daily", "id": "2025-01-06_02-00-00", "reason": "no longer a daily"}],
            "links": [{"tier": "daily", "id": "2025-01-12_02-00-00", "target": "../weekly/2025-01-12_02-00-00"}],
            "latest": "weekly/2025-01-12_02-00-00",
            "deletions": [{
                "id": "2025-01-09_02-00-00",
                "home": "daily",
                "reason": {"kind": "past-limits", "keep_daily": 7, "keep_weekly": 4, "keep_monthly": 6},
                "frees": 1_288_490_189u64,
            }],
            "withheld": [],
            "withheld_because": null,
        },
        "on_incomplete": {
            "keep": [], "moves": [], "unlinks": [], "links": [], "latest": null,
            "deletions": [], "withheld": [], "withheld_because": null,
        },
    })
}

fn step(id: &str, mut payload: Value) -> Value {
    payload["kind"] = json!(id);
    json!({"id": id, "needs": [], "after": [], "action": payload})
}

fn usual_steps() -> Value {
    let mut rotation = rotate();
    rotation["on_incomplete"]["keep"] = rotation["on_complete"]["keep"].clone();
    json!([
        step(
            "pre-script",
            json!({"program": "/nix/store/0c1v6x9z2-pre-backup/bin/pre-backup", "timeout": "2h 30min", "on_failure": "abort"})
        ),
        step(
            "destination-check",
            json!({
                "mount_point": "/mnt/backup", "folder": "atlas", "require_mount": true,
                "file_system_uuid": "5c1f4a52-1111-4222-8333-944455556666",
                "destination_id": "6f1d1c1e-0c3b-8a55-9d0a-3f5c2f1b7a10",
                "create": true, "remember": true, "need_hard_links": true, "readable_by_users": false,
            })
        ),
        step(
            "space-check",
            json!({
                "empty_trash": ["2024-12-01_02-00-00"],
                "discard_partial": [{"id": "2025-01-10_14-00-00", "frees": GIB, "reason": "a newer unfinished snapshot is continued"}],
                "needed_bytes": 1_181_116_006, "needed_inodes": 286, "min_free_bytes": 10 * GIB,
            })
        ),
        step(
            "snapshot",
            json!({
                "id": "2025-01-12_02-00-00", "started_at": "2025-01-12T02:00:00+01:00", "day": "2025-01-12",
                "engine": "built-in", "basis": {"id": "2025-01-11_02-00-00", "home": "daily"},
                "continue_from": "2025-01-11_14-00-00",
                "sources": [
                    {"path": "/home", "present": true},
                    {"path": "/srv/my photos", "present": false},
                    {"path": "/etc/nixos", "present": true},
                ],
                "exclude_patterns": [".cache", "*.tmp", ".local/share/Trash", "node_modules", "__pycache__"],
                "one_file_system": true, "min_free_bytes": 10 * GIB,
                "expected": {"entries": 14_000, "files": 12_357, "bytes": 36_721_970_381u64, "new_files": 123, "new_bytes": 1_181_116_006},
                "suspect_when": {"entries_below": 500, "unchanged_files_below": 400, "had_files": ["/home"]},
            })
        ),
        step("rotate", rotation),
        step(
            "post-script",
            json!({"program": "/run/after", "timeout": "1h", "on_failure": "abort"})
        ),
        step(
            "notify",
            json!({"on_success": true, "on_failure": false, "channels": [
                {"channel": "desktop"},
                {"channel": "email", "to": "ann@example.org", "from": "root@atlas.example.org"},
                {"channel": "ntfy", "url": "https://ntfy.sh", "topic": "atlas", "token_file": "/run/keys/ntfy"},
                {"channel": "webhook", "url": "https://hooks.example.org/secret", "headers_file": null},
                {"channel": "healthcheck", "url": "https://hc.example.org/ping/secret"},
                {"channel": "command", "program": "/run/tell"},
            ]})
        ),
    ])
}

fn of(steps: Value, findings: Vec<Finding>) -> Plan {
    serde_json::from_value(json!({
        "format_version": 1,
        "run_id": "2025-01-12_02-00-00-8c1f",
        "created_at": "2025-01-12T02:00:00+01:00",
        "host": "atlas",
        "bound_to": {"config": Digest([0; 32]), "destination": Digest([0; 32]), "destination_id": null, "snapshots": []},
        "findings": findings,
        "steps": steps,
        "totals": {"copy_files": 123, "copy_bytes": 1_181_116_006, "link_files": 12_234, "deletions": 1, "freed_bytes": 1_288_490_189u64, "kept": 4},
        "digest": Digest([0; 32]),
    }))
    .unwrap()
}

fn source(path: &str, presence: &Value, files: u64) -> Value {
    json!({
        "path": path, "presence": presence, "place": null, "mounted": false,
        "scan": {
            "entries": files, "files": files, "folders": 1, "bytes": files * 3_000_000, "new_files": files / 100,
            "new_bytes": files * 30_000, "new_inodes": 0, "unreadable": files / 6000, "excluded": files / 1000,
        },
        "mounts_passed_over": if files > 1000 { json!(["ann/nas"]) } else { json!([]) },
        "unreadable": [],
    })
}

fn inventory(fault: &Value) -> Inventory {
    let can = |all: bool| {
        json!({
            "hard_links": true, "symlinks": all, "modes": all, "owners": all, "xattrs": true,
            "acls": all, "fifos": true, "case_sensitive": true, "time_step_ns": 1, "name_max": 255,
        })
    };
    let mut destination = json!({
        "mount_point": "/mnt/backup", "present": true, "absent_because": null, "mounted": true,
        "read_only": false, "place": null, "file_system": "cifs", "file_system_uuid": null,
        "free_bytes": 512 * GIB, "total_bytes": 931 * GIB, "free_inodes": null,
        "record": null, "record_fault": null, "expected_capabilities": can(false), "snapshots": [],
        "unmanaged": [], "links": [], "latest": null,
        "partial": [{"id": "2025-01-11_14-00-00", "bytes": GIB, "entries": 300}],
        "trash": [{"id": "2024-12-01_02-00-00", "bytes": 3 * GIB, "entries": 10}],
        "rotation": null,
    });
    if let (Some(into), Some(from)) = (destination.as_object_mut(), fault.as_object()) {
        into.extend(from.clone());
    }
    let present = json!({"state": "present"});
    serde_json::from_value(json!({
        "format_version": 1, "taken_at": "2025-01-12T02:00:00+01:00", "host": "atlas",
        "privileged": true, "power": "ac", "known_destinations": [],
        "destination": destination,
        "sources": [
            source("/home", &present, 12_345),
            source("/srv/my photos", &json!({"state": "unreadable", "because": "Permission denied (os error 13)"}), 0),
            source("/etc/nixos", &present, 12),
        ],
    }))
    .unwrap()
}

fn warning() -> Finding {
    Finding::new(
        Severity::Warning,
        "source-unreadable",
        "/srv/my photos (local.sources) cannot be read (Permission denied (os error 13)); the \
         backup will be incomplete",
    )
    .hint("run as root, or remove it from local.sources")
}

fn shown(of: &Plan, inventory: &Inventory) -> String {
    let text = plan_page(of, inventory, &Style::PLAIN);
    assert_fits(&text);
    let coloured = plan_page(
        of,
        inventory,
        &Style {
            color: true,
            ..Style::PLAIN
        },
    );
    let widths = |text: &str| text.lines().map(crate::style::width).collect::<Vec<_>>();
    assert_eq!(widths(&text), widths(&coloured));
    text
}

#[test]
fn a_plan_says_what_each_step_will_do() {
    let made = of(usual_steps(), vec![warning()]);
    insta::assert_snapshot!(shown(&made, &inventory(&json!({}))));
}

#[test]
fn what_matters_of_a_plan_is_told_in_few_lines() {
    let mut steps = usual_steps();
    let expected = &mut steps[3]["action"]["expected"];
    expected["changed_files"] = json!(23);
    expected["gone"] = json!({
        "files": 73, "bytes": GIB, "most_in": "/home/ann/Documents", "most_files": 70,
    });
    let made = of(steps, vec![warning()]);
    let there = inventory(&json!({}));
    let text = backup_plan(&made, &there, false, &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text);
    assert_eq!(
        backup_plan(&made, &there, true, &Style::PLAIN),
        shown(&made, &there)
    );
    // What is no backup is told whole.
    let pin = json!([step(
        "mark",
        json!({"say": "pin", "id": "2025-01-11_02-00-00"})
    )]);
    let pin = of(pin, Vec::new());
    assert_eq!(
        backup_plan(&pin, &there, false, &Style::PLAIN),
        shown(&pin, &there)
    );
}

#[test]
fn a_plan_says_why_no_rsync_copies_over_a_network() {
    let made = of(usual_steps(), Vec::new());
    let mut there = inventory(&json!({}));
    let why = "with the built-in engine, as rsync is slower over a network";
    let said = |there: &Inventory| {
        let text = shown(&made, there);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!said(&there).contains("rsync"));
    there.rsync = serde_json::from_value(json!({"version": "3.5.0", "fault": null})).unwrap();
    assert!(said(&there).contains(why));
    let near = Inventory {
        destination: inventory(&json!({"file_system": "ext4"})).destination,
        ..there
    };
    assert!(!shown(&made, &near).contains("rsync"));
}

#[test]
fn a_refusal_stands_last() {
    let refusal = Finding::new(
        Severity::Refusal,
        "destination-not-mounted",
        "destination not mounted: /mnt/backup (local.mountPoint) cannot be opened (No such file \
         or directory (os error 2))",
    )
    .hint("mount the drive, or set local.ifAbsent to \"defer\"");
    let note = Finding::new(
        Severity::Note,
        "mount-passed-over",
        "/home/ann/nas is passed over",
    );
    let made = of(json!([]), vec![refusal, warning(), note]);
    let absent =
        json!({"present": false, "absent_because": "No such file or directory (os error 2)"});
    insta::assert_snapshot!(shown(&made, &inventory(&absent)));
}

#[test]
fn withheld_deletions_are_told_with_their_reason() {
    let because = Finding::new(
        Severity::Warning,
        "deletions-need-approval",
        "6 deletions at once need approval, more than 3 for each of 1 snapshot since the last \
         rotation",
    )
    .hint("run `backup apply --approve-deletions`");
    let mut step = rotate();
    let deletions = step["on_complete"]["deletions"].take();
    step["on_complete"]["deletions"] = json!([]);
    step["on_complete"]["withheld"] = deletions;
    step["on_complete"]["withheld_because"] = json!(because);
    step["on_incomplete"] = json!(null);
    step["kind"] = json!("rotate");
    let steps = json!([{"id": "rotate", "needs": [], "after": [], "action": step}]);
    for (findings, said) in [
        (vec![because.clone()], "the warning below says why"),
        (Vec::new(), "6 deletions at once need approval"),
    ] {
        let text = shown(&of(steps.clone(), findings), &inventory(&json!({})));
        assert!(
            text.contains("   spare   2025-01-09_02-00-00  daily    frees 1.2 GiB: not of"),
            "{text}"
        );
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_restore_tells_what_it_would_replace() {
    let restore = |overwrite: bool| {
        let payload = json!({
            "snapshot": "2025-01-11_02-00-00", "folder": "daily/2025-01-11_02-00-00",
            "path": "home/ann/my\\040photos", "target": "/home/ann/restored", "overwrite": overwrite,
            "aside_suffix": ".before-2025-01-12_02-00-00", "creates": 1234, "already_there": 5,
            "bytes": 3 * GIB, "conflicts": (0..12).map(|at| format!("{at}.jpg")).collect::<Vec<_>>(),
            "conflict_count": 240,
        });
        let steps = json!([
            step("restore", payload),
            {"id": "pin", "needs": [], "after": [], "action": {"kind": "mark", "say": "pin", "id": "2025-01-11_02-00-00"}},
        ]);
        shown(&of(steps, Vec::new()), &inventory(&json!({})))
    };
    insta::assert_snapshot!(restore(true));
    assert!(restore(false).contains("leave   240 entries that differ (--overwrite replaces them)"));
}

#[test]
fn a_plan_without_steps_has_nothing_to_do() {
    let nothing = of(json!([]), Vec::new());
    assert!(shown(&nothing, &inventory(&json!({}))).ends_with("\nNothing to do.\n"));
    let later = Finding::new(Severity::Deferral, "on-battery", "on battery");
    let later = of(json!([]), vec![later]);
    assert!(
        shown(&later, &inventory(&json!({}))).ends_with("\nDeferred: nothing will change now.\n")
    );
}

//! How a verification looks.

use schema::verify::{StoredName, VerifiedSnapshot};
use serde_json::json;

use super::*;
use crate::render::page::assert_fits;

const IDS: [&str; 3] = [
    "2025-01-14_02-00-00",
    "2025-01-15_02-00-00",
    "2025-01-16_02-00-00",
];

fn found(depth: Depth, damage: Vec<Damage>) -> Verification {
    Verification {
        format_version: 1,
        host: "atlas".to_owned(),
        folder: "/mnt/backup/atlas".to_owned(),
        destination_id: None,
        depth,
        started_at: "2025-01-16T12:00:00+01:00".parse().unwrap(),
        ended_at: "2025-01-16T12:01:03+01:00".parse().unwrap(),
        snapshots: IDS
            .map(|id| VerifiedSnapshot {
                id: id.parse().unwrap(),
                home: schema::Tier::Daily,
                entries: 100,
                verdict: Verdict::Whole,
            })
            .into(),
        not_looked_at: Vec::new(),
        entries: 300,
        files_read: 90,
        bytes_read: 5 << 30,
        damage_count: damage.len() as u64,
        damage,
        rebuilt: None,
        against_state: None,
        repair: None,
    }
}

fn damage(kind: DamageKind, message: &str, names: &[(&str, &str)]) -> Damage {
    Damage {
        kind,
        message: message.to_owned(),
        names: names
            .iter()
            .map(|(id, path)| StoredName {
                snapshot: id.parse().unwrap(),
                path: (*path).to_owned(),
            })
            .collect(),
        inode: None,
        expected: None,
        found: None,
        not_repaired: None,
    }
}

#[test]
fn every_path_and_every_snapshot_is_named_and_all_fits() {
    let long = format!("home/{}end", "long\\040name/".repeat(12));
    let mut content = damage(
        DamageKind::Content,
        "digest is 12345678, should be 9abcdef0",
        &[
            (IDS[0], "home/ann/letter.txt"),
            (IDS[0], "home/bob/copy"),
            (IDS[1], "home/ann/letter.txt"),
            (IDS[2], "home/ann/letter.txt"),
        ],
    );
    content.not_repaired = Some("neither here nor there".to_owned());
    let all = vec![
        damage(DamageKind::Record, "it cannot be read", &[(IDS[1], "")]),
        content,
        damage(
            DamageKind::Extra,
            "is not in the manifest",
            &[(IDS[2], &long)],
        ),
        damage(DamageKind::Record, "destination.json cannot be read", &[]),
    ];
    let text = verification_page(&found(Depth::Full, all), false, &Style::PLAIN);
    let (paths, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.contains("long name"));
    assert_eq!(paths.len(), 1);
    assert_fits(&format!("{}\n", rest.join("\n")));
    for said in [
        "Verified 3 snapshots in full: 300 entries, 90 files read (5.0 GiB)",
        "record      of the snapshot\n            it cannot be read\n            in 2025-01-15_02-00-00\n",
        "content     /home/ann/letter.txt\n            digest is",
        "in 2025-01-14_02-00-00, 2025-01-15_02-00-00, 2025-01-16_02-00-00",
        "also /home/bob/copy in 2025-01-14_02-00-00",
        "not repaired: neither here nor there",
        "Damaged. 4 damages in 3 snapshots.",
        "hint: `backup ... --repair`",
    ] {
        assert!(text.contains(said), "no `{said}` in:\n{text}");
    }
}

#[test]
fn what_was_not_read_is_said() {
    let told = |depth| verification_page(&found(depth, Vec::new()), false, &Style::PLAIN);
    for (depth, end) in [
        (Depth::Quick, "Whole. No content was read.\n"),
        (
            Depth::Subset { part: 2, of: 7 },
            "Whole. The other parts were not read.\n",
        ),
        (Depth::Full, "Whole.\n"),
    ] {
        let text = told(depth);
        assert!(text.ends_with(end), "{text}");
        assert_fits(&text);
    }
}

#[test]
fn a_repair_says_what_remains() {
    let report = |result: &str, status: &str| -> Report {
        serde_json::from_value(json!({
            "format_version": 1,
            "run_id": "2025-01-16_12-00-00-8c1f",
            "host": "atlas",
            "started_at": "2025-01-16T12:00:00+01:00",
            "ended_at": "2025-01-16T12:00:01+01:00",
            "result": result,
            "snapshot": null,
            "findings": [],
            "steps": [{
                "step": "repair",
                "started_at": null,
                "ended_at": "2025-01-16T12:00:01+01:00",
                "outcome": {
                    "status": status,
                    "message": "1 file repaired under 3 names",
                    "hint": null,
                    "sealed": null,
                    "problems": [],
                },
            }],
        }))
        .unwrap()
    };
    let whole = repair_lines(&report("success", "succeeded"), 0, &Style::PLAIN);
    assert_eq!(whole, "Repaired: 1 file repaired under 3 names.\n");
    let part = repair_lines(&report("success", "succeeded"), 2, &Style::PLAIN);
    assert!(part.starts_with("Repaired in part:"), "{part}");
    assert!(part.contains("2 damages remain: see above.\n"), "{part}");
    assert!(part.contains("hint: run the same again"), "{part}");
    let failed = repair_lines(&report("failed", "failed"), 0, &Style::PLAIN);
    assert!(failed.starts_with("Not repaired:"), "{failed}");
}

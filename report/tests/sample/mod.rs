//! Reports as machines have them: one where all is well, one with trouble and hostile names, one of the first day.

use chrono::{DateTime, Datelike as _, FixedOffset, TimeDelta, Weekday};
use report::PeriodReport;
use schema::{SnapshotId, output::period_report::ReportedDestination};
use serde_json::{Value, json};

/// When the reports are made.
pub(crate) const NOW: &str = "2025-11-30T07:12:00+01:00";
/// A name that would be markup, code or an escape sequence anywhere else.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{1b}[31m\u{202e}\n`x`";
const GIB: u64 = 1 << 30;

fn now() -> DateTime<FixedOffset> {
    NOW.parse().unwrap()
}

/// Nights before now, at two.
fn night(back: i64) -> DateTime<FixedOffset> {
    let first: DateTime<FixedOffset> = "2025-11-30T02:00:00+01:00".parse().unwrap();
    first - TimeDelta::days(back)
}

fn id(at: DateTime<FixedOffset>) -> String {
    SnapshotId::from_local(at.naive_local()).to_string()
}

/// Numbers that look like those of a machine and are the same each time.
fn noise(of: i64, most: u64) -> u64 {
    let mixed = of.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    mixed % most
}

fn content(back: i64) -> u64 {
    412 * GIB - back.unsigned_abs() * 400 * (1 << 20) - noise(back, 3 * GIB)
}

fn new_bytes(back: i64) -> u64 {
    // A holiday's photographs, three weeks ago.
    let much = if (20..23).contains(&back) {
        14 * GIB
    } else {
        0
    };
    300 * (1 << 20) + noise(back + 7, 3 * GIB) + much
}

fn run(back: i64, result: &str, undone: Option<&str>) -> Value {
    let at = night(back);
    let minutes =
        4 + noise(back, 6).cast_signed() + if new_bytes(back) > 10 * GIB { 25 } else { 0 };
    let is_made = !matches!(result, "refused" | "deferred" | "failed");
    json!({
        "run_id": format!("{}-0a1b2c3d", id(at)),
        "started_at": at,
        "ended_at": at + TimeDelta::minutes(if is_made { minutes } else { 0 }) + TimeDelta::seconds(21),
        "result": result,
        "undone": undone,
        "snapshot": is_made.then(|| id(at)),
        "new_bytes": if is_made { new_bytes(back) } else { 0 },
        "new_files": if is_made { 900 + noise(back, 4000) } else { 0 },
        "snapshot_millis": is_made.then_some(minutes * 55_000),
        "cloud": is_made.then_some(if back % 17 == 5 { "failed" } else { "succeeded" }),
    })
}

fn size(back: i64) -> Value {
    json!({
        "id": id(night(back)),
        "at": night(back),
        "files": 512_345 - back.unsigned_abs() * 37,
        "bytes": content(back),
        "new_bytes": new_bytes(back),
    })
}

/// The snapshots that the default policy has after half a year, by nights before now.
fn held() -> Vec<(i64, &'static str)> {
    let mut held: Vec<(i64, &str)> = (0..7).map(|back| (back, "daily")).collect();
    for back in 0..190 {
        let at = night(back);
        if at.day() == 1 {
            held.push((back, "monthly"));
        } else if at.weekday() == Weekday::Sun && back < 28 {
            held.retain(|(known, _)| *known != back);
            held.push((back, "weekly"));
        }
    }
    held.sort_unstable();
    held
}

fn snapshot(back: i64, home: &str) -> Value {
    let at = night(back);
    let stays_days = match home {
        "monthly" => 184 - back,
        "weekly" => 28 - back,
        _ => 7 - back,
    };
    json!({
        "listed": {
            "id": id(at),
            "home": home,
            "tiers": if home == "daily" { vec!["daily"] } else { vec!["daily", home] },
            "started_at": at,
            "age_seconds": (now() - at).num_seconds(),
            "files": 512_345,
            "bytes": content(back),
            "new_bytes": new_bytes(back),
            "frees": noise(back, 2 * GIB),
            "frees_is_exact": back != 3,
            "kept": [{"kind": "daily", "day": at.date_naive()}],
            "expires": null,
            "complete": true,
            "problems": 0,
            "suspect": [],
            "accepted": false,
            "pinned": false,
            "verified_at": (back == 90).then(|| night(40)),
            "damaged": 0,
        },
        "stays": {
            "kind": "until",
            "at": now() + TimeDelta::days(stays_days.max(1)),
            "because": {
                "kind": "past-limits", "rule": home, "keep_last": 3, "keep_daily": 7, "keep_weekly": 4,
                "keep_monthly": 6,
            },
        },
    })
}

fn folder(path: &str, gib: u64, grown_mib: i64, files: u64) -> Value {
    json!({
        "path": path,
        "bytes": gib * GIB,
        "files": files * 100,
        "grown_bytes": grown_mib * (1 << 20),
        "changed_files": files,
        "changed_bytes": grown_mib.unsigned_abs() * (1 << 20) * 2,
    })
}

fn folders() -> Value {
    let mut all = vec![
        folder("/home/ann/Pictures/2025", 148, 42_000, 800),
        folder("/home/ann/Videos", 96, 0, 3),
        folder("/home/ann/Pictures", 61, 300, 1200),
        folder("/var/lib/postgresql", 34, 5_100, 90),
        folder("/home/bob/Music", 28, -1_900, 40),
        folder("/home/ann/Documents", 17, 420, 600),
        folder("/home/bob", 12, 90, 300),
        folder("/home/ann/.mozilla", 6, 700, 2100),
        folder("", 10, 120, 500),
    ];
    let largest = all.clone();
    all.retain(|one| one["grown_bytes"].as_i64().unwrap().abs() > 400 << 20);
    let mut growing = all.clone();
    growing.sort_by_key(|one| -one["grown_bytes"].as_i64().unwrap());
    all.sort_by_key(|one| std::cmp::Reverse(one["changed_bytes"].as_u64().unwrap()));
    json!({
        "newest": id(night(0)),
        "before": id(night(28)),
        "compared": 11,
        "all": folder("", 412, 46_730, 5633),
        "largest": largest,
        "growing": growing,
        "changing": all,
    })
}

fn drill(verdict: &str) -> Value {
    json!({
        "format_version": 1,
        "host": "atlas",
        "started_at": now() - TimeDelta::hours(51),
        "ended_at": now() - TimeDelta::hours(51) + TimeDelta::seconds(83),
        "verdict": verdict,
        "summary": if verdict == "passed" {
            "all of it stood in its place, 512 files were read, 2 checks passed"
        } else {
            "postgresql.service does not start"
        },
        "snapshot": {"id": id(night(2)), "home": "daily", "started_at": night(2), "complete": true},
        "ready_millis": 900,
        "sample": {"files": 512, "bytes": 3 * GIB, "of_files": 512_345, "millis": 40_000, "damage_count": 0},
        "checks": [
            {"check": "/etc/backup/checks/letters", "status": "passed", "millis": 40, "message": "ended well"},
            {"check": "postgresql.service", "status": if verdict == "passed" { "passed" } else { "failed" },
             "millis": 21_000, "message": "it runs, or it does not"},
        ],
        "hint": (verdict != "passed").then_some("look at what it says with `journalctl -u postgresql.service`"),
    })
}

fn destination(name: Option<&str>, place: &str) -> Value {
    let days = 91;
    let undone = "the photographs of 3 folders could not be read";
    let runs: Vec<Value> = (0..days)
        .rev()
        .map(|back| match back {
            61 => run(back, "failed", Some("/mnt/backup: input/output error")),
            62 => run(back, "incomplete", Some(undone)),
            70..=72 => run(back, "deferred", None),
            _ => run(back, "success", None),
        })
        .collect();
    let sizes: Vec<Value> = (0..days)
        .rev()
        .filter(|back| !(70..73).contains(back))
        .map(size)
        .collect();
    let snapshots: Vec<Value> = held()
        .into_iter()
        .map(|(back, home)| snapshot(back, home))
        .collect();
    let room: Vec<Value> = (0..days)
        .rev()
        .map(|back| {
            let free = 1280 * GIB + back.unsigned_abs() * GIB / 2 + noise(back, 6 * GIB);
            json!({"at": night(back), "free_bytes": free})
        })
        .collect();
    json!({
        "name": name,
        "place": place,
        "runs": runs,
        "sizes": sizes,
        "snapshots": snapshots,
        "foretold_by": "daily at 02:00",
        "room": room,
        "reserve_bytes": 10 * GIB,
        "folders": folders(),
        "read_back": {"disk_at": now() - TimeDelta::hours(9), "remote_at": null},
        "share": {
            "part": 22, "of": 30, "parts_read": 22, "oldest_at": night(155), "files_read": 17_000,
            "bytes_read": 14 * GIB, "damage_count": 0, "first_damage": null,
        },
        "drill": drill("passed"),
        "drills": true,
        "cloud": {"remote": "b2:ann-backups/Backups/atlas", "newest": cloud()},
    })
}

fn cloud() -> Value {
    json!({
        "id": id(night(0)),
        "uploaded_at": night(0) + TimeDelta::minutes(48),
        "age_seconds": 15_000,
        "files": 512_345,
        "bytes": content(0),
        "snapshots": 34,
    })
}

fn status(verdict: &str, summary: &str) -> Value {
    json!({
        "format_version": 1,
        "verdict": verdict,
        "summary": summary,
        "host": "atlas",
        "now": NOW,
        "destination": {
            "path": "/mnt/backup", "present": true, "mounted": true, "ready": true, "is_ours": true,
            "file_system": "ext4", "free_bytes": 1280 * GIB, "total_bytes": 1863 * GIB,
        },
        "last_good": {"id": id(night(0)), "age_seconds": 18_720, "complete": true},
        "next_run_at": night(-1),
        "late_since": null,
        "by_tier": {"daily": 7, "weekly": 4, "monthly": 6},
        "snapshots": 16,
        "suspect": [],
        "unfinished": null,
        "last_run": null,
        "running": false,
        "findings": [],
        "cloud": cloud(),
    })
}

fn health(verdict: &str, days_left: Option<u64>) -> Value {
    json!({
        "format_version": 1,
        "host": "atlas",
        "checked_at": NOW,
        "verdict": verdict,
        "last_good": {"id": id(night(0)), "started_at": night(0)},
        "space": {
            "free_bytes": 1280 * GIB,
            "total_bytes": 1863 * GIB,
            "trend": {
                "used_bytes_a_day": GIB / 2,
                "days_left": days_left,
                "basis": {"kind": "free-space", "runs": 90},
                "since": night(89),
            },
        },
        "verified": null,
        "cloud": null,
        "findings": [],
    })
}

fn whole(
    verdict: &str,
    summary: &str,
    status: &Value,
    health: &Value,
    destinations: &[Value],
) -> Value {
    json!({
        "format_version": 1,
        "host": "atlas",
        "made_at": NOW,
        "made_by": "backup 0.1.0",
        "since": night(28),
        "shown_from": night(91),
        "verdict": verdict,
        "summary": summary,
        "findings": [],
        "status": status,
        "health": health,
        "destinations": destinations,
    })
}

fn read(value: Value) -> PeriodReport {
    serde_json::from_value(value).unwrap()
}

/// A machine where all is well.
pub(crate) fn well() -> PeriodReport {
    let summary = "last backup 5 hours ago";
    let (status, health) = (status("ok", summary), health("ok", Some(2540)));
    let own = destination(None, "/mnt/backup/atlas");
    let mut report = whole("ok", summary, &status, &health, &[own]);
    report["findings"] = json!([{
        "severity": "note", "code": "kept-in-manifest-only",
        "message": "/mnt/backup (local.mountPoint) cannot hold owners; manifests have them", "hint": null,
    }]);
    read(report)
}

/// Two disks and much that is wrong, with names that are hostile.
pub(crate) fn troubled() -> PeriodReport {
    let summary = format!("the last run failed: {HOSTILE}; last backup 9 days ago");
    let (mut of_all, mut own) = (status("warning", &summary), status("warning", &summary));
    own["late_since"] = json!(night(7));
    own["last_good"]["age_seconds"] = json!(9 * 86_400);
    own["last_good"]["complete"] = json!(false);
    own["remedy"] = json!("mount the drive; `sudo backup now` then makes a backup");
    let mut away = status("no-backup", "no backup yet");
    away["destination"]["ready"] = json!(false);
    away["destination"]["present"] = json!(false);
    away["last_good"] = json!(null);
    of_all["destinations"] = json!({"local": own, "offsite": away});
    let health = health("error", Some(12));
    let mut first = destination(Some("local"), "/mnt/backup/atlas");
    let path = format!("/home/ann/{}", schema::escape::display(HOSTILE.as_bytes()));
    for list in ["largest", "growing", "changing"] {
        first["folders"][list][0]["path"] = json!(path);
        first["folders"][list][1]["path"] = json!(format!("/home/{}", "long".repeat(60)));
    }
    first["runs"][88]["undone"] = json!(HOSTILE);
    first["runs"][88]["result"] = json!("failed");
    first["runs"][89]["result"] = json!("incomplete");
    first["drill"] = drill("failed");
    first["drill"]["checks"][0]["check"] = json!(HOSTILE);
    first["share"]["damage_count"] = json!(2);
    first["share"]["first_damage"] = json!(format!("/home/ann/{HOSTILE}: its content differs"));
    first["snapshots"][2]["stays"] = json!({"kind": "held", "because": {"kind": "pinned"}});
    first["snapshots"][3]["stays"] = json!({"kind": "beyond", "at": night(-700)});
    first["snapshots"][4]["listed"]["damaged"] = json!(3);
    let mut second = destination(
        Some("offsite"),
        &format!("/mnt/{}/atlas", "very-long-name-".repeat(12)),
    );
    for list in ["runs", "sizes", "snapshots", "room"] {
        second[list] = json!([]);
    }
    for key in ["folders", "share", "drill", "cloud", "foretold_by"] {
        second[key] = json!(null);
    }
    let mut report = whole("error", &summary, &of_all, &health, &[first, second]);
    report["host"] = json!(HOSTILE);
    report["remedy"] = json!("mount the drive; `sudo backup now` then makes a backup");
    report["not_told"] = json!([format!("cannot open {HOSTILE}: permission denied")]);
    report["findings"] = json!([
        {"severity": "error", "code": "damaged-files",
         "message": format!("/home/ann/{HOSTILE} is damaged in 3 snapshots"),
         "hint": "`sudo backup verify --repair` heals what it can"},
        {"severity": "refusal", "code": "r", "message": "the next run is refused", "hint": null},
        {"severity": "warning", "code": "space-ends-soon",
         "message": "/mnt/backup (local.mountPoint) has 12.0 GiB free and loses 1.0 GiB a day: in 12 days less \
                     than 10.0 GiB are left (local.minSpaceGB) and runs are refused",
         "hint": "keep fewer with local.keepDaily, or use a larger drive"},
        {"severity": "note", "code": "n", "message": "a note", "hint": "nothing"},
    ]);
    read(report)
}

/// A machine that was set up today.
pub(crate) fn first_day() -> PeriodReport {
    let summary = "no backup yet";
    let mut status = status("no-backup", summary);
    status["last_good"] = json!(null);
    status["cloud"] = json!(null);
    let mut own = destination(None, "/mnt/backup/atlas");
    for list in ["runs", "sizes", "snapshots", "room"] {
        own[list] = json!([]);
    }
    for key in ["folders", "share", "drill", "foretold_by"] {
        own[key] = json!(null);
    }
    own["read_back"] = json!({});
    own["drills"] = json!(false);
    own["cloud"]["newest"] = json!(null);
    let mut report = whole("error", summary, &status, &json!(null), &[own]);
    report["remedy"] = json!("`backup now` makes the first one");
    report["shown_from"] = report["since"].clone();
    read(report)
}

/// All of them by name.
pub(crate) fn all() -> [(&'static str, PeriodReport); 3] {
    [
        ("well", well()),
        ("troubled", troubled()),
        ("first-day", first_day()),
    ]
}

/// The first destination of a report.
#[allow(dead_code, reason = "not every test looks at one")]
pub(crate) fn first(report: &PeriodReport) -> &ReportedDestination {
    &report.destinations[0]
}

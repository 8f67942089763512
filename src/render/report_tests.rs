//! How reports look.

use chrono::{DateTime, FixedOffset};
use schema::{
    journal::{ProblemKind, REPORT_FORMAT_VERSION, StepReport},
    record::SnapshotTotals,
};

use super::*;
use crate::render::page::assert_fits;

fn at(time: &str) -> DateTime<FixedOffset> {
    format!("2025-01-16T{time}+01:00").parse().unwrap()
}

fn step(name: &str, from: &str, to: &str, outcome: Outcome) -> StepReport {
    StepReport {
        step: name.to_owned(),
        started_at: Some(at(from)),
        ended_at: at(to),
        outcome,
    }
}

fn sealed(problems: u64) -> Sealed {
    Sealed {
        costs_most: None,
        left_out: None,
        gone: None,
        id: "2025-01-16_02-00-00".parse().unwrap(),
        complete: problems == 0,
        suspect: Vec::new(),
        totals: SnapshotTotals {
            files: 12_357,
            bytes: 36_721_970_381,
            files_copied: 123,
            bytes_copied: 1_181_116_006,
            files_linked: 12_234,
            bytes_linked: 35_540_854_375,
            errors: problems,
            ..SnapshotTotals::default()
        },
    }
}

fn of(result: RunResult, snapshot: Option<Sealed>, steps: Vec<StepReport>) -> Report {
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: "2025-01-16_02-00-00-8c1f".to_owned(),
        host: "atlas".to_owned(),
        started_at: at("02:00:00"),
        ended_at: at("02:03:10"),
        result,
        only: None,
        only_of: Vec::new(),
        snapshot,
        findings: vec![Finding::new(
            Severity::Note,
            "first-snapshot",
            "not told again",
        )],
        steps,
        destinations: std::collections::BTreeMap::new(),
    }
}

fn problems(count: usize) -> Vec<Problem> {
    (0..count)
        .map(|at| Problem {
            path: format!("/home/ann/my\\040photos/{at}.jpg"),
            kind: match at {
                0 => ProblemKind::Vanished,
                1 => ProblemKind::Torn,
                _ => ProblemKind::Unreadable,
            },
            message: "Permission denied (os error 13)".to_owned(),
        })
        .collect()
}

fn incomplete() -> Report {
    let outcome = Outcome {
        status: Status::Incomplete,
        message: "sealed with 1,500 problems".to_owned(),
        problems: problems(13),
        ..Outcome::default()
    };
    of(
        RunResult::Incomplete,
        Some(sealed(1500)),
        vec![
            step(
                "destination-check",
                "02:00:00",
                "02:00:00.300",
                Outcome::success("/mnt/backup is the right one"),
            ),
            step(
                "space-check",
                "02:00:01",
                "02:00:02",
                Outcome::success("512.0 GiB free"),
            ),
            step("snapshot", "02:00:02", "02:03:05", outcome),
            step(
                "rotate",
                "02:03:05",
                "02:03:10",
                Outcome::success("9 snapshots kept"),
            ),
        ],
    )
}

const FOLDER: &str = "/var/lib/backup/runs/2025-01-16_02-00-00-8c1f";

#[test]
fn an_incomplete_run_lists_its_problems_gravest_first() {
    let text = report_page(&incomplete(), FOLDER, Telling::WHOLE, &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn a_failed_run_names_the_step_and_what_to_do() {
    let failed = Outcome::unsuccessful(
        Status::Failed,
        "write /mnt/backup/atlas/.backup/partial/2025-01-16_02-00-00/home/ann/video.mkv: \
         No space left on device (os error 28)",
        "free space on the destination, or lower local.keepDaily, keepWeekly or keepMonthly",
    );
    let skipped = StepReport {
        started_at: None,
        ..step(
            "rotate",
            "02:00:00",
            "02:03:10",
            Outcome {
                status: Status::Skipped,
                message: "needs snapshot, which did not succeed".to_owned(),
                ..Outcome::default()
            },
        )
    };
    let mut run = of(
        RunResult::Failed,
        None,
        vec![step("snapshot", "02:00:02", "02:03:05", failed), skipped],
    );
    run.findings.push(
        Finding::new(
            Severity::Warning,
            "source-missing",
            "/srv/photos (local.sources) is not there; the backup will be incomplete",
        )
        .hint("mount it, or remove it from local.sources"),
    );
    let text = report_page(&run, FOLDER, Telling::WHOLE, &Style::PLAIN);
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn a_good_run_ends_well_and_no_note_is_told_again() {
    let run = of(
        RunResult::Success,
        Some(sealed(0)),
        vec![step(
            "snapshot",
            "02:00:02",
            "02:03:05",
            Outcome::success("sealed"),
        )],
    );
    let text = report_page(&run, FOLDER, Telling::WHOLE, &Style::PLAIN);
    assert_fits(&text);
    assert!(
        text.ends_with("\nDone. Snapshot 2025-01-16_02-00-00 is complete.\n"),
        "{text}"
    );
    assert!(!text.contains("not told again"));
}

#[test]
fn each_result_has_its_ending() {
    let mut suspect = sealed(0);
    suspect.suspect = vec!["it has 12 entries, its basis has 1000".to_owned()];
    for (result, snapshot, ends) in [
        (RunResult::Refused, None, "Refused. Nothing changed.\n"),
        (
            RunResult::Deferred,
            None,
            "Deferred. Nothing changed; the next run tries again.\n",
        ),
        (
            RunResult::Interrupted,
            None,
            "Interrupted. What was done stays; the next run continues it.\n",
        ),
        (
            RunResult::Failed,
            Some(sealed(0)),
            "was sealed before that.\n",
        ),
        (
            RunResult::Incomplete,
            Some(suspect),
            "until a person has looked.\n",
        ),
        (RunResult::Success, None, "\nDone.\n"),
    ] {
        let text = report_page(
            &of(result, snapshot, Vec::new()),
            FOLDER,
            Telling::WHOLE,
            &Style::PLAIN,
        );
        assert_fits(&text);
        let unwrapped = text.replace("\n  ", " ");
        assert!(unwrapped.ends_with(ends), "{text}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plain = report_page(&incomplete(), FOLDER, Telling::WHOLE, &Style::PLAIN);
    let coloured = report_page(
        &incomplete(),
        FOLDER,
        Telling::WHOLE,
        &Style {
            color: true,
            ..Style::PLAIN
        },
    );
    assert_ne!(plain, coloured);
    let widths = |text: &str| text.lines().map(crate::style::width).collect::<Vec<_>>();
    assert_eq!(widths(&plain), widths(&coloured));
}

#[test]
fn what_ended_well_and_what_was_told_before_is_not_told_again() {
    let mut report = incomplete();
    let named =
        |name: &str, message: &str| step(name, "02:00:00", "02:00:10", Outcome::success(message));
    report.steps.insert(0, named("space-check", "5 GiB free"));
    report.steps.push(named("cloud-sync", "3 files uploaded"));
    report.steps.push(named("post-script", ""));
    let warning = Finding::new(Severity::Warning, "w", "something waits").hint("do it");
    report.findings.push(warning.clone());
    let told = Told {
        findings: vec![warning],
        ..Told::default()
    };
    let page = |told| {
        let is_whole = false;
        let telling = Telling { is_whole, told };
        report_page(&report, FOLDER, telling, &Style::PLAIN)
    };
    let text = page(None);
    for said in [
        "cloud-sync",
        "3 files uploaded",
        "incomplete  snapshot",
        "something waits",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    for said in ["space-check", "5 GiB free", "post-script"] {
        assert!(!text.contains(said), "{said}: {text}");
    }
    let text = page(Some(&told));
    assert!(
        !text.contains("something waits") && !text.contains("do it"),
        "{text}"
    );
    let whole = report_page(&report, FOLDER, Telling::WHOLE, &Style::PLAIN);
    assert!(
        whole.contains("space-check") && whole.contains("something waits"),
        "{whole}"
    );
}

#[test]
fn what_the_plan_did_not_say_is_gone_is_told_after_it() {
    let gone: Gone = serde_json::from_value(serde_json::json!({
        "files": 7, "bytes": 4096, "most_in": "/home/ann", "most_files": 7,
    }))
    .unwrap();
    let mut snapshot = sealed(0);
    snapshot.gone = Some(gone.clone());
    let report = of(RunResult::Success, Some(snapshot), Vec::new());
    let says_gone = |told: Option<Gone>| {
        let told = Told {
            gone: told,
            ..Told::default()
        };
        let telling = Telling {
            is_whole: false,
            told: Some(&told),
        };
        report_page(&report, FOLDER, telling, &Style::PLAIN).contains("gone from the sources: 7")
    };
    assert!(says_gone(None));
    assert!(!says_gone(Some(gone)));
}

#[test]
fn what_went_well_but_not_wholly_is_told_in_short_too() {
    let mut done = Outcome::success("it could not be made read-only");
    done.hint = Some("the next run tries again".to_owned());
    let check = Outcome::success("set up /mnt/backup/atlas");
    let steps = vec![
        step("destination-check", "02:00:00", "02:00:01", check),
        step("snapshot", "02:00:01", "02:00:02", done),
    ];
    let report = of(RunResult::Success, Some(sealed(0)), steps);
    let page = |told| {
        let is_whole = false;
        report_page(&report, FOLDER, Telling { is_whole, told }, &Style::PLAIN)
    };
    let text = page(None);
    assert!(text.contains("could not be made read-only"), "{text}");
    assert!(text.contains("hint: the next run tries again"), "{text}");
    assert!(text.contains("set up /mnt/backup/atlas"), "{text}");
    // The plan said so.
    let text = page(Some(&Told::default()));
    assert!(!text.contains("set up"), "{text}");
    assert!(text.contains("could not be made read-only"), "{text}");
}

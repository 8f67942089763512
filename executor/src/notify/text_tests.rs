use schema::{
    Finding,
    journal::{ChainReport, Outcome, Problem, ProblemKind, REPORT_FORMAT_VERSION, StepReport},
    record::SnapshotTotals,
};

use super::*;

fn time(text: &str) -> DateTime<FixedOffset> {
    text.parse().unwrap()
}

fn report(result: RunResult) -> Report {
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: "2025-01-16_02-00-00-8c1f".to_owned(),
        host: "atlas".to_owned(),
        started_at: time("2025-01-16T02:00:00+01:00"),
        ended_at: time("2025-01-16T02:31:00+01:00"),
        result,
        only: None,
        only_of: Vec::new(),
        snapshot: None,
        findings: Vec::new(),
        steps: Vec::new(),
        destinations: std::collections::BTreeMap::new(),
    }
}

fn sealed(complete: bool, suspect: &[&str]) -> Option<Sealed> {
    Some(Sealed {
        costs_most: None,
        left_out: None,
        gone: None,
        id: "2025-01-16_02-00-00".parse().unwrap(),
        complete,
        suspect: suspect.iter().map(|why| (*why).to_owned()).collect(),
        totals: SnapshotTotals {
            files: 12_357,
            bytes: 36_721_970_381,
            files_copied: 123,
            files_linked: 12_234,
            ..SnapshotTotals::default()
        },
    })
}

fn step(name: &str, status: Status, message: &str, hint: &str) -> StepReport {
    StepReport {
        step: name.to_owned(),
        started_at: None,
        ended_at: time("2025-01-16T02:31:00+01:00"),
        outcome: Outcome {
            status,
            message: message.to_owned(),
            hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
            ..Outcome::default()
        },
    }
}

fn last_good() -> Option<LastGood> {
    Some(LastGood {
        id: "2025-01-15_02-00-00".parse().unwrap(),
        started_at: time("2025-01-15T02:00:00+01:00"),
        complete: true,
    })
}

fn of(report: &Report, occasion: Occasion, last_good: Option<LastGood>) -> Message {
    compose_message(&News {
        report,
        last_good,
        now: time("2025-01-16T02:31:00+01:00"),
        occasion,
    })
}

fn shown(report: &Report, occasion: Occasion, last_good: Option<LastGood>) -> String {
    let message = of(report, occasion, last_good);
    format!(
        "{}\n({:?})\n\n{}",
        message.title, message.priority, message.body
    )
}

#[test]
fn every_result_reads_well() {
    let mut success = report(RunResult::Success);
    success.snapshot = sealed(true, &[]);
    success.steps = vec![
        step("announce", Status::Incomplete, "not told", "ask the server"),
        step("snapshot", Status::Succeeded, "made", ""),
    ];
    insta::assert_snapshot!("success", shown(&success, Occasion::Result, last_good()));

    let mut failed = report(RunResult::Failed);
    failed.steps = vec![
        step("destination-check", Status::Succeeded, "", ""),
        step(
            "snapshot",
            Status::Failed,
            "insufficient space: cannot write /mnt/backup/atlas/.backup/partial/x: no space left \
             on device",
            "free space on the destination, or lower local.keepDaily, keepWeekly or keepMonthly",
        ),
        step(
            "rotate",
            Status::Skipped,
            "needs snapshot, which did not succeed",
            "",
        ),
    ];
    insta::assert_snapshot!("failed", shown(&failed, Occasion::Result, last_good()));

    let mut refused = report(RunResult::Refused);
    refused.findings = vec![
        Finding::new(
            Severity::Refusal,
            "destination-not-mounted",
            "destination not mounted: nothing is mounted at /mnt/backup (local.mountPoint)",
        )
        .hint("mount the backup drive, then check with: mountpoint /mnt/backup"),
        Finding::new(Severity::Note, "note", "not worth a mail"),
    ];
    insta::assert_snapshot!("refused", shown(&refused, Occasion::Result, None));

    let mut incomplete = report(RunResult::Incomplete);
    incomplete.snapshot = sealed(false, &[]);
    let mut short = step(
        "snapshot",
        Status::Incomplete,
        "7 entries are not in the snapshot",
        "see the problems, then run `backup apply`",
    );
    short.outcome.problems = (1..=7)
        .map(|number| Problem {
            path: format!("/home/ann/closed-{number}"),
            kind: ProblemKind::Unreadable,
            message: "permission denied".to_owned(),
        })
        .collect();
    incomplete.steps = vec![short];
    insta::assert_snapshot!(
        "incomplete",
        shown(&incomplete, Occasion::Result, last_good())
    );

    let mut suspect = report(RunResult::Incomplete);
    suspect.snapshot = sealed(true, &["/home had 12 357 files and has none"]);
    suspect.steps = vec![step(
        "snapshot",
        Status::Incomplete,
        "the snapshot is suspect",
        "look at /home; if it is as it should be: backup accept 2025-01-16_02-00-00",
    )];
    insta::assert_snapshot!("suspect", shown(&suspect, Occasion::Result, last_good()));

    let mut late = report(RunResult::Deferred);
    late.findings = vec![
        Finding::new(
            Severity::Deferral,
            "on-battery",
            "on battery: schedule.onlyOnAC defers this run until the machine is on ac power",
        )
        .hint("plug the machine in, or run `backup now`, which does not ask"),
    ];
    let mut old = last_good();
    old.as_mut().unwrap().started_at = time("2025-01-10T02:00:00+01:00");
    insta::assert_snapshot!("late", shown(&late, Occasion::Late, old));

    let killed = report(RunResult::Interrupted);
    insta::assert_snapshot!("interrupted", shown(&killed, Occasion::Result, last_good()));
    insta::assert_snapshot!("test", shown(&success, Occasion::Test, None));
}

#[test]
fn a_health_check_says_what_is_wrong_and_what_is_safe() {
    let mut checked = report(RunResult::Failed);
    checked.findings = vec![
        Finding::new(
            Severity::Error,
            "backup-too-old",
            "the last good backup is 5 days old",
        )
        .hint("attach the drive and run `backup now`"),
        Finding::new(Severity::Note, "x", "a note is not told"),
    ];
    let message = of(&checked, Occasion::Health, last_good());
    assert_eq!(message.title, "Backup of atlas: NOT healthy");
    assert_eq!(message.priority, NotificationPriority::Bad);
    let expected = "\
The last good backup is 5 days old

Safe: the newest good snapshot is 2025-01-15_02-00-00, 24 hours old.

What to do: attach the drive and run `backup now`

Health was checked 2025-01-16 02:31 +01:00. `backup health` says more.
";
    assert_eq!(message.body, expected);
    checked.result = RunResult::Incomplete;
    let message = of(&checked, Occasion::Health, last_good());
    assert_eq!(message.title, "Backup of atlas: health needs a look");
    assert_eq!(message.priority, NotificationPriority::Doubtful);
}

#[test]
fn no_name_breaks_a_line_or_fills_the_page() {
    let mut hostile = report(RunResult::Failed);
    let long = "x".repeat(100_000);
    hostile.steps = vec![step(
        "snapshot",
        Status::Failed,
        &format!("a\r\nBcc: all\u{1b}[31m\u{202e}{long}"),
        &long,
    )];
    hostile.host = "at\nlas".to_owned();
    let told = of(&hostile, Occasion::Result, None);
    assert!(!told.title.contains('\n'));
    for text in told.body.lines() {
        assert!(text.chars().count() <= LINE + 4);
        assert!(
            !text.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
        assert!(!text.starts_with("Bcc"));
    }
}

#[test]
fn a_text_is_cut_between_lines_and_never_within_a_character() {
    assert_eq!(shorten_text("short", 100), "short");
    assert_eq!(
        shorten_text("one line\ntwo lines\nthree", 20),
        "one line\n..."
    );
    for most in 4..60 {
        let cut = shorten_text(&"gr\u{fc}\u{1f4f7}n ".repeat(20), most);
        assert!(cut.len() <= most, "{most}: {}", cut.len());
    }
}

#[test]
fn ages_are_told_in_the_unit_that_says_enough() {
    assert_eq!(format_age(TimeDelta::minutes(1)), "1 minute");
    assert_eq!(format_age(TimeDelta::minutes(119)), "119 minutes");
    assert_eq!(format_age(TimeDelta::hours(25)), "25 hours");
    assert_eq!(format_age(TimeDelta::hours(49)), "2 days");
    assert_eq!(format_age(TimeDelta::hours(-3)), "0 minutes");
}

#[test]
fn what_was_deleted_is_told_with_what_went_for_good() {
    let deletion = |id: &str, lost: Option<Lost>| Deletion {
        id: id.parse().unwrap(),
        home: schema::Tier::Daily,
        reason: ExpireReason::ByHand,
        frees: 1 << 20,
        lost,
    };
    let lost = |files, at_least| Lost {
        files: Some(files),
        bytes: files << 20,
        at_least,
    };
    let mut report = report(RunResult::Success);
    report.snapshot = sealed(true, &[]);
    let mut rotate = step("rotate", Status::Succeeded, "2 snapshots deleted", "");
    rotate.outcome.deleted = vec![
        deletion("2025-01-01_02-00-00", Some(lost(0, false))),
        deletion("2025-01-02_02-00-00", Some(lost(3, true))),
    ];
    report.steps = vec![rotate.clone()];
    let body = of(&report, Occasion::Result, None).body;
    let told = "Deleted: 2 snapshots, and with them went at least 3 files (3.0 MiB) that no other \
                snapshot has.\n  2025-01-01_02-00-00: nothing that no other snapshot has; named by \
                hand\n  2025-01-02_02-00-00: at least 3 files (3.0 MiB) that no other snapshot has; \
                named by hand\n";
    assert!(body.contains(told), "{body}");
    // What was given back because the cloud has it is not lost.
    let mut given_back = deletion("2025-01-01_02-00-00", Some(lost(3, false)));
    given_back.reason = ExpireReason::InTheCloud;
    rotate.outcome.deleted = vec![given_back];
    report.steps = vec![rotate.clone()];
    let body = of(&report, Occasion::Result, None).body;
    assert!(!body.contains("Deleted"), "{body}");
    // Of older plans only the bytes are known, and never too few are said.
    rotate.outcome.deleted = vec![deletion("2025-01-01_02-00-00", None); 7];
    report.steps = vec![rotate];
    let body = of(&report, Occasion::Result, None).body;
    let told = "with them went at least 7.0 MiB that no other snapshot has.";
    assert!(
        body.contains(told) && body.contains("\n  and 2 more\n"),
        "{body}"
    );
}

#[test]
fn of_several_destinations_each_is_named() {
    let name = |text: &str| DestinationName::new(text);
    let chain = |result| ChainReport {
        result,
        snapshot: None,
        findings: Vec::new(),
    };
    let mut late = report(RunResult::Deferred);
    let usb = (name("usb"), chain(RunResult::Deferred));
    late.destinations = [usb].into_iter().collect();
    let message = of(&late, Occasion::Late, None);
    assert_eq!(message.title, "Backup of atlas: late on usb");
    let told = "There is no new backup on usb: runs are deferred again and again.\n";
    assert!(message.body.contains(told), "{}", message.body);

    let mut report = report(RunResult::Success);
    let local = (name("local"), chain(RunResult::Success));
    let usb = (name("usb"), chain(RunResult::Success));
    report.destinations = [local, usb].into_iter().collect();
    let ids = ["2025-01-01_02-00-00", "2025-01-02_02-00-00"];
    for (at, id) in ["rotate", "rotate:usb"].into_iter().zip(ids) {
        let mut rotate = step(at, Status::Succeeded, "1 snapshot deleted", "");
        rotate.outcome.deleted = vec![Deletion {
            id: id.parse().unwrap(),
            home: schema::Tier::Daily,
            reason: ExpireReason::ByHand,
            frees: 0,
            lost: None,
        }];
        report.steps.push(rotate);
    }
    let body = of(&report, Occasion::Result, None).body;
    for line in [
        "  2025-01-01_02-00-00 on local: ",
        "  2025-01-02_02-00-00 on usb: ",
    ] {
        assert!(body.contains(line), "{body}");
    }
}

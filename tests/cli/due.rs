//! `apply --if-due`: whatever triggers it, the program knows whether a run is due.

use crate::lab::{Lab, Ran, id_of, run_command};

const DAY: &str = "2025-03-05T02:00:00+01:00";
const SOON: &str = "2025-03-05T02:20:00+01:00";
const LATER: &str = "2025-03-05T03:30:00+01:00";
const NEXT: &str = "2025-03-06T02:10:00+01:00";

fn scheduled() -> Lab {
    let mut lab = Lab::new();
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    lab
}

/// As the timer of the schedule starts it, or as a person does.
fn due(lab: &Lab, now: &str) -> Ran {
    lab.at(now, &["apply", "--if-due"])
}

/// As the timer that asks again starts it.
fn again(lab: &Lab, now: &str) -> Ran {
    let arguments = ["apply", "--if-due", "--now", now];
    let mut command = lab.command(&arguments);
    command.env("TRIGGER_UNIT", "backup-retry.timer");
    run_command(command, &arguments)
}

#[test]
fn asking_again_runs_nothing_that_was_served_and_what_the_timer_did_not() {
    let lab = scheduled();
    due(&lab, DAY).expect(0);
    again(&lab, SOON).expect(0).says("nothing is due");
    again(&lab, LATER).expect(0).says("nothing is due");
    assert_eq!(lab.ids().len(), 1);
    // The timer did not fire on the next day; its random delay of an hour is waited for.
    again(&lab, NEXT)
        .expect(0)
        .says("nothing is due: the timer's random delay is not over");
    again(&lab, "2025-03-06T03:10:00+01:00").expect(0);
    assert_eq!(lab.runs().len(), 2);
}

#[test]
fn asking_does_not_look_at_a_destination_that_need_not_be_there() {
    let lab = scheduled();
    due(&lab, DAY).expect(0);
    std::fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    again(&lab, LATER).expect(0).says("nothing is due");
}

#[test]
fn a_failure_is_tried_again_after_a_while_and_a_person_does_not_wait() {
    let mut lab = scheduled();
    lab.set("schedule.randomDelay", "0s");
    let script = lab.script("pre", "exit 1");
    lab.set("preBackupScript", script);
    due(&lab, DAY).expect(1);
    again(&lab, "2025-03-05T02:10:00+01:00")
        .expect(0)
        .says("nothing is due: the last run was failed; it is tried again at 02:15");
    again(&lab, SOON).expect(1);
    again(&lab, "2025-03-05T02:40:00+01:00")
        .expect(0)
        .says("it is tried again at 02:50");
    lab.script("pre", "exit 0");
    due(&lab, "2025-03-05T02:41:00+01:00").expect(0);
    again(&lab, LATER).expect(0).says("nothing is due");
}

#[test]
fn a_refusal_for_the_same_reason_is_told_once_in_a_period() {
    let mut lab = scheduled();
    lab.set("local.requireMount", true);
    lab.set("schedule.randomDelay", "0s");
    due(&lab, DAY).expect(4).says("destination not mounted");
    assert_eq!(lab.runs().len(), 1);
    again(&lab, SOON).expect(4).says("refused as before");
    again(&lab, LATER).expect(4).says("refused as before");
    assert_eq!(lab.runs().len(), 1);
    due(&lab, NEXT).expect(4);
    assert_eq!(lab.runs().len(), 2, "told again in the next period");
    // A person is always told.
    lab.at(NEXT, &["apply"]).expect(4);
    lab.set("local.requireMount", false);
    again(&lab, NEXT).expect(0);
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn a_suspect_snapshot_is_not_made_again_and_again() {
    let lab = scheduled();
    for number in 0..40 {
        lab.write(&format!("home/many/{number}"), "some");
    }
    due(&lab, DAY).expect(0);
    std::fs::remove_dir_all(lab.path("home/many")).unwrap();
    due(&lab, NEXT).expect(3).says("suspect");
    let count = lab.ids().len();
    again(&lab, "2025-03-06T04:00:00+01:00")
        .expect(0)
        .says("nothing is due");
    assert_eq!(lab.ids().len(), count);
}

#[test]
fn what_was_missed_while_the_machine_was_off_is_caught_up_unless_that_is_unwanted() {
    let mut lab = scheduled();
    // Once a year: no machine that runs tests is up for that long.
    lab.set("schedule.frequency", "*-01-01 00:00");
    lab.set("schedule.persistent", false);
    let summer = "2025-07-01T12:00:00+02:00";
    due(&lab, summer)
        .expect(0)
        .says("nothing is due: it was missed while the machine was off (schedule.persistent)");
    assert_eq!(lab.ids().len(), 0);
    lab.set("schedule.persistent", true);
    due(&lab, summer).expect(0);
    assert_eq!(lab.ids().len(), 1);
}

/// A script of the configuration, which ends the run as the kernel does when memory is short.
fn deadly(lab: &mut Lab, option: &str) {
    let script = lab.script("deadly", "[ -e harmless ] || kill -KILL $PPID");
    lab.set(option, script);
}

#[test]
fn a_clock_that_was_ahead_stops_no_later_night_and_spoils_no_run() {
    for ahead in ["2026-03-10T02:00:00+01:00", "2025-03-09T02:00:00+01:00"] {
        let mut lab = scheduled();
        lab.set("schedule.randomDelay", "0s");
        due(&lab, DAY).expect(0);
        due(&lab, ahead).expect(0);
        for day in 6..=10 {
            lab.write("home/ann/letter.txt", &format!("dear all, {day}\n"));
            let night = format!("2025-03-{day:02}T02:30:00+01:00");
            let told = again(&lab, &night).expect(0);
            let id = id_of(&night);
            assert!(lab.ids().contains(&id), "{ahead}, {night}: {told}");
            assert!(
                lab.latest().ends_with(&id),
                "{ahead}, {night}: {}",
                lab.latest()
            );
            again(&lab, &format!("2025-03-{day:02}T03:30:00+01:00"))
                .expect(0)
                .says("nothing is due");
        }
        let status = lab
            .at("2025-03-10T04:00:00+01:00", &["status", "--json"])
            .json();
        assert_eq!(status["verdict"], "ok", "{status:#}");
        assert_eq!(
            status["last_good"]["id"],
            *id_of("2025-03-10T02:30:00+01:00")
        );
    }
}

#[test]
fn a_snapshot_of_the_future_is_a_note_that_names_the_way_to_clear_it_away() {
    let lab = scheduled();
    lab.backup(DAY);
    let ahead = "2026-03-10T02:00:00+01:00";
    lab.backup(ahead);
    let plan = lab.at(NEXT, &["plan"]).expect(0);
    plan.says(&format!("backup delete {}", id_of(ahead)));
    lab.backup(NEXT);
    let health = lab.at(NEXT, &["health", "--json"]).expect(0).json();
    assert_eq!(health["last_good"]["id"], *id_of(NEXT));
}

#[test]
fn an_unfinished_run_whose_drive_is_away_by_policy_is_deferred_and_goes_on_when_it_is_back() {
    let mut lab = scheduled();
    lab.set("local.ifAbsent", "defer");
    // After the snapshot: a script before it might bring the drive, and would be asked to.
    deadly(&mut lab, "postBackupScript");
    lab.write("harmless", "");
    due(&lab, DAY).expect(0);
    std::fs::remove_file(lab.path("harmless")).unwrap();
    let killed = due(&lab, NEXT);
    assert_ne!(killed.code, 0);
    let unfinished = lab.runs();
    std::fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.write("harmless", "");
    for _ in 0..2 {
        due(&lab, "2025-03-06T03:00:00+01:00")
            .expect(75)
            .says("destination not mounted");
    }
    lab.at("2025-03-06T03:00:00+01:00", &["apply"])
        .expect(75)
        .says("destination not mounted");
    assert_eq!(lab.runs(), unfinished);
    std::fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    due(&lab, "2025-03-06T04:00:00+01:00").expect(0);
    assert_eq!(lab.runs(), unfinished, "the same run went on");
    assert!(lab.ids().contains(&id_of(NEXT)));
}

#[test]
fn a_run_that_dies_each_time_is_tried_at_growing_distances_and_planned_anew_once() {
    let mut lab = scheduled();
    lab.set("schedule.randomDelay", "0s");
    deadly(&mut lab, "preBackupScript");
    let at = |time: &str| format!("2025-03-05T{time}:00+01:00");
    let dies = |time: &str| assert_ne!(again(&lab, &at(time)).code, 0, "at {time}");
    let waits = |time: &str, until: &str| {
        let told = again(&lab, &at(time)).expect(0);
        told.says(&format!("it is continued at {until}"));
    };
    dies("02:00");
    // Once may have been anybody's doing: it goes on when the timer asks again.
    dies("02:15");
    waits("02:30", "02:45");
    dies("02:45");
    waits("03:30", "03:45");
    dies("03:45");
    let status = lab.at(&at("05:00"), &["status"]);
    status.says("interrupted 4 times");
    assert_eq!(lab.runs().len(), 1);
    dies("05:45");
    assert_eq!(lab.runs().len(), 2, "planned anew");
    dies("09:45");
    dies("15:45");
    dies("21:45");
    waits("23:00", "03:45");
    assert_eq!(lab.runs().len(), 2, "but once");
    lab.at(&at("23:00"), &["status"])
        .says("interrupted 8 times");
    lab.write("harmless", "");
    // A person does not wait.
    due(&lab, &at("23:01")).expect(0);
    lab.at(&at("23:02"), &["status"]).expect(0).says("ok");
}

#[test]
fn a_weekly_backup_is_made_once_a_week_wherever_the_machine_is() {
    let mut lab = scheduled();
    lab.set("schedule.frequency", "weekly");
    lab.set("schedule.randomDelay", "0s");
    // Mondays and what lies between: the clocks of Berlin go back, then a flight to New York.
    for (now, count) in [
        ("2025-10-20T02:00:00+02:00", 1),
        ("2025-10-26T12:00:00+01:00", 1),
        ("2025-10-27T02:00:00+01:00", 2),
        ("2025-10-27T01:30:00-05:00", 2),
        ("2025-10-27T02:30:00-05:00", 2),
        ("2025-11-01T12:00:00-05:00", 2),
        ("2025-11-03T02:00:00-05:00", 3),
        ("2025-11-03T12:00:00+01:00", 3),
        ("2025-11-10T02:00:00+01:00", 4),
    ] {
        due(&lab, now).expect(0);
        assert_eq!(lab.ids().len(), count, "{now}");
    }
}

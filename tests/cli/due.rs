//! `apply --if-due`: whatever triggers it, the program knows whether a run is due.

use crate::lab::{Lab, Ran, ran};

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
    ran(command, &arguments)
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

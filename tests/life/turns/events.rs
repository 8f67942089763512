//! What happens to disks that take turns, and what the household must notice of it.

use std::{fs, thread, time::Duration};

use super::household::{FAR, Household};
use crate::{disk::rot_a_photograph, model, night};

/// What one night of an event does; gives whether it was the last one.
type Night = fn(&mut Household, u32) -> bool;

/// Something that happens.
pub(crate) struct Event {
    name: &'static str,
    night: Night,
    nights: u32,
}

impl Event {
    /// Its next night; gives whether it was the last one.
    pub(crate) fn is_over_after(&mut self, household: &mut Household) -> bool {
        if self.nights == 0 {
            eprintln!("{}  {}", night::date(household.day), self.name);
        }
        self.nights += 1;
        (self.night)(household, self.nights - 1)
    }
}

/// In what order they come is chance.
const ANY_TIME: &[(&str, Night)] = &[
    ("another disk is in the place of one", swapped),
    ("a disk is full", full),
    ("a photograph rots on a disk", rotten),
    ("the clock is ahead for one night", clock_ahead),
    ("one that is away is asked for", asked_for),
    ("one alone is served", one_alone),
    ("a plan is saved for the night", saved_plan),
    ("a saved plan is too old", stale_plan),
    ("a disk is taken out while a run is at it", taken_out),
    ("a holiday", holiday),
];

/// The events of a life with the day each begins at the earliest; a disk is lost early, so that its absence
/// is noticed.
pub(crate) fn calendar(random: &mut test_support::Random, days: u32) -> Vec<(u32, Event)> {
    let event = |name, night| Event {
        name,
        night,
        nights: 0,
    };
    let mut calendar = vec![(9, event("a disk is lost", lost))];
    let mut left = ANY_TIME.to_vec();
    let apart = (days - 24) / ANY_TIME.len() as u32;
    for slot in 0..ANY_TIME.len() as u32 {
        let (name, night) = left.swap_remove(random.index_below(left.len()));
        calendar.push((12 + slot * apart, event(name, night)));
    }
    calendar
}

fn lost(household: &mut Household, _: u32) -> bool {
    let lost = household.present()[0];
    household.disks[lost].disk.detach();
    household.disks[lost].is_lost = true;
    household.night();
    true
}

fn swapped(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    let other = household.one_away();
    household.disks[here].disk.detach();
    let (here_name, other_name) = (
        household.disks[here].name.clone(),
        household.disks[other].name.clone(),
    );
    let there = model::read(&household.path(&here_name));
    assert!(there.is_empty(), "something was written below {here_name}");
    let in_place = household.disks[other]
        .disk
        .in_place_of(&household.disks[here].disk);
    let before = model::found(&household.stored_on(here));
    let mut ends = household.wanted_ends(None);
    ends.insert(here_name.clone(), "refused".to_owned());
    let report = household.back_up(2, &["apply"], &ends);
    let findings = report["destinations"][&here_name]["findings"].to_string();
    assert!(findings.contains("hint"), "{findings}");
    let after = model::found(&household.stored_on(here));
    assert_eq!(before, after, "{other_name} in the place of {here_name}");
    in_place.end();
    household.disks[here].disk.attach();
    household.count_action(&format!("put {here_name} where it belongs"));
    household.back_up(4, &["apply"], &household.wanted_ends(None));
    true
}

fn full(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    let name = household.disks[here].name.clone();
    let ballast = household.path(&name).join("films");
    let free = nix::sys::statvfs::statvfs(&household.path(&name)).unwrap();
    let free = free.blocks_available() * free.fragment_size();
    fs::write(&ballast, vec![1; free as usize - 1_000_000]).unwrap();
    household.home.film("ann/film.mp4", 3_000_000);
    let mut ends = household.wanted_ends(None);
    ends.insert(name.clone(), "refused".to_owned());
    let report = household.back_up(2, &["apply"], &ends);
    let findings = report["destinations"][&name]["findings"].to_string();
    assert!(findings.contains("insufficient space"), "{findings}");
    household.home.remove("ann/film.mp4");
    fs::remove_file(ballast).unwrap();
    household.count_action(&format!("make room on {name}"));
    household.back_up(4, &["apply"], &household.wanted_ends(None));
    true
}

fn rotten(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    household.night();
    let latest = fs::canonicalize(household.stored_on(here).join("latest")).unwrap();
    rot_a_photograph(&household.home_in(&latest));
    let name = household.disks[here].name.clone();
    let verify = ["verify", "--destination", &name];
    let ran = household.run(&verify).expect(3).says(".jpg");
    household.follow_advice(&ran, "verify").expect(0);
    household.run(&verify).expect(0);
    true
}

/// More than all that anybody is late with.
const AHEAD: u32 = 3 * 365;

fn clock_ahead(household: &mut Household, nights: u32) -> bool {
    if nights > 0 {
        household.night();
        return true;
    }
    let ends = household.wanted_ends(None);
    let ahead = night::at(household.day + AHEAD, 2);
    let before = household.present().into_iter();
    let before: Vec<_> = before
        .map(|disk| (disk, model::found(&household.stored_on(disk))))
        .collect();
    household.back_up_by(ahead, &["apply"], &ends);
    // By that clock it is a day like any other, and one of each rule may go for it.
    for (disk, before) in before {
        let after = model::found(&household.stored_on(disk));
        let gone = before.keys().filter(|id| !after.contains_key(*id)).count();
        assert!(gone <= 4, "{gone} went at once");
        let made = &mut household.disks[disk].model.made;
        made.retain(|id, _| after.contains_key(id));
    }
    let left = household.far_ids();
    household.far.made.retain(|id, _| left.contains(id));
    household.forget_told();
    false
}

fn asked_for(household: &mut Household, nights: u32) -> bool {
    const NIGHTS: u32 = 2;
    if nights == 0 {
        let away = household.one_away();
        household.disks[away].must_be_there = true;
        let name = household.disks[away].name.clone();
        household.set(&name, "ifAbsent", "fail");
    }
    household.night();
    if nights + 1 < NIGHTS {
        return false;
    }
    for disk in 0..household.disks.len() {
        if household.disks[disk].must_be_there {
            household.disks[disk].must_be_there = false;
            let name = household.disks[disk].name.clone();
            household.set(&name, "ifAbsent", "defer");
        }
    }
    true
}

fn one_alone(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    let name = household.disks[here].name.clone();
    let only = [name.as_str(), FAR];
    let ends = household.wanted_ends(Some(&only));
    household.back_up(2, &["apply", "--only", only[0], only[1]], &ends);
    true
}

fn saved_plan(household: &mut Household, _: u32) -> bool {
    let plan = household.text("plan.json");
    household
        .at(1, &["plan", "--out", &plan])
        .expect_one_of(&[0, 75]);
    household.back_up(2, &["apply", &plan], &household.wanted_ends(None));
    true
}

fn stale_plan(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    let plan = household.text("plan.json");
    household
        .at(1, &["plan", "--out", &plan])
        .expect_one_of(&[0, 75]);
    let name = household.disks[here].name.clone();
    let only = [name.as_str()];
    let ends = household.wanted_ends(Some(&only));
    household.back_up(2, &["apply", "--only", &name], &ends);
    household.at(3, &["apply", &plan]).expect(4).says("stale");
    household.forget_told();
    household.night_at(4);
    true
}

/// A run is killed, and the disk that it was at goes into the drawer; another one comes for it.
fn taken_out(household: &mut Household, _: u32) -> bool {
    let here = household.present()[0];
    let now = household.now(2).to_rfc3339();
    let mut child = household
        .command(&["apply", "--now", &now])
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(20 + household.random.below(200)));
    let _ = child.kill();
    child.wait_with_output().unwrap();
    // What had to end with it may still be at its last call.
    thread::sleep(Duration::from_millis(100));
    for disk in household.present() {
        household.note_all_sealed(disk, true);
    }
    household.note_all_uploaded(true);
    let other = household.one_away();
    household.disks[here].disk.detach();
    household.disks[other].disk.attach();
    // What is left of it is ended first; how far it had come nobody knows.
    household.night_after_a_kill(3, here, other);
    household.night_at(4);
    household.disks[other].disk.detach();
    household.disks[here].disk.attach();
    true
}

fn holiday(_: &mut Household, nights: u32) -> bool {
    nights >= 5
}

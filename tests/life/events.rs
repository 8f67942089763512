//! What happens in a year, and what the program must make of it.
//!
//! Each event says how its nights may end, what must be told, and what the user does about it.

use std::{fs, os::unix::fs::MetadataExt as _};

use chrono::Datelike as _;

use crate::{
    disk::{entries, flip_byte, rot_a_photograph, run_tool},
    model::{self, KEEP},
    night,
    world::{Random, World},
};

/// What one night of an event does; gives whether it was the last one.
type Night = fn(&mut World, u32) -> bool;

/// Something that happens.
pub(crate) struct Event {
    name: &'static str,
    night: Night,
    begun: Option<u32>,
    over: bool,
}

impl Event {
    /// The night of this day, while it goes on and after.
    pub(crate) fn night(&mut self, world: &mut World, day: u32) {
        if self.over {
            return world.quiet_night(day);
        }
        let begun = *self.begun.get_or_insert(day);
        if begun == day {
            eprintln!("{}  {}", night::date(day), self.name);
        }
        self.over = (self.night)(world, day - begun);
    }

    /// Fails if it goes on when the next one comes.
    pub(crate) fn must_be_over(&self, world: &World) {
        assert!(self.over, "{} is not over on day {}", self.name, world.day);
    }
}

/// In what order they come is chance; but for the two times that the disk is full.
const ANY_TIME: &[(&str, Night)] = &[
    ("a run is killed", killed),
    ("the drive is away", drive_away),
    ("a byte of the newest manifest flips", manifest_flips),
    ("a file of the state directory is rubbish", state_is_rubbish),
    ("the clock is ahead for one run", clock_ahead),
    ("a listed file is missing for a week", source_missing),
    ("everything is converted", converted),
    ("the album is renamed", renamed),
    ("a snapshot is removed with rm", removed_by_hand),
    ("a holiday", holiday),
    ("the machine is installed anew", installed_anew),
    ("a stored file is immutable", immutable),
    ("the folder of weeklies is a file", tier_is_file),
    ("two backups by hand on one day", by_hand),
    ("a slip in the keep numbers", slip),
    ("a stored photograph rots", rot),
    ("the drive's own record is rubbish", destination_record),
];

/// The events of a year with the day each begins.
pub(crate) fn calendar(random: &mut Random) -> Vec<(u32, Event)> {
    let mut left = ANY_TIME.to_vec();
    let mut calendar = Vec::new();
    for slot in 0..ANY_TIME.len() {
        let (name, night) = left.swap_remove(random.below(left.len() as u64) as usize);
        let begin = 12 + slot as u32 * 17 + random.below(3) as u32;
        calendar.push((begin, name, night));
    }
    calendar.push((306, "the disk is full", full));
    calendar.push((330, "the disk is full again", full_again));
    calendar
        .into_iter()
        .map(|(day, name, night)| {
            let event = Event {
                name,
                night,
                begun: None,
                over: false,
            };
            (day, event)
        })
        .collect()
}

fn killed(world: &mut World, _: u32) -> bool {
    world.home.film("bob/download.iso", 2_000_000);
    let now = night::at(world.day, 2).to_rfc3339();
    let mut child = world.command(&["apply", "--now", &now]).spawn().unwrap();
    let pause = 20 + world.random.below(120);
    std::thread::sleep(std::time::Duration::from_millis(pause));
    let _ = child.kill();
    child.wait_with_output().unwrap();
    // The timer asks again an hour later.
    world.at(3, &["apply"]).expect(0);
    world.note_all_sealed();
    world.home.remove("bob/download.iso");
    true
}

fn drive_away(world: &mut World, night: u32) -> bool {
    if night < 3 {
        world.disk.detach();
        world
            .backup()
            .expect(4)
            .says("destination not mounted")
            .says("hint:");
        assert_eq!(fs::read_dir(world.path("mnt")).unwrap().count(), 0);
        return false;
    }
    world.disk.attach();
    world.count_action("the drive is away", "mount the drive");
    world.quiet_night(world.day);
    true
}

fn manifest_flips(world: &mut World, _: u32) -> bool {
    let id = newest(world);
    let folder = world.stored(&format!(".backup/snapshots/{id}"));
    flip_byte(&folder.join("manifest/SHA256SUMS"));
    let ran = world.backup().expect_one_of(&[0, 3]).says(&id);
    world.note_sealed(true, true);
    world
        .follow_advice("a manifest is damaged", &ran, "verify")
        .expect(0);
    true
}

fn state_is_rubbish(world: &mut World, _: u32) -> bool {
    world.run(&["verify"]).expect(0);
    for file in entries(&world.path("state")) {
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            fs::write(file, "{\"x").unwrap();
        }
    }
    world.backup().expect_one_of(&[0, 3]);
    world.note_sealed(true, true);
    true
}

fn clock_ahead(world: &mut World, night: u32) -> bool {
    if night == 0 {
        let before = model::found(&world.stored(""));
        let ahead = night::at(world.day + 30 * 365, 2).to_rfc3339();
        world
            .run(&["apply", "--now", &ahead])
            .expect_one_of(&[0, 3]);
        world.note_sealed(true, false);
        let found = model::found(&world.stored(""));
        // By that clock it is a day like any other, and one of each rule may go for it.
        let gone = before.keys().filter(|id| !found.contains_key(*id)).count();
        assert!(gone <= 4, "{gone} went at once");
        world.model.made.retain(|id, _| found.contains_key(id));
        return false;
    }
    let ran = world.backup().expect(0);
    let latest = fs::read_link(world.stored("latest")).unwrap();
    let id = world.note_sealed(true, true);
    assert!(latest.ends_with(&id), "{latest:?} is not {id}");
    let future: Vec<String> = world
        .model
        .made
        .iter()
        .filter(|(_, one)| !one.counts)
        .map(|(id, _)| id.clone())
        .collect();
    world
        .follow_advice("the clock was ahead", &ran, "delete")
        .expect(0);
    for id in future {
        assert!(
            !model::found(&world.stored("")).contains_key(&id),
            "{id} is still there"
        );
        world.model.made.remove(&id);
    }
    true
}

fn source_missing(world: &mut World, night: u32) -> bool {
    let path = world.path("one.conf");
    if night < 7 {
        if night == 0 {
            fs::remove_file(&path).unwrap();
            world.home.film("ann/lecture.webm", 300_000);
        }
        world
            .backup()
            .expect(3)
            .says(path.to_str().unwrap())
            .says("hint:");
        world.note_sealed(false, true);
        return false;
    }
    let inodes: std::collections::BTreeSet<u64> = model::found(&world.stored(""))
        .values()
        .filter_map(|snapshot| {
            let copy = world.home_in(snapshot).join("ann/lecture.webm");
            copy.metadata().ok().map(|meta| meta.ino())
        })
        .collect();
    assert_eq!(
        inodes.len(),
        1,
        "incomplete nights stored the same file again"
    );
    fs::write(&path, "set = 1\n").unwrap();
    world.count_action("a listed file is missing", "put it back");
    world.quiet_night(world.day);
    true
}

fn converted(world: &mut World, night: u32) -> bool {
    if night == 0 {
        world.home.rewrite_all();
    }
    let ran = world.backup().expect(3).says("suspect").says("hint:");
    let id = world.note_sealed(true, false);
    if night < 3 {
        return false;
    }
    world
        .follow_advice("everything was converted", &ran, "accept")
        .expect(0);
    // One word settles all of them.
    for one in world.model.made.values_mut() {
        one.counts = true;
    }
    let health = world.at(4, &["health", "--quick"]).expect_one_of(&[0, 3]);
    assert!(
        !health.in_one_line().contains("backup accept"),
        "{id}: {health}"
    );
    true
}

fn renamed(world: &mut World, _: u32) -> bool {
    let inodes = |world: &World| -> std::collections::BTreeSet<u64> {
        model::found(&world.stored(""))
            .values()
            .flat_map(|snapshot| walkdir::WalkDir::new(world.home_in(snapshot)))
            .map(Result::unwrap)
            .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "jpg"))
            .map(|entry| entry.metadata().unwrap().ino())
            .collect()
    };
    let before = inodes(world);
    world.home.rename_album();
    world.backup().expect(0);
    world.note_sealed(true, true);
    let new: Vec<u64> = inodes(world).difference(&before).copied().collect();
    // The day's own photograph at most.
    assert!(
        new.len() <= 1,
        "{} photographs were stored again",
        new.len()
    );
    true
}

fn removed_by_hand(world: &mut World, night: u32) -> bool {
    if night > 0 {
        world.quiet_night(world.day);
        return true;
    }
    let found = model::found(&world.stored(""));
    let newest = newest(world);
    let ids: Vec<&String> = found.keys().filter(|id| **id != newest).collect();
    let victim = ids[world.random.below(ids.len() as u64) as usize].clone();
    fs::remove_dir_all(&found[&victim]).unwrap();
    world.note_deletions(&found);
    world.backup().expect(0);
    world.note_sealed(true, true);
    false
}

fn holiday(world: &mut World, night: u32) -> bool {
    if night < 14 {
        return false;
    }
    world.quiet_night(world.day);
    true
}

fn installed_anew(world: &mut World, _: u32) -> bool {
    world.install_anew();
    let ran = world.backup().expect(4).says("machine");
    world
        .follow_advice("the machine was installed anew", &ran, "init")
        .expect(0);
    world.at(3, &["apply"]).expect(0);
    world.note_sealed(true, true);
    true
}

fn immutable(world: &mut World, night: u32) -> bool {
    if night == 0 {
        let found = model::found(&world.stored(""));
        // One in the middle of a week, which no longer tier takes over.
        let middle = |id: &String| world.model.made[id].day.weekday().num_days_from_monday();
        let daily = found
            .iter()
            .rev()
            .find(|(id, _)| (1..5).contains(&middle(id)));
        let (_, daily) = daily.unwrap();
        let letter = world.home_in(daily).join("ann/letters");
        let letter = entries(&letter).into_iter().next().unwrap();
        run_tool("chattr", ["+i".as_ref(), letter.as_os_str()]);
    }
    let ran = world.backup().expect_one_of(&[0, 3]);
    world.note_sealed(true, true);
    if night < 9 {
        return false;
    }
    let health = world.at(3, &["health", "--quick"]);
    let line = format!("{} {}", ran.in_one_line(), health.in_one_line());
    assert!(
        line.contains("chattr"),
        "nobody is told what cannot be deleted: {line}"
    );
    let trash = world.stored(".backup/trash");
    run_tool("chattr", ["-R", "-i", trash.to_str().unwrap()]);
    world.count_action("a stored file was immutable", "chattr -R -i");
    world.at(4, &["apply"]).expect(0);
    world.note_sealed(true, true);
    let left = entries(&world.stored(".backup/trash"));
    assert!(left.is_empty(), "the trash is not empty: {left:?}");
    true
}

fn tier_is_file(world: &mut World, night: u32) -> bool {
    let (weekly, aside) = (world.stored("weekly"), world.stored("weekly.saved"));
    if night == 0 {
        fs::rename(&weekly, &aside).unwrap();
        fs::write(&weekly, "a note\n").unwrap();
        // What was in it is not seen for a night; it is not gone.
        world.backup().expect_one_of(&[0, 1, 3]).says("weekly");
        let made = world.note_sealed(true, true);
        assert!(
            weekly.is_file(),
            "{made}: the file of somebody else is gone"
        );
        fs::remove_file(&weekly).unwrap();
        fs::rename(&aside, &weekly).unwrap();
        world.count_action("the weeklies were a file", "put the folder back");
        return false;
    }
    world.quiet_night(world.day);
    true
}

fn by_hand(world: &mut World, _: u32) -> bool {
    world.quiet_night(world.day);
    world.home.film("bob/thesis.tex", 5_000);
    world.at(10, &["apply"]).expect(0);
    let ten = world.note_sealed(true, true);
    world.home.remove("bob/thesis.tex");
    world.at(11, &["apply"]).expect(0);
    world.note_sealed(true, true);
    assert!(
        model::found(&world.stored("")).contains_key(&ten),
        "the first backup of the day went with the only copy of a file"
    );
    true
}

fn slip(world: &mut World, night: u32) -> bool {
    if night < 6 {
        for key in ["keepDaily", "keepWeekly", "keepMonthly"] {
            world.set(key, i32::from(key == "keepDaily"));
        }
        let before = model::found(&world.stored("")).len();
        let ran = world.backup();
        world.note_sealed(true, true);
        // Until there is something to lose, a small policy is one like any other.
        let after = model::found(&world.stored("")).len();
        assert_eq!(
            after,
            before + 1,
            "deleted without a word from anybody: {ran}"
        );
        ran.expect(3).says("approve");
        return false;
    }
    let (daily, weekly, monthly) = KEEP;
    for (key, count) in [
        ("keepDaily", daily),
        ("keepWeekly", weekly),
        ("keepMonthly", monthly),
    ] {
        world.set(key, count);
    }
    // What was held back waits for a word, though the numbers are right again.
    let ran = world.backup().expect_one_of(&[0, 3]);
    world.note_sealed(true, true);
    if ran.code == 3 {
        world
            .follow_advice("a slip in the keep numbers", &ran, "prune")
            .expect(0);
    }
    true
}

fn rot(world: &mut World, _: u32) -> bool {
    world.quiet_night(world.day);
    let latest = fs::canonicalize(world.stored("latest")).unwrap();
    rot_a_photograph(&world.home_in(&latest));
    let ran = world.run(&["verify"]).expect(3).says(".jpg");
    world
        .follow_advice("a photograph rotted", &ran, "verify")
        .expect(0);
    true
}

fn destination_record(world: &mut World, night: u32) -> bool {
    if night > 0 {
        world.quiet_night(world.day);
        return true;
    }
    fs::write(world.stored(".backup/destination.json"), "{\"id").unwrap();
    let mut ran = world.backup().expect_one_of(&[0, 3, 4]);
    if ran.code == 4 {
        world
            .follow_advice("the drive's record was rubbish", &ran, "init")
            .expect(0);
        ran = world.at(3, &["apply"]).expect_one_of(&[0, 3]);
    }
    assert!(
        ran.in_one_line().contains("destination.json") || ran.code == 0,
        "{ran}"
    );
    world.note_sealed(true, true);
    false
}

/// Bytes of a film.
const FILM: usize = 9_000_000;

/// New films each night until they do not fit: the refusal names what would make room.
fn full(world: &mut World, night: u32) -> bool {
    world.home.film("ann/film.mp4", FILM);
    let ran = world.backup().expect_one_of(&[0, 4]);
    if ran.code == 0 {
        world.note_sealed(true, true);
        assert!(night < 9, "a disk of 40 MiB holds nine films of 9 MB");
        return false;
    }
    let before = model::found(&world.stored(""));
    let ran = ran.says("insufficient space");
    world
        .follow_advice("the disk was full", &ran, "delete")
        .expect(0);
    world.note_deletions(&before);
    world.at(3, &["apply"]).expect(0);
    world.note_sealed(true, true);
    world.home.remove("ann/film.mp4");
    // It is enough for this night; who does not want to be asked each time is told the option.
    ran.says("local.makeRoom = \"oldest\"");
    world.set("makeRoom", "oldest");
    world.makes_room = true;
    world.count_action(
        "the disk will be full again",
        "set local.makeRoom = \"oldest\"",
    );
    true
}

/// The same once `makeRoom = oldest` is set: nobody has to do anything.
fn full_again(world: &mut World, night: u32) -> bool {
    world.home.film("ann/film.mp4", FILM);
    world.backup().expect(0);
    world.note_sealed(true, true);
    night >= 7
}

fn newest(world: &World) -> String {
    world.model.newest_good().unwrap().clone()
}

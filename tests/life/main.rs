//! A year of a household's nights on one small disk: the built program, a model of what must be
//! restorable, and all that happens to people in a year.
//!
//! Each night the sources change a little and the timer's run is made. Now and then something
//! happens: the disk is full, a manifest is damaged, the clock is wrong, the machine is installed
//! anew. The model knows what every snapshot must hold and which must still be there; what the user
//! has to do is taken from the program's own messages, counted, and printed at the end.
//!
//! Beside it are many disks that take turns (`turns/`). `LIFE_SEED` tells another life. It needs root and loop
//! devices, since a disk must be able to fill.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod disk;
mod events;
mod home;
mod model;
mod night;
mod turns;
mod world;

use world::World;

/// A year of nights with one engine.
fn a_year(rsync: bool) {
    let name = if rsync { "rsync" } else { "built-in" };
    if let Some(why) = disk::missing() {
        return test_support::skip(&format!("a year of nights because {why}"));
    }
    let seed = std::env::var("LIFE_SEED").map_or(7, |text| text.parse().unwrap());
    eprintln!("a year with the {name} engine, LIFE_SEED={seed}");
    let mut world = World::new(rsync, seed);
    let calendar = events::calendar(&mut world.random);
    let mut events = calendar.into_iter().peekable();
    let mut running: Option<events::Event> = None;
    for day in 0..365 {
        if let Some((_, event)) = events.next_if(|(start, _)| *start == day) {
            if let Some(before) = running.take() {
                before.must_be_over(&world);
            }
            running = Some(event);
        }
        world.pass_day(day);
        match &mut running {
            Some(event) => event.night(&mut world, day),
            None => world.quiet_night(day),
        }
        world.compare_with_model(day);
    }
    world.all_comes_back();
    world.print_actions(name);
}

#[test]
fn a_year_with_the_built_in_engine_loses_nothing_and_asks_once_for_each_event() {
    a_year(false);
}

#[test]
fn a_year_with_rsync_loses_nothing_and_asks_once_for_each_event() {
    a_year(true);
}

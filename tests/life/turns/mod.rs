//! Ten disks that take turns, one or two at a time, and a remote with history: what each of them must be
//! able to give back, and what the household is told meanwhile.
//!
//! A disk gets lost, another is put in its place, one fills up, one rots, the clock is ahead for a night, a
//! run is killed as the disks change. Nothing of that may hold up another destination. `LIFE_SEED` tells
//! another life; `TURNS_DAYS` says how long it is, and from a year on a turn is a week.

mod checks;
mod events;
mod household;
mod told;

use test_support::is_missing;

use crate::disk;
use household::Household;

#[test]
fn ten_disks_in_turns_and_a_remote_lose_nothing_and_hold_up_nobody() {
    let name = "ten_disks_in_turns";
    if let Some(why) = disk::missing() {
        return test_support::skip(&format!("{name} because {why}"));
    }
    if is_missing(name, &["rclone"], true) {
        return;
    }
    let seed = std::env::var("LIFE_SEED").map_or(7, |text| text.parse().unwrap());
    let days = std::env::var("TURNS_DAYS").map_or(60, |text| text.parse().unwrap());
    eprintln!("{days} days of ten disks in turns, LIFE_SEED={seed}");
    let turn = if days >= 365 { 7 } else { 4 };
    let mut household = Household::new(seed, turn);
    let mut events = events::calendar(&mut household.random, days)
        .into_iter()
        .peekable();
    let mut running: Option<events::Event> = None;
    for day in 0..days {
        household.pass_day(day);
        if running.is_none() && !household.present().is_empty() {
            running = events
                .next_if(|(start, _)| *start <= day)
                .map(|(_, one)| one);
        }
        match &mut running {
            Some(event) => {
                if event.is_over_after(&mut household) {
                    running = None;
                }
            }
            None => household.night(),
        }
        household.compare_with_models();
    }
    assert!(events.peek().is_none() && running.is_none(), "not all came");
    household.all_comes_back();
    household.print_actions();
}

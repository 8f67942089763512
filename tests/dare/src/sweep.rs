//! Every system call of a deed, in turn: killed before it, and failing with each error.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use test_support::{Random, run_tool};

use crate::{
    deed::Deed,
    life::{ERRORS, Life, Setting},
    news::News,
    tracer::{CAN_FAIL, Fate},
    trouble::{Outcome, Trouble},
    world::{Traits, World},
};

/// A deed on a kind of machine.
struct Scenario {
    name: &'static str,
    deed: Deed,
    rsync: bool,
    remote: bool,
}

const fn scenario(name: &'static str, deed: Deed) -> Scenario {
    Scenario {
        name,
        deed,
        rsync: false,
        remote: false,
    }
}

const SCENARIOS: [Scenario; 13] = [
    scenario("the first backup", Deed::First),
    scenario("a backup with a deletion and a promotion", Deed::Backup),
    Scenario {
        rsync: true,
        ..scenario("the same by rsync", Deed::Backup)
    },
    Scenario {
        remote: true,
        ..scenario("the same with a remote", Deed::Backup)
    },
    scenario("restore", Deed::Restore),
    scenario("verify --repair", Deed::Repair),
    scenario("adopt", Deed::Adopt),
    scenario("prune", Deed::Prune),
    scenario("delete", Deed::Delete),
    scenario("pin", Deed::Pin),
    scenario("accept", Deed::Accept),
    scenario("init", Deed::Init),
    Scenario {
        remote: true,
        ..scenario("the first backup with a remote", Deed::First)
    },
];

/// At so many points after which something is wrong a sweep ends.
const MOST: usize = 20;

/// How many there are.
pub(crate) const COUNT: u64 = SCENARIOS.len() as u64;

/// Sweeps over one of them until the time is over or each point was tried.
///
/// # Errors
///
/// If it goes wrong undisturbed; points after which something is lost or wrong are told.
pub(crate) fn live(setting: &Setting, number: u64, time: Duration) -> Outcome {
    let at = usize::try_from(number % COUNT).unwrap_or_default();
    let scenario = &SCENARIOS[at];
    if scenario.rsync && !setting.has_rsync || scenario.remote && !setting.has_rclone {
        return Ok(());
    }
    let mut random = Random::new(number + 1);
    let traits = Traits {
        rsync: scenario.rsync,
        remote: scenario.remote,
        threads: false,
    };
    let world = World::new(&setting.program, &setting.folder, traits, &mut random);
    let mut life = Life::new(setting, world, random);
    let words = life.get_ready(scenario.deed)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let kept = ["dst", "state", "far"];
    for name in kept {
        copy(&life.world, name, &format!("kept.{name}"));
    }
    let before = life.ledger.clone();
    let whole = life.world.strike(&words, Fate::Spared);
    if whole.ran.code != 0 && scenario.deed != Deed::Delete {
        return Err(Trouble::Wrong(format!("undisturbed: {}", whole.ran.all())));
    }
    let mut points: Vec<Fate> = (1..=whole.changing[0])
        .map(|nth| Fate::Killed { nth, stored: false })
        .collect();
    if CAN_FAIL {
        let calls = whole.counts.iter();
        let each = calls.flat_map(|(call, count)| (1..=*count).map(move |nth| (*call, nth)));
        points.extend(each.flat_map(|(call, nth)| {
            ERRORS.into_iter().map(move |with| Fate::Fails {
                call,
                nth,
                with,
                for_ever: false,
            })
        }));
    }
    let until = Instant::now() + time;
    let (mut tried, mut wrong) = (0, 0);
    for (turn, at) in scattered(points.len()).enumerate() {
        if Instant::now() > until {
            break;
        }
        for name in kept {
            copy(&life.world, &format!("kept.{name}"), name);
        }
        run_tool("rm", ["-rf", &life.world.text("back/tree")]);
        life.ledger = before.clone();
        let fate = points[at];
        let what = format!("{}, {fate:?}", scenario.name);
        let in_words = |trouble| match trouble {
            Trouble::Lost(why) => Trouble::Lost(format!("{why} ({what})")),
            Trouble::Wrong(why) => Trouble::Wrong(format!("{why} ({what})")),
        };
        let mut try_it = || {
            let done = life.strike(scenario.deed.doing(), &words, fate)?;
            if done.ran.code == 0 && may_be_done(fate) {
                let told = format!("{what}: {}", done.ran.all());
                life.keeps_promise(scenario.deed, &told)?;
            }
            if turn % 4 == 0 {
                life.goes_on(scenario.deed, &words, &what)?;
            }
            Ok(())
        };
        if let Err(trouble) = try_it().map_err(in_words) {
            let trouble = Some(trouble);
            life.tell(News::Ended {
                seed: number,
                trouble,
            });
            wrong += 1;
            if wrong == MOST {
                break;
            }
        }
        tried += 1;
    }
    life.tell(News::Swept {
        scenario: scenario.name,
        tried,
        of: points.len(),
    });
    Ok(())
}

/// Whether what fails leaves the program a way to do all of it: without hard links it makes copies.
fn may_be_done(fate: Fate) -> bool {
    !matches!(
        fate,
        Fate::Fails {
            with: Errno::EMLINK,
            call: "linkat",
            ..
        }
    )
}

/// All numbers below a count, far from each other, so that any beginning of them is spread over all.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    let is_one = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    let golden = count * 618 / 1000;
    let stride = (golden.max(1)..).find(|stride| is_one(*stride, count.max(1)));
    let stride = stride.unwrap_or(1);
    (0..count).map(move |turn| turn * stride % count)
}

/// Makes a folder of the world a copy of another.
fn copy(world: &World, from: &str, to: &str) {
    if !world.path(from).exists() {
        return;
    }
    let (from, to) = (world.text(from), world.text(to));
    run_tool("rm", ["-rf", &to]);
    run_tool("cp", ["-a", "-T", &from, &to]);
}

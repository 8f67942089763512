//! Every system call of a deed, in turn: killed before it, and failing with each error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nix::errno::Errno;
use test_support::{Mounted, Random, run_tool};

use crate::{
    deed::{BACK, Deed},
    life::{ERRORS, Life, Setting},
    news::News,
    power::{FORMATS, Format},
    tracer::{CAN_FAIL, Fate, Traced},
    trouble::{Outcome, Trouble},
    world::{Traits, World},
};

/// A deed on a kind of machine.
struct Scenario {
    name: &'static str,
    deed: Deed,
    rsync: bool,
    remote: bool,
    /// Of a drive that is mounted, its file system.
    format: Option<&'static Format>,
}

const fn scenario(name: &'static str, deed: Deed) -> Scenario {
    Scenario {
        name,
        deed,
        rsync: false,
        remote: false,
        format: None,
    }
}

const fn on(format: &'static Format, scenario: Scenario) -> Scenario {
    Scenario {
        format: Some(format),
        ..scenario
    }
}

const EXT4: &Format = &FORMATS[0];
const BTRFS: &Format = &FORMATS[2];

const SCENARIOS: [Scenario; 18] = [
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
    on(
        EXT4,
        scenario("a backup for which room is made", Deed::Room),
    ),
    on(
        BTRFS,
        scenario(
            "a backup by clones with a deletion and a promotion",
            Deed::Backup,
        ),
    ),
    on(BTRFS, scenario("verify --repair in clones", Deed::Repair)),
    on(BTRFS, scenario("delete of a clone", Deed::Delete)),
    scenario("restore over other files", Deed::Overwrite),
];

/// At so many points after which something is wrong a sweep ends.
const MOST: usize = 20;

/// How many there are.
pub(crate) const COUNT: u64 = SCENARIOS.len() as u64;

/// Which points of a sweep are tried.
pub(crate) enum Points {
    /// As many as there is time for; of each kind one by chance of this number first.
    Until(Duration, u64),
    /// The one with this name.
    One(String),
}

/// Sweeps over one of them.
///
/// # Errors
///
/// If it goes wrong undisturbed; points after which something is lost or wrong are told.
pub(crate) fn live(setting: &Setting, number: u64, points: Points) -> Outcome {
    let at = usize::try_from(number % COUNT).unwrap_or_default();
    let scenario = &SCENARIOS[at];
    if !scenario.can_be_tried(setting) {
        return Ok(());
    }
    let mut random = Random::new(number + 1);
    let traits = Traits {
        rsync: scenario.rsync,
        remote: scenario.remote,
        threads: false,
        small: false,
    };
    let world = World::new(&setting.program, &setting.folder, traits, &mut random);
    let mut life = Life::new(setting, world, random);
    let mut place = Place::new(&life.world, scenario.format);
    let words = life.get_ready(scenario.deed)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    place.keep(&life.world);
    let there = life.ledger.there(&life.world)?;
    let whole = life.world.strike(&words, Fate::Spared);
    if whole.ran.code != 0 && scenario.deed != Deed::Delete {
        return Err(Trouble::Wrong(format!("undisturbed: {}", whole.ran.all())));
    }
    if scenario.deed == Deed::Room {
        // It goes before the new one is there.
        let after = life.ledger.there(&life.world)?;
        let gone = there.into_iter().filter(|id| !after.contains(id));
        life.ledger.let_go.extend(gone);
        if life.ledger.let_go.len() != 1 {
            return Err(Trouble::Wrong(format!("no room made: {}", whole.ran.all())));
        }
    }
    let before = life.ledger.clone();
    let all = points_of(&whole);
    let kinds = kinds_of(&all);
    let (order, until) = match points {
        Points::Until(time, first) => (in_turn(&kinds, first), Some(Instant::now() + time)),
        Points::One(name) => {
            let named = |point: &Point| point.name() == name;
            let at = all.iter().position(named);
            let none = || Trouble::Wrong(format!("{} has no point {name}", scenario.name));
            (vec![at.ok_or_else(none)?], None)
        }
    };
    let (mut tried, mut wrong) = (0, 0);
    for (turn, at) in order.into_iter().enumerate() {
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        place.put_back(&life.world);
        life.ledger = before.clone();
        let fate = all[at].fate;
        let point = all[at].name();
        let what = format!("{}, --sweep --point {number}:{point}", scenario.name);
        let in_words = |trouble| match trouble {
            Trouble::Lost(why) => Trouble::Lost(format!("{why} ({what})")),
            Trouble::Wrong(why) => Trouble::Wrong(format!("{why} ({what})")),
        };
        let mut try_it = || {
            let done = life.strike(scenario.deed.doing(), &words, fate)?;
            life.spares(scenario.deed, &what)?;
            if done.ran.code == 0 && may_be_done(fate) {
                let told = format!("{what}: {}", done.ran.all());
                life.keeps_promise(scenario.deed, &told)?;
            }
            // In another round at others of the same kinds.
            if until.is_none() || (turn + turn / kinds.len()).is_multiple_of(4) {
                if done.ran.all().contains("is used instead") {
                    // What stands there is of another snapshot.
                    run_tool("rm", ["-rf", &life.world.text(BACK)]);
                }
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
        number,
        scenario: scenario.name,
        tried,
        of: all.len(),
        kinds: kinds.len(),
    });
    Ok(())
}

impl Scenario {
    fn can_be_tried(&self, setting: &Setting) -> bool {
        let format = self.format;
        (!self.rsync || setting.has_rsync)
            && (!self.remote || setting.has_rclone)
            && format.is_none_or(|format| setting.can_mount && format.lacks().is_none())
    }
}

/// Something that can come upon a run: it is killed before the nth call of a name, or that fails.
struct Point {
    call: &'static str,
    nth: usize,
    with: Option<Errno>,
    fate: Fate,
}

impl Point {
    /// As it is asked for again.
    fn name(&self) -> String {
        let Self { call, nth, .. } = self;
        match self.with {
            None => format!("{call}:{nth}:killed"),
            Some(error) => format!("{call}:{nth}:{error:?}"),
        }
    }
}

/// All that can come upon a run like this one.
fn points_of(whole: &Traced) -> Vec<Point> {
    let mut points = Vec::new();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for (before, call) in whole.order.iter().copied().enumerate() {
        let nth = made.entry(call).or_default();
        *nth += 1;
        points.push(Point {
            call,
            nth: *nth,
            with: None,
            fate: Fate::Killed {
                nth: before + 1,
                stored: false,
            },
        });
    }
    for (call, count) in whole.counts.iter().filter(|_| CAN_FAIL) {
        let each = (1..=*count).flat_map(|nth| ERRORS.map(|with| (nth, with)));
        points.extend(each.map(|(nth, with)| Point {
            call,
            nth,
            with: Some(with),
            fate: Fate::Fails {
                call,
                nth,
                with,
                for_ever: false,
            },
        }));
    }
    points
}

/// Which of them are of one kind: of the same call, killed before it, or failing with the same error.
fn kinds_of(points: &[Point]) -> Vec<Vec<usize>> {
    let mut kinds: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, point) in points.iter().enumerate() {
        let with = point.with.map(|error| error as i32);
        kinds.entry((point.call, with)).or_default().push(at);
    }
    kinds.into_values().collect()
}

/// All points: one of each kind, then another of each that has another, and so on. Those of a kind come far from each
/// other, and begin elsewhere than those of the next kind, and than with another number.
fn in_turn(kinds: &[Vec<usize>], first: u64) -> Vec<usize> {
    let mut random = Random::new(first);
    let mut each: Vec<_> = kinds
        .iter()
        .map(|points| {
            let start = random.index_below(points.len());
            scattered(points.len()).map(move |at| points[(start + at) % points.len()])
        })
        .collect();
    let mut all = Vec::new();
    // A short sweep is not always of the same calls.
    for at in (1..each.len()).rev() {
        each.swap(at, random.index_below(at + 1));
    }
    let most = kinds.iter().map(Vec::len).max().unwrap_or_default();
    for _ in 0..most {
        all.extend(each.iter_mut().filter_map(Iterator::next));
    }
    all
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

/// Where a deed is done, which is brought back before each point.
struct Place {
    kept: &'static [&'static str],
    drive: Option<Mounted>,
}

impl Place {
    /// The world's folders, or a drive.
    fn new(world: &World, format: Option<&Format>) -> Self {
        let Some(format) = format else {
            let kept = &["dst", "state", "far", "back"];
            return Self { kept, drive: None };
        };
        format.make(&world.path("image"));
        Self {
            kept: &["image", "state", "back"],
            drive: Some(Self::mount(world)),
        }
    }

    fn mount(world: &World) -> Mounted {
        Mounted::image(&world.path("image"), "noatime", &world.path("dst"))
    }

    /// Does something while nothing of it is in use.
    fn at_rest(&mut self, world: &World, does: &dyn Fn(&str)) {
        let is_mounted = self.drive.is_some();
        if let Some(drive) = self.drive.take() {
            drive.end();
        }
        self.kept.iter().for_each(|name| does(name));
        self.drive = is_mounted.then(|| Self::mount(world));
    }

    /// It is brought back to what it is now.
    fn keep(&mut self, world: &World) {
        self.at_rest(world, &|name| copy(world, name, &format!("kept.{name}")));
    }

    fn put_back(&mut self, world: &World) {
        self.at_rest(world, &|name| copy(world, &format!("kept.{name}"), name));
    }
}

/// Makes something of the world a copy of another.
fn copy(world: &World, from: &str, to: &str) {
    if !world.path(from).exists() {
        return;
    }
    let (from, to) = (world.text(from), world.text(to));
    run_tool("rm", ["-rf", &to]);
    run_tool("cp", ["-a", "-T", "--sparse=always", &from, &to]);
}

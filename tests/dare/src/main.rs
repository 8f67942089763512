//! `./dare`: kills the built program a thousand times, has its system calls fail, and looks after each time, with
//! tools that are not ours, whether anything that was published is another than it was.
//!
//! A life begins with an empty destination and has nights of changes, backups, restores, repairs and adoptions. Its
//! number gives all of it, so that one that went wrong can be lived again.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "it ends at the first surprise and shows what it does"
)]

mod around;
mod calls;
mod deed;
mod deeds;
mod drive;
mod edits;
mod independent;
mod ledger;
mod life;
mod news;
mod page;
mod power;
mod script;
mod show;
mod sweep;
mod tracer;
mod trouble;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, mpsc},
    time::{Duration, Instant, SystemTime},
};

use clap::Parser;
use test_support::{is_installed, why_nothing_can_be_mounted};

use crate::{
    life::Setting,
    news::News,
    script::Step,
    show::Show,
    sweep::Points,
    trouble::{Outcome, Trouble},
};

/// Nights of a life.
const NIGHTS: usize = 12;

/// Cuts of the power in a life that is for them.
const CUTS: usize = 20;

/// Kills backups and looks whether anything is lost.
#[derive(Parser, Clone)]
#[command(name = "./dare")]
struct Words {
    /// How long
    #[arg(default_value_t = 5.0)]
    minutes: f64,
    /// Live this one life and show all of it
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: only these steps of it, as they are printed for a life that went wrong
    #[arg(long, value_delimiter = ',', requires = "seed")]
    steps: Vec<usize>,
    /// Of many lives the first one's number, of a sweep where it begins; by chance if it is not given
    #[arg(long, env = "DARE_SEED")]
    from: Option<u64>,
    /// End after so many lives
    #[arg(long)]
    lives: Option<u64>,
    /// How many nights a life has
    #[arg(long, default_value_t = NIGHTS)]
    nights: usize,
    /// How often the power is cut in each of the lives that are for that, one in eight, where root lives them
    #[arg(long, default_value_t = CUTS)]
    cuts: usize,
    /// Instead of lives by chance: go through the system calls of each verb, for so many minutes together
    #[arg(long, conflicts_with_all = ["seed", "lives", "only_cuts"])]
    sweep: bool,
    /// With --sweep: only deeds of these numbers, from 0 on; what it prints says which there are
    #[arg(long, requires = "sweep", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(..sweep::COUNT))]
    deeds: Vec<u64>,
    /// With --sweep: only this point of a deed, as it is printed for one that went wrong
    #[arg(long, requires = "sweep", value_name = "DEED:CALL:NTH:WITH", value_parser = point)]
    point: Option<(u64, String)>,
    /// Only lives in which the power is cut
    #[arg(long)]
    only_cuts: bool,
    /// Instead of anything else: write the evidence that BACKUP_EVIDENCE names into the table of this page
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// How many are lived at once; by default as there are processors, four at most
    #[arg(long)]
    at_once: Option<usize>,
}

/// A deed and a point of it, as they are printed.
fn point(text: &str) -> Result<(u64, String), String> {
    let (deed, name) = text.split_once(':').unwrap_or((text, ""));
    let deed = deed.parse().ok().filter(|deed| *deed < sweep::COUNT);
    let deed = deed.ok_or_else(|| format!("begins with a deed below {}", sweep::COUNT))?;
    Ok((deed, name.to_owned()))
}

/// In one life of so many the power is cut.
const CUTS_IN: u64 = 8;

impl Words {
    fn steps_of(&self, seed: u64) -> Vec<Step> {
        let mut steps = script::of_life(seed, self.nights);
        if !self.steps.is_empty() {
            steps.retain(|step| self.steps.contains(&step.number));
        }
        steps
    }

    /// The number that is asked for, or one by chance.
    fn first(&self) -> u64 {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.from.unwrap_or(since.as_secs() % 1_000_000)
    }

    /// Numbers of the lives that are wanted.
    fn seeds(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        if self.sweep {
            return Box::new(self.deeds().into_iter());
        }
        let (first, most) = match self.seed {
            Some(seed) => (seed, 1),
            None => (self.first(), u64::MAX),
        };
        let step = if self.only_cuts { CUTS_IN } else { 1 };
        let most = usize::try_from(self.lives.unwrap_or(most)).unwrap_or(usize::MAX);
        let all = (first.next_multiple_of(step)..).step_by(step as usize);
        Box::new(all.take(most))
    }

    /// Numbers of the deeds that are swept.
    fn deeds(&self) -> Vec<u64> {
        match &self.point {
            Some((deed, _)) => vec![*deed],
            None if self.deeds.is_empty() => (0..sweep::COUNT).collect(),
            None => self.deeds.clone(),
        }
    }

    /// Lives one, and takes a surprise for what went wrong.
    fn live(&self, setting: &Setting, seed: u64, steps: &[Step]) -> Outcome {
        let live = || {
            if self.sweep {
                let share = (self.at_once() as f64 / self.deeds().len() as f64).min(1.0);
                let points = match &self.point {
                    Some((_, name)) => Points::One(name.clone()),
                    None => Points::Until(self.time().mul_f64(share), self.first()),
                };
                sweep::live(setting, seed, points)
            } else if is_of_cuts(setting, seed) {
                power::live(setting, seed, setting.cuts)
            } else {
                life::live(setting, seed, steps)
            }
        };
        catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Trouble::Wrong(
                text.unwrap_or_else(|| "a surprise".to_owned()),
            ))
        })
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    fn at_once(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.at_once.unwrap_or(processors.min(4))
    }
}

/// Whether the power goes in the life of this number.
fn is_of_cuts(setting: &Setting, seed: u64) -> bool {
    setting.cuts > 0 && seed.is_multiple_of(CUTS_IN)
}

fn main() -> ExitCode {
    let words = Words::parse();
    if let Some(page) = &words.page {
        page::write_table(page);
        return ExitCode::SUCCESS;
    }
    let program = std::env::current_exe().unwrap().with_file_name("backup");
    if !program.exists() || !is_installed("sha256sum") {
        eprintln!("{} or sha256sum is missing", program.display());
        eprintln!("hint: ./dare builds the program; sha256sum is of coreutils");
        return ExitCode::from(2);
    }
    let (news, heard) = mpsc::channel();
    let (setting, lacks) = setting(&words, program, news);
    if words.only_cuts && setting.cuts == 0 {
        eprintln!("no power can be cut: {}", lacks.join(", "));
        eprintln!(
            "hint: root can, where there are /dev/fuse and loop devices; other lives need neither"
        );
        return ExitCode::from(2);
    }
    // A life that surprises its harness is told of with the others.
    std::panic::set_hook(Box::new(|_| {}));
    let mut show = Show::new(words.seed.is_some(), words.sweep);
    let seeds = Mutex::new(words.seeds());
    std::thread::scope(|scope| {
        for _ in 0..words.at_once() {
            let (setting, words, seeds) = (setting.clone(), &words, &seeds);
            scope.spawn(move || {
                let next = || seeds.lock().unwrap().next();
                while let Some(seed) = next().filter(|_| !setting.is_late()) {
                    let trouble = words.live(&setting, seed, &words.steps_of(seed)).err();
                    setting.tell(News::Ended { seed, trouble });
                }
                setting.tell(News::Over);
            });
        }
        let mut living = words.at_once();
        while living > 0 {
            match heard.recv() {
                Ok(News::Over) => living -= 1,
                Ok(news) => show.hear(news),
                Err(_) => break,
            }
        }
    });
    drop(heard);
    show.end(&lacks);
    show.keep_evidence();
    for (seed, trouble) in &show.troubles {
        explain(&setting, &words, *seed, trouble);
    }
    if show.troubles.is_empty() {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// What lives are lived with, and what cannot be tried.
fn setting(words: &Words, program: PathBuf, news: mpsc::Sender<News>) -> (Setting, Vec<String>) {
    let mut lacks = Vec::new();
    let mut has = |tool: &str, what: &str| {
        if !is_installed(tool) {
            lacks.push(format!("{what}: {tool} is not installed"));
        }
        is_installed(tool)
    };
    let has_rsync = has("rsync", "the rsync engine, and to compare with rsync -n");
    let has_rclone = has("rclone", "a remote");
    if !tracer::CAN_FAIL {
        lacks.push("calls that fail: they can be made to on x86-64 only".to_owned());
    }
    let no_mount = why_nothing_can_be_mounted();
    if let Some(why) = &no_mount {
        lacks.push(format!("drives that are full: {why}"));
    }
    let no_power = power::is_missing();
    match &no_power {
        Some(why) => lacks.push(format!("cuts of power: {why}")),
        None => lacks.extend(power::lacks()),
    }
    let setting = Setting {
        program,
        folder: std::env::temp_dir(),
        news,
        has_rsync,
        has_rclone,
        can_mount: no_mount.is_none(),
        cuts: if no_power.is_none() { words.cuts } else { 0 },
        // A life that is asked for by its number is lived to its end.
        until: words.seed.is_none().then(|| Instant::now() + words.time()),
        plant: std::env::var_os("DARE_PLANT").is_some(),
    };
    (setting, lacks)
}

/// Says how a life is lived again, with as few of its steps as still go wrong.
fn explain(setting: &Setting, words: &Words, seed: u64, trouble: &Trouble) {
    const PATIENCE: Duration = Duration::from_secs(60);
    let first = trouble.to_string();
    let first = first.lines().next().unwrap_or_default();
    println!("  seed {seed}: {first}");
    if words.sweep {
        return;
    }
    let nights = match words.nights {
        NIGHTS => String::new(),
        other => format!(" --nights {other}"),
    };
    // With another number of cuts it would be another life.
    let cuts = match setting.cuts {
        CUTS => String::new(),
        _ if !seed.is_multiple_of(CUTS_IN) => String::new(),
        other => format!(" --cuts {other}"),
    };
    let again = format!("./dare --seed {seed}{nights}{cuts}");
    println!("    again: {again}");
    if words.seed.is_some() || is_of_cuts(setting, seed) {
        return;
    }
    let silent = Setting {
        news: mpsc::channel().0,
        until: None,
        ..setting.clone()
    };
    let began = Instant::now();
    let is_lost = |trouble: &Trouble| matches!(trouble, Trouble::Lost(_));
    let same = |steps: &[Step]| {
        let ends = words.live(&silent, seed, steps).err();
        ends.is_some_and(|ends| is_lost(&ends) == is_lost(trouble))
    };
    let all = words.steps_of(seed);
    let few = script::shortest(all, &mut |steps| began.elapsed() < PATIENCE && same(steps));
    let few: Vec<String> = few.iter().map(|step| step.number.to_string()).collect();
    println!("    in short: {again} --steps {}", few.join(","));
}

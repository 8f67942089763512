//! What is seen while lives last, and at their end.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use terminal_size::terminal_size;
use test_support::keep_evidence;

use crate::{
    news::{Kind, News},
    trouble::Trouble,
};

/// How often a line that stays in its place is written, and one that does not.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(10);

/// What was done so far.
pub(crate) struct Show {
    began: Instant,
    told: Instant,
    in_place: bool,
    each: bool,
    /// Whether no life is lived by its number, but deeds are gone through.
    sweeps: bool,
    struck: BTreeMap<(Kind, &'static str), u64>,
    did: BTreeMap<&'static str, u64>,
    snapshots: usize,
    files: usize,
    by_rsync: usize,
    lives: u64,
    last_seed: u64,
    last: String,
    swept: Vec<(&'static str, usize, usize)>,
    /// Kinds of points at which it was struck, and all of them.
    kinds: [usize; 2],
    pub(crate) troubles: Vec<(u64, Trouble)>,
}

impl Show {
    /// Nothing was done yet. With `each` a line is written for each thing that is done.
    pub(crate) fn new(each: bool, sweeps: bool) -> Self {
        let began = Instant::now();
        Self {
            began,
            told: began,
            in_place: std::io::stdout().is_terminal() && !each,
            each,
            sweeps,
            struck: BTreeMap::new(),
            did: BTreeMap::new(),
            snapshots: 0,
            files: 0,
            by_rsync: 0,
            lives: 0,
            last_seed: 0,
            last: String::new(),
            swept: Vec::new(),
            kinds: [0; 2],
            troubles: Vec::new(),
        }
    }

    /// Takes news in and shows it.
    pub(crate) fn hear(&mut self, news: News) {
        match news {
            News::Struck { kind, doing, call } => {
                *self.struck.entry((kind, doing)).or_default() += 1;
                self.last = match kind {
                    Kind::Killed => format!("killed while it {doing}: {call}"),
                    Kind::Failed => format!("failed while it {doing}: {call}"),
                };
                if self.each {
                    println!("  {}", self.last);
                }
            }
            News::Did(what) => {
                *self.did.entry(what).or_default() += 1;
                if self.each {
                    println!("  {what}");
                }
            }
            News::Compared {
                snapshots,
                files,
                by_rsync,
            } => {
                self.snapshots += snapshots;
                self.files += files;
                self.by_rsync += by_rsync;
                if self.each {
                    println!("    {snapshots} snapshots are as they were");
                }
            }
            News::Swept {
                number,
                scenario,
                tried,
                of,
                kinds,
            } => {
                self.clear_line();
                let struck = tried.min(kinds);
                println!(
                    "swept {number}, {scenario}: {} of {} points, {struck} of {kinds} kinds of them",
                    grouped(tried as u64),
                    grouped(of as u64)
                );
                self.kinds[0] += struck;
                self.kinds[1] += kinds;
                self.swept.push((scenario, tried, of));
            }
            News::Ended { seed, trouble } => {
                self.lives += 1;
                self.last_seed = seed;
                if let Some(trouble) = trouble {
                    self.clear_line();
                    println!("seed {seed}: {trouble}");
                    self.troubles.push((seed, trouble));
                }
            }
            News::Over => {}
        }
        self.line(false);
    }

    /// How many runs were struck in this way.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        let all = self.struck.iter().filter(|((one, _), _)| *one == kind);
        all.map(|(_, count)| count).sum()
    }

    fn lost(&self) -> usize {
        let lost = |trouble: &Trouble| matches!(trouble, Trouble::Lost(_));
        self.troubles.iter().filter(|(_, one)| lost(one)).count()
    }

    /// What is lost, or that nothing is.
    fn lost_in_words(&self) -> String {
        match self.lost() {
            0 => "nothing".to_owned(),
            count => count.to_string(),
        }
    }

    fn clear_line(&self) {
        if self.in_place {
            print!("\r\x1b[K");
        }
    }

    /// The line that is looked at meanwhile.
    fn line(&mut self, at_once: bool) {
        let pause = if self.in_place { OFTEN } else { SELDOM };
        if self.each || !at_once && self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let seconds = self.began.elapsed().as_secs();
        let line = format!(
            "{}:{:02}  {} killed, {} failed, {} snapshots compared, lost: {}",
            seconds / 60,
            seconds % 60,
            grouped(self.count(Kind::Killed)),
            grouped(self.count(Kind::Failed)),
            grouped(self.snapshots as u64),
            self.lost_in_words()
        );
        if !self.in_place {
            println!("{line}");
            return;
        }
        let columns = terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let room = columns.saturating_sub(line.len() + 3);
        let last: String = self.last.chars().take(room).collect();
        print!("\r\x1b[K{line}  {last}");
        let _ = std::io::stdout().flush();
    }

    /// All that was done, what was lost, and how a life is lived again.
    pub(crate) fn end(&self, lacks: &[String]) {
        self.clear_line();
        let seconds = self.began.elapsed().as_secs();
        match self.lives {
            _ if self.sweeps => println!("\n{} deeds in {seconds} s\n", self.swept.len()),
            1 => println!("\n1 life in {seconds} s\n"),
            lives => println!(
                "\n{} lives in {seconds} s, of which `./dare --seed {}` shows one again\n",
                grouped(lives),
                self.last_seed
            ),
        }
        for ((kind, doing), count) in &self.struck {
            let what = match kind {
                Kind::Killed => format!("killed while it {doing}"),
                Kind::Failed => format!("a call fails while it {doing}"),
            };
            println!("{:>9}  {what}", grouped(*count));
        }
        for (what, count) in &self.did {
            println!("{:>9}  {what}", grouped(*count));
        }
        println!(
            "{:>9}  snapshots compared with what they were when they were first seen, {} files by sha256sum",
            grouped(self.snapshots as u64),
            grouped(self.files as u64)
        );
        println!(
            "{:>9}  new snapshots compared with their sources by rsync -n",
            grouped(self.by_rsync as u64)
        );
        for lack in lacks {
            println!("{:>9}  {lack}", "not tried");
        }
        println!("\nlost: {}", self.lost_in_words());
    }

    /// Notes what was done for the page on reliability.
    pub(crate) fn keep_evidence(&self) {
        let came_of = match self.troubles.len() {
            0 => "nothing lost; the next run ended as if nothing had been".to_owned(),
            1 => format!("lost: {}; 1 went wrong", self.lost_in_words()),
            count => format!("lost: {}; {count} went wrong", self.lost_in_words()),
        };
        // Also a short run says how short it was.
        let minutes = self.began.elapsed().as_secs().div_ceil(60);
        keep_evidence("a minute of `./dare`", minutes, None, &came_of);
        for (scenario, tried, of) in &self.swept {
            let what =
                format!("{scenario}: killed at each system call, and each fails with ten errors");
            keep_evidence(&what, *tried as u64, Some(*of as u64), &came_of);
        }
        if !self.swept.is_empty() {
            // The single strikes are in these.
            let [struck, of] = self.kinds.map(|count| count as u64);
            let what = "all deeds: each kind of system call that they make, killed before, and failing with each error";
            keep_evidence(what, struck, Some(of), &came_of);
            return;
        }
        for ((kind, doing), count) in &self.struck {
            let what = match kind {
                Kind::Killed => format!("a run is killed while it {doing}"),
                Kind::Failed => format!("a system call fails while a run {doing}"),
            };
            keep_evidence(&what, *count, None, &came_of);
        }
        for (what, count) in &self.did {
            keep_evidence(what, *count, None, &came_of);
        }
        let compared = "a published snapshot is compared with what it was by sha256sum";
        keep_evidence(compared, self.snapshots as u64, None, &came_of);
    }
}

/// A number with commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

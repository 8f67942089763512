//! One deed: what stands before it, its words, and what must be so when the program has said that it is done.

use crate::{
    edits,
    ledger::Tree,
    life::Life,
    tracer::Fate,
    trouble::{Outcome, Trouble},
};

/// Something that the program is asked for once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// The first backup.
    First,
    /// One with a deletion and a promotion.
    Backup,
    Restore,
    Repair,
    Adopt,
    Delete,
    Prune,
    Pin,
    Accept,
    Init,
}

impl Deed {
    /// What the program does meanwhile, for people.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::First | Self::Backup => "writes",
            Self::Restore => "restores",
            Self::Repair => "repairs",
            Self::Adopt => "adopts",
            Self::Delete => "deletes",
            Self::Prune => "prunes",
            Self::Pin => "marks",
            Self::Accept => "accepts",
            Self::Init => "takes a disk",
        }
    }
}

/// Nights before a deed: the fourth day of so many is a Sunday, which becomes a weekly as the fifth comes.
const NIGHTS: usize = 4;

impl Life<'_> {
    /// Makes what stands before a deed; gives its words.
    ///
    /// # Errors
    ///
    /// If that goes wrong already.
    pub(crate) fn get_ready(&mut self, deed: Deed) -> Outcome<Vec<String>> {
        let nights = match deed {
            Deed::First | Deed::Init => 0,
            _ => NIGHTS,
        };
        for _ in 0..nights {
            self.tonight();
            self.quiet_run(&["apply"], 0)?;
        }
        let source = self.world.text("src");
        let words: &[&str] = match deed {
            Deed::First | Deed::Backup => {
                self.tonight();
                &["apply", "--now", &self.world.now()]
            }
            Deed::Restore => &["restore", "latest", &source, &self.world.text("back/tree")],
            Deed::Repair => {
                self.damage_something()?;
                &["verify", "--all", "--repair"]
            }
            Deed::Adopt => {
                self.put_something_to_adopt();
                &[
                    "adopt",
                    &self.world.text("dst/old"),
                    "--at",
                    &source,
                    "--yes",
                ]
            }
            Deed::Delete => {
                // Not the newest one, which stays.
                let there = self.ledger.there(&self.world)?;
                let id = there[self.random.index_below(there.len() - 1)].clone();
                self.ledger.let_go.insert(id.clone());
                &["delete", &id.clone(), "--yes"]
            }
            Deed::Prune => {
                // What fewer keep numbers let go waits for a person.
                self.world.keep_fewer();
                &["prune", "--yes", "--now", &self.world.now()]
            }
            Deed::Pin => &["pin", &self.some_snapshot()?],
            Deed::Accept => {
                edits::change_all(&self.world.source());
                self.world.pass_days(1);
                self.quiet_run(&["apply"], 3)?;
                let all = self.ledger.there(&self.world)?;
                &["accept", &all.last().cloned().unwrap_or_default()]
            }
            Deed::Init => &["init"],
        };
        Ok(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// A day passes, and files change: as few days as can be.
    fn tonight(&mut self) {
        self.world.pass_days(1);
        for _ in 0..3 {
            edits::change(&self.world.source(), &mut self.random);
        }
    }

    fn quiet_run(&mut self, words: &[&str], code: i32) -> Outcome {
        let ran = self.world.quietly(words);
        if ran.code != code {
            return Err(Trouble::Wrong(format!("undisturbed: {}", ran.all())));
        }
        self.look(&"a quiet run")
    }

    /// What the program said to have done is there.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(crate) fn keeps_promise(&mut self, deed: Deed, what: &str) -> Outcome {
        let lost = |is_lost: bool, why: &str| match is_lost {
            true => Err(Trouble::Lost(format!("said to be done, and {why}: {what}"))),
            false => Ok(()),
        };
        let there = self.ledger.there(&self.world)?;
        match deed {
            Deed::First | Deed::Backup => self.newest_is_the_source(),
            Deed::Restore => self.restored(what),
            Deed::Adopt => {
                let mut others = self.ledger.others.keys();
                lost(others.any(|id| !there.contains(id)), "not adopted")
            }
            Deed::Delete => {
                let mut gone = self.ledger.let_go.iter();
                lost(gone.any(|id| there.contains(id)), "still there")
            }
            Deed::Repair | Deed::Prune | Deed::Pin | Deed::Accept | Deed::Init => Ok(()),
        }
    }

    fn restored(&self, what: &str) -> Outcome {
        let (mut is, mut was) = (
            Tree::of(&self.world.path("back/tree")),
            Tree::of(&self.world.source()),
        );
        if what.contains("keeps its own time") {
            (is, was) = (is.without_times(), was.without_times());
        }
        match was.difference(&is) {
            None => Ok(()),
            Some(differs) => Err(Trouble::Lost(format!("restored, and {differs}: {what}"))),
        }
    }

    /// After what came upon a deed: the same words end it, and then backups are well.
    ///
    /// # Errors
    ///
    /// If they do not.
    pub(crate) fn goes_on(&mut self, deed: Deed, words: &[&str], what: &str) -> Outcome {
        if deed != Deed::First && deed != Deed::Backup {
            let mut ran = self.strike("goes on", words, Fate::Spared)?.ran;
            if deed == Deed::Restore && ran.all().contains("--overwrite") {
                // What a failure left with other times or modes is replaced by nothing but that.
                let words = [words, &["--overwrite"]].concat();
                ran = self.strike("goes on", &words, Fate::Spared)?.ran;
            }
            if deed == Deed::Repair {
                self.ledger.damage = None;
            }
            if deed == Deed::Accept {
                self.ledger.accept_all();
            }
            // What was adopted before it was struck is not there to be adopted once more.
            if ran.code == 0 || [Deed::Restore, Deed::Delete].contains(&deed) {
                self.keeps_promise(deed, &format!("{what}: {}", ran.all()))?;
            }
        }
        self.world.pass_days(1);
        let ends = self.ends_right();
        self.world.pass_days(-1);
        ends
    }
}

//! One deed: what stands before it, its words, and what must be so when the program has said that it is done.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use test_support::run_tool;

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
    /// One for which room has to be made.
    Room,
    Restore,
    /// A restore over files that are other ones.
    Overwrite,
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
            Self::First | Self::Backup | Self::Room => "writes",
            Self::Restore | Self::Overwrite => "restores",
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

/// Where restores go.
pub(crate) const BACK: &str = "back/tree";

/// What a person has written there.
const OWN: [&str; 5] = ["own 0", "own 1", "own 2", "own 3", "own 4"];

/// What names of things have that a restore keeps aside.
const ASIDE: &str = ".before";
/// Names of what was not as recorded when it was read back: an attempt before left it, and said so.
const DAMAGED: &str = ".damaged";

/// The night of them whose snapshot the policy lets go when the fifth is there.
const GOES: usize = 1;

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
        let film = self.world.path("src/film");
        for night in 0..nights {
            self.tonight();
            if deed == Deed::Room && night == GOES {
                fs::write(&film, self.random.bytes(3 << 20)).unwrap();
            }
            self.quiet_run(&["apply"], 0)?;
            let _ = fs::remove_file(&film);
        }
        let source = self.world.text("src");
        let words: &[&str] = match deed {
            Deed::First | Deed::Backup => {
                self.tonight();
                &["apply", "--now", &self.world.now()]
            }
            Deed::Room => {
                self.tonight();
                fs::write(&film, self.random.bytes(2 << 20)).unwrap();
                let filler = usize::try_from(self.world.free() - (1 << 20)).unwrap();
                fs::write(self.world.path("dst/filler"), vec![1; filler]).unwrap();
                &["apply", "--now", &self.world.now()]
            }
            Deed::Restore => &["restore", "latest", &source, &self.world.text(BACK)],
            Deed::Overwrite => {
                self.put_something_in_the_way();
                &[
                    "restore",
                    "latest",
                    &source,
                    &self.world.text(BACK),
                    "--overwrite",
                ]
            }
            Deed::Repair => {
                if !self.damage_something()? {
                    return Err(Trouble::Wrong("there is nothing to heal".to_owned()));
                }
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
            Deed::First | Deed::Backup | Deed::Room => self.newest_is_the_source(),
            Deed::Restore => self.restored(what),
            Deed::Overwrite => self.restored(what).and_then(|()| self.spares(deed, what)),
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

    /// Where a restore goes stand the source's files, some of them with what a person has written meanwhile.
    fn put_something_in_the_way(&self) {
        let back = self.world.path(BACK);
        let source = self.world.source();
        run_tool(
            "cp",
            [
                "-a".as_ref(),
                "-T".as_ref(),
                source.as_os_str(),
                back.as_os_str(),
            ],
        );
        let single = |path: &PathBuf| fs::metadata(path).is_ok_and(|of| of.nlink() == 1);
        let files = edits::files(&back).into_iter().filter(single).step_by(5);
        for (path, text) in files.zip(OWN) {
            fs::write(path, text).unwrap();
        }
    }

    /// What stood in the way of a deed is there, under whatever name.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(crate) fn spares(&self, deed: Deed, what: &str) -> Outcome {
        if deed != Deed::Overwrite {
            return Ok(());
        }
        let files = edits::files(&self.world.path(BACK)).into_iter();
        let there: Vec<Vec<u8>> = files.filter_map(|path| fs::read(path).ok()).collect();
        let is_gone = |text: &&&str| !there.iter().any(|content| content == text.as_bytes());
        match OWN.iter().find(is_gone) {
            None => Ok(()),
            Some(text) => Err(Trouble::Lost(format!(
                "{text}, which was in the way: {what}"
            ))),
        }
    }

    fn restored(&self, what: &str) -> Outcome {
        // Of `latest` the newest is taken that can be read, and it is said which.
        if what.contains("is used instead") {
            return Ok(());
        }
        let (mut is, mut was) = (
            Tree::of(&self.world.path(BACK))
                .without(ASIDE)
                .without(DAMAGED),
            Tree::of(&self.world.source()),
        );
        if what.contains("keeps its own time") {
            (is, was) = (is.without_times(), was.without_times());
        }
        if what.contains("hard link") {
            (is, was) = (is.of_files_apart(), was.of_files_apart());
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
        if ![Deed::First, Deed::Backup, Deed::Room].contains(&deed) {
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
            let ends = [Deed::Restore, Deed::Overwrite, Deed::Delete].contains(&deed);
            if ran.code == 0 || ends {
                self.keeps_promise(deed, &format!("{what}: {}", ran.all()))?;
            }
        }
        self.world.pass_days(1);
        let ends = self.ends_right();
        self.world.pass_days(-1);
        ends
    }
}

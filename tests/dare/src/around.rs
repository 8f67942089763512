//! What happens around a machine: another one at its drive, another drive in its place, a drive that is full, a remote
//! that does not answer, another time zone and a clock that is behind.

use std::{fs, mem};

use crate::{
    edits,
    life::{Life, hints},
    news::News,
    tracer::Fate,
    trouble::{Outcome, Trouble},
};

impl Life<'_> {
    /// Another machine backs up to the same drive, at times while this one does: neither loses anything by it.
    pub(crate) fn neighbour(&mut self) -> Outcome {
        let mut other = match self.neighbour.take() {
            Some(life) => life,
            None => Box::new(Self::new(
                self.setting,
                self.world.neighbour(&mut self.random),
                self.random.clone(),
            )),
        };
        other.random = self.random.clone();
        other.world.set_clock_by(&self.world);
        for _ in 0..2 {
            edits::change(&other.world.source(), &mut other.random);
        }
        if self.random.below(2) == 0 {
            let now = self.world.now();
            let nth = 1 + self.random.index_below(60);
            let fate = Fate::Meets { nth };
            let mut event = || drop(other.world.quietly(&["apply"]));
            let words = ["apply", "--now", &now];
            self.world.strike_with(&words, fate, &mut event);
            self.look(&"backups of two machines at once")?;
            other.look(&"backups of two machines at once")?;
        }
        other.backup()?;
        self.neighbour = Some(other);
        self.tell(News::Did("backups of another machine to the same drive"));
        self.ends_right()
    }

    /// The other one of two drives is put in, the first time a new one, which is refused until a person says that it
    /// is one.
    pub(crate) fn other_drive(&mut self) -> Outcome {
        if self.world.is_small() {
            // It is mounted.
            return Ok(());
        }
        if self.random.below(2) == 0 {
            // What was begun is for the drive that goes.
            let fate = self.some_kill("writes");
            let now = self.world.now();
            self.strike("writes", &["apply", "--now", &now], fate)?;
        }
        let place = |name: &str| self.world.path(name);
        let (here, away, hand) = (place("dst"), place("away"), place("hand"));
        let is_new = !away.exists();
        fs::rename(&here, &hand).unwrap();
        if is_new {
            fs::create_dir(&here).unwrap();
        } else {
            fs::rename(&away, &here).unwrap();
        }
        fs::rename(&hand, &away).unwrap();
        mem::swap(&mut self.ledger, &mut self.ledger_away);
        // It is of the same two drives.
        if let Some(other) = &mut self.neighbour {
            let Self {
                ledger,
                ledger_away,
                ..
            } = &mut **other;
            mem::swap(ledger, ledger_away);
        }
        self.tell(News::Did("drives put in the place of another"));
        if is_new {
            let now = self.world.now();
            let words = ["apply", "--now", &now];
            let ran = self.strike("writes", &words, Fate::Spared)?.ran;
            // With a remote it is a run that lacks something.
            if ![3, 4].contains(&ran.code) || !hints(&ran) {
                return Err(Trouble::Wrong(format!("takes any drive: {}", ran.all())));
            }
            if let Some(first) = fs::read_dir(&here).unwrap().next() {
                let first = first.unwrap().path();
                return Err(Trouble::Wrong(format!(
                    "writes to a drive that it has refused: {}",
                    first.display()
                )));
            }
            self.world.run(&["init"]).expect(0);
        }
        // Where it may have been before only this machine knew it.
        if let Some(other) = &self.neighbour {
            other.world.run(&["init"]).expect(0);
        }
        self.ends_right()
    }

    /// Other people's files leave as little room on the drive as chance will have.
    pub(crate) fn full(&mut self) -> Outcome {
        if !self.world.is_small() {
            return Ok(());
        }
        let filler = self.world.path("dst/filler");
        let (free, left) = (self.world.free(), self.random.below(400_000));
        let length = usize::try_from(free.saturating_sub(left)).unwrap();
        fs::write(&filler, vec![1; length]).unwrap();
        for _ in 0..4 {
            edits::change(&self.world.source(), &mut self.random);
        }
        let now = self.world.now();
        let words = ["apply", "--now", &now];
        if self.random.below(3) == 0 {
            let fate = self.some_kill("writes");
            self.strike("writes", &words, fate)?;
        }
        // Not one of those that are known, since it may end anywhere.
        let ran = self.strike("fills a drive", &words, Fate::Spared)?.ran;
        self.tell(News::Did("drives that were full"));
        match ran.code {
            // What an earlier one had made by then is published.
            0 if ran.all().contains("continuing run") => {}
            0 => self.newest_is_the_source()?,
            1 | 3 | 4 if hints(&ran) => {}
            _ => return Err(Trouble::Wrong(format!("no room: {}", ran.all()))),
        }
        fs::remove_file(&filler).unwrap();
        self.ends_right()
    }

    /// The remote does not answer, from the beginning of a run on or from somewhere in it: the drive has its snapshot
    /// all the same, it is told, and later the remote has what it missed.
    pub(crate) fn outage(&mut self) -> Outcome {
        if self.world.remote().is_none() {
            return Ok(());
        }
        let (far, away) = (self.world.path("far"), self.world.path("far.away"));
        let mut goes = || {
            fs::rename(&far, &away).unwrap();
            fs::write(&far, "").unwrap();
        };
        let now = self.world.now();
        let words = ["apply", "--now", &now];
        let ran = if self.random.below(2) == 0 {
            goes();
            self.world.run(&words)
        } else {
            let nth = 1 + self.random.index_below(60);
            self.world
                .strike_with(&words, Fate::Meets { nth }, &mut goes)
                .ran
        };
        self.tell(News::Did("outages of a remote"));
        self.look(&"an outage of the remote")?;
        if away.exists() {
            if ran.code == 0 || !hints(&ran) {
                return Err(Trouble::Wrong(format!("an outage: {}", ran.all())));
            }
            self.newest_is_the_source()?;
            fs::remove_file(&far).unwrap();
            fs::rename(&away, &far).unwrap();
        }
        self.ends_right()
    }

    /// The machine is in another time zone from now on, where it may be yesterday.
    pub(crate) fn journey(&mut self) -> Outcome {
        let minutes = [14 * 60, -10 * 60, 5 * 60 + 45, 0][self.random.index_below(4)];
        self.world.move_to_zone(minutes);
        self.tell(News::Did("journeys to another time zone"));
        self.ends_right()
    }

    /// One run with a clock that is behind: nothing goes for it.
    pub(crate) fn clock_behind(&mut self) -> Outcome {
        let hours = [1, 30, 24 * 40, 24 * 365 * 20][self.random.index_below(4)];
        let behind = self.world.at_hours(-hours);
        let before = self.ledger.there(&self.world)?;
        self.strike("writes", &["apply", "--now", &behind], Fate::Spared)?;
        self.tell(News::Did("clocks that were behind"));
        let after = self.ledger.there(&self.world)?;
        if let Some(id) = before.iter().find(|id| !after.contains(id)) {
            return Err(Trouble::Lost(format!("{id}, by a clock that is behind")));
        }
        self.ends_right()
    }
}

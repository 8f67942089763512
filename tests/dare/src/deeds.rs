//! What else is done in a life than backups.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use test_support::run_tool;

use crate::{
    deed::BACK,
    edits,
    ledger::{Damage, Tree, published},
    life::{Life, clear, hints},
    news::News,
    tracer::Fate,
    trouble::{Outcome, Trouble},
};

impl Life<'_> {
    /// A restore that is killed and run again gives back what the snapshot holds.
    pub(crate) fn restore(&mut self) -> Outcome {
        let id = self.some_snapshot()?;
        if !self.ledger.is_whole(&id) {
            return Ok(());
        }
        let (from, to) = (self.world.text("src"), self.world.text(BACK));
        let target = self.world.path(BACK);
        clear(&target);
        let words = ["restore", id.as_str(), &from, &to];
        let ran = self.killed_then_done("restores", &words)?;
        let stored = Tree::of(&self.ledger.inside(&self.world, &id)?);
        let lost = |what: &str| Trouble::Lost(format!("restore of {id}: {what}: {}", ran.all()));
        if ran.code != 0 {
            return Err(lost("does not end well"));
        }
        match stored.difference(&Tree::of(&target)) {
            Some(differs) => Err(lost(&differs)),
            None => {
                clear(&target);
                Ok(())
            }
        }
    }

    /// A stored byte flips; a repair that is killed and run again heals it in all snapshots that share it.
    pub(crate) fn repair(&mut self) -> Outcome {
        if !self.damage_something()? {
            return Ok(());
        }
        self.tell(News::Did("stored bytes flipped"));
        let ran = self.killed_then_done("repairs", &["verify", "--all", "--repair"])?;
        self.ledger.damage = None;
        self.look(&format_args!("the repair, which ended with {}", ran.code))?;
        let again = self.world.run(&["verify", "--all"]);
        if again.code != 0 {
            return Err(Trouble::Wrong(format!("repaired, and {}", again.all())));
        }
        Ok(())
    }

    /// What another tool made becomes a snapshot, although that is killed.
    pub(crate) fn adopt(&mut self) -> Outcome {
        let id = self.put_something_to_adopt();
        let (old, at) = (self.world.text("dst/old"), self.world.text("src"));
        let words = ["adopt", old.as_str(), "--at", &at, "--yes"];
        let ran = self.killed_then_done("adopts", &words)?;
        if !self.ledger.there(&self.world)?.contains(&id) {
            return Err(Trouble::Lost(format!(
                "{id} was not adopted: {}",
                ran.all()
            )));
        }
        Ok(())
    }

    pub(crate) fn prune(&mut self) -> Outcome {
        let now = self.world.now();
        let ran = self.killed_then_done("prunes", &["prune", "--yes", "--now", &now])?;
        match ran.code {
            0 | 4 => Ok(()),
            _ => Err(Trouble::Wrong(ran.all())),
        }
    }

    /// One that a person names goes, and no other.
    pub(crate) fn delete(&mut self) -> Outcome {
        let id = self.some_snapshot()?;
        let before = self.ledger.there(&self.world)?;
        let spared =
            self.ledger.pinned.contains(&id) || self.ledger.newest_good(&self.world) == Some(&id);
        if !spared {
            self.ledger.let_go.insert(id.clone());
        }
        let ran = self.killed_then_done("deletes", &["delete", &id, "--yes"])?;
        let after = self.ledger.there(&self.world)?;
        let others = |all: &[String]| all.iter().filter(|one| **one != id).count();
        if others(&before) != others(&after) {
            return Err(Trouble::Lost(format!("more than {id}: {}", ran.all())));
        }
        // Refused with a reason where it is the last of its kind.
        if after.contains(&id) && ran.code == 0 {
            return Err(Trouble::Wrong(format!(
                "{id} is still there: {}",
                ran.all()
            )));
        }
        if after.contains(&id) {
            self.ledger.let_go.remove(&id);
        }
        Ok(())
    }

    /// Pinned, or not any more.
    pub(crate) fn pin(&mut self) -> Outcome {
        let id = self.some_snapshot()?;
        let verb = if self.ledger.pinned.remove(&id) {
            "unpin"
        } else {
            "pin"
        };
        let ran = self.killed_then_done("marks", &[verb, &id])?;
        if ran.code != 0 {
            return Err(Trouble::Wrong(ran.all()));
        }
        if verb == "pin" {
            self.ledger.pinned.insert(id);
        }
        Ok(())
    }

    /// What people type that they did not mean: refused, and nothing is another than before.
    pub(crate) fn mistake(&mut self) -> Outcome {
        let all = self.ledger.there(&self.world)?;
        let newest = self
            .ledger
            .newest_good(&self.world)
            .cloned()
            .unwrap_or_default();
        let (src, dst) = (self.world.text("src"), self.world.text("dst/host"));
        let mistakes: [&[&str]; 9] = [
            &["delete", &newest, "--yes"],
            &["delete", "2001-01-01_00-00-00", "--yes"],
            &["delete", "--yes"],
            &["restore", "latest", "/nowhere", &src],
            &["restore", "latest", &src, &dst],
            &["apply", "--only", "nowhere"],
            &["apply", &src],
            &["pin", "2001-01-01_00-00-00"],
            &["accept", "2001-01-01_00-00-00"],
        ];
        let words = mistakes[self.random.index_below(mistakes.len())];
        let source = Tree::of(&self.world.source());
        let ran = self.strike("is called wrongly", words, Fate::Spared)?.ran;
        self.tell(News::Did("wrong commands"));
        if ran.code == 0 || !hints(&ran) && ran.code != 2 {
            return Err(Trouble::Wrong(format!(
                "`{}` is taken: {}",
                words.join(" "),
                ran.all()
            )));
        }
        match source.difference(&Tree::of(&self.world.source())) {
            Some(differs) => Err(Trouble::Lost(format!("in the sources: {differs}"))),
            None if self.ledger.there(&self.world)? == all => Ok(()),
            None => Err(Trouble::Lost(format!("a snapshot: {}", ran.all()))),
        }
    }

    /// All files change at once: nothing is deleted until a person has looked.
    pub(crate) fn conversion(&mut self) -> Outcome {
        let before = self.ledger.there(&self.world)?;
        edits::change_all(&self.world.source());
        self.world.pass_days(1);
        let now = self.world.now();
        let ran = self.killed_then_done("writes", &["apply", "--now", &now])?;
        self.tell(News::Did("mass changes"));
        if ran.code != 3 || !ran.all().contains("suspect") {
            return Err(Trouble::Wrong(format!("not suspect: {}", ran.all())));
        }
        let after = self.ledger.there(&self.world)?;
        match before.iter().find(|id| !after.contains(id)) {
            Some(id) => Err(Trouble::Lost(format!("{id}, by a suspect run"))),
            None => self.ends_right(),
        }
    }

    /// One run with a clock that is years ahead: nothing that is good goes for it but what its own day lets go.
    pub(crate) fn clock(&mut self) -> Outcome {
        let hours = 24 * 365 * (1 + i64::try_from(self.random.below(9)).unwrap_or(0));
        let ahead = self.world.at_hours(hours);
        let before = self.ledger.there(&self.world)?;
        self.ledger.clock_is_wrong = true;
        self.strike("writes", &["apply", "--now", &ahead], Fate::Spared)?;
        self.ledger.clock_is_wrong = false;
        self.tell(News::Did("clocks that were wrong"));
        let after = self.ledger.there(&self.world)?;
        let gone: Vec<_> = before
            .into_iter()
            .filter(|id| !after.contains(id))
            .collect();
        // By that clock it was a day like any other, and each of its four rules may let one go.
        if gone.len() > 4 {
            return Err(Trouble::Lost(format!("{gone:?}, by a wrong clock")));
        }
        self.ledger.let_go.extend(gone);
        self.world.pass_days(1);
        self.ends_right()
    }

    /// Flips a bit of a stored file that can be healed; whether there was one.
    pub(crate) fn damage_something(&mut self) -> Outcome<bool> {
        let all = self.ledger.there(&self.world)?;
        let newest = all.last().map(String::as_str).unwrap_or_default();
        let inside = self.ledger.inside(&self.world, newest)?;
        let source = self.world.source();
        // One that the sources still have, so that it can be healed, and one name of its own, as most have.
        let healable: Vec<_> = edits::files(&inside)
            .into_iter()
            .filter(|path| {
                let same = source.join(path.strip_prefix(&inside).unwrap());
                let text = path.to_string_lossy();
                let plain = !text.contains(['\n', '\\']) && !text.contains(".backup");
                let of = fs::metadata(&same);
                plain
                    && of.is_ok_and(|of| of.len() > 0 && of.nlink() == 1)
                    && fs::read(&same).ok() == fs::read(path).ok()
            })
            .collect();
        let Some(one) = healable.get(self.random.index_below(healable.len())) else {
            return Ok(false);
        };
        // A subvolume that is closed, which only root opens.
        let closed = File::options().write(true).open(one).is_err();
        if closed && !nix::unistd::geteuid().is_root() {
            return Ok(false);
        }
        let tree = self
            .world
            .host()
            .join(&published(&self.world.host())?[newest]);
        let close = |is_closed: &str| {
            if closed {
                let tree = tree.to_str().unwrap();
                run_tool("btrfs", ["property", "set", "-ts", tree, "ro", is_closed]);
            }
        };
        close("false");
        edits::flip_unseen(one);
        close("true");
        let inode = |path: &Path| fs::metadata(path).map(|of| of.ino()).ok();
        let mut paths = BTreeSet::new();
        for place in published(&self.world.host())?.into_values() {
            let tree = self.world.host().join(place);
            let names = edits::files(&tree).into_iter();
            let names = names.filter(|path| inode(path) == inode(one));
            paths.extend(names.map(|path| path.strip_prefix(&tree).unwrap().to_owned()));
        }
        let content = fs::read(one).unwrap();
        self.ledger.damage = Some(Damage { paths, content });
        Ok(true)
    }

    /// A copy that another tool made; gives the id of the snapshot that becomes of it.
    pub(crate) fn put_something_to_adopt(&mut self) -> String {
        // Before everything that is there.
        let day = self.world.days_ago(400 + self.random.below(300));
        let id = format!("{day}_02-00-00");
        let old = self.world.path("dst/old");
        clear(&old);
        fs::create_dir(&old).unwrap();
        fs::write(old.join("backup.marker"), "").unwrap();
        let tree = old.join(format!("{day}-020000"));
        let source = self.world.source();
        run_tool(
            "cp",
            [
                "-a".as_ref(),
                "-T".as_ref(),
                source.as_os_str(),
                tree.as_os_str(),
            ],
        );
        self.ledger.others.insert(id.clone(), Tree::of(&tree));
        id
    }
}

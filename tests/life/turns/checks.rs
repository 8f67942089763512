//! What is compared with the models: what is there, what comes back, and what the household was told.

use std::{collections::BTreeSet, fs};

use chrono::{DateTime, FixedOffset};

use super::{
    household::{FAR, Household, Turning},
    told::{self, Ends},
};
use crate::model::{self, Made, Model};

impl Household {
    /// The household is told of a run that is not well, and of each disk that is late; of nothing else, and
    /// never twice in a night.
    #[track_caller]
    pub(super) fn check_told(&mut self, now: DateTime<FixedOffset>, ends: &Ends) {
        let mut new = told::reports(&self.lab).split_off(self.told);
        self.told += new.len();
        let late = |one: &&Turning| {
            one.is_configured
                && !one.disk.is_mounted()
                && !one.must_be_there
                && ends.contains_key(&one.name)
                && one.lateness.is_late(now, self.most)
        };
        let late: BTreeSet<String> = self
            .disks
            .iter()
            .filter(late)
            .map(|one| one.name.clone())
            .collect();
        let day = self.day;
        if told::code_of(ends) == 3 {
            assert!(!new.is_empty(), "day {day}: nobody was told");
            assert_eq!(told::ends_of(&new.remove(0)), *ends, "day {day}");
        }
        let told: Vec<String> = new
            .iter()
            .flat_map(|one| told::ends_of(one).into_keys())
            .collect();
        assert_eq!(
            told,
            late.iter().cloned().collect::<Vec<_>>(),
            "day {day}: late"
        );
        self.told_late.retain(|name, _| late.contains(name));
        for name in late {
            let times = self.told_late.entry(name.clone()).or_default();
            *times += 1;
            // Who has lost one takes it out of the configuration.
            if *times == 2 {
                self.give_up(&name);
            }
        }
    }

    fn give_up(&mut self, name: &str) {
        let disk = self.disks.iter().position(|one| one.name == name).unwrap();
        assert!(self.disks[disk].is_lost, "day {}: {name} is late", self.day);
        self.set(name, "enable", false);
        self.disks[disk].is_configured = false;
        self.count_action(&format!("destinations.{name}.enable = false"));
    }

    /// Compares what is there with the models: nothing is gone that the rules keep; and at the end of a turn
    /// what is there holds what it held, and the status knows all of them.
    pub(crate) fn compare_with_models(&mut self) {
        let day = self.day;
        let ends_turn = (day + 1).is_multiple_of(self.turn);
        for disk in self.present() {
            let one = &self.disks[disk];
            let at = self.stored_on(disk);
            let found = model::found(&at);
            let dangling = model::dangling(&at);
            assert!(dangling.is_empty(), "day {day}: {dangling:?} lead nowhere");
            must_have(&one.model, &|id| found.contains_key(id), day, &one.name);
            if ends_turn {
                for (id, path) in &found {
                    let stored = model::read(&self.home_in(path));
                    let different = model::difference(&one.model.made[id].holds, &stored);
                    assert_eq!(different, None, "day {day}: {id} on {}", one.name);
                }
            }
        }
        let ids = self.far_ids();
        must_have(&self.far, &|id| ids.contains(id), day, FAR);
        if ends_turn {
            self.check_status();
            let ids: Vec<String> = ids.into_iter().collect();
            let id = ids[self.random.index_below(ids.len())].clone();
            self.comes_back(FAR, &id, &self.far.made[&id]);
        }
    }

    /// The status knows the newest good one of each, there or not.
    fn check_status(&self) {
        let status = self.at(6, &["status", "--json"]);
        let status = status.expect_one_of(&[0, 3]).json();
        let disks = self.disks.iter().filter(|one| one.is_configured);
        let disks = disks.map(|one| (one.name.as_str(), &one.model));
        for (name, model) in disks.chain([(FAR, &self.far)]) {
            let of = &status["destinations"][name];
            assert!(of.is_object(), "day {}: no status of {name}", self.day);
            let told = of["last_good"]["id"].as_str();
            let good = model.newest_good().map(String::as_str);
            assert_eq!(told, good, "day {}: {name}", self.day);
        }
    }

    /// Restores a snapshot of a destination through the program.
    fn comes_back(&self, destination: &str, id: &str, made: &Made) {
        let (home, back) = (self.text("home"), self.path("back"));
        let words = ["restore", "--destination", destination, id, &home];
        self.run(&[&words[..], &[back.to_str().unwrap()]].concat())
            .expect(0);
        let different = model::difference(&made.holds, &model::read(&back));
        assert_eq!(different, None, "{id} of {destination} restored");
        fs::remove_dir_all(back).unwrap();
    }

    /// The life is over: all that is stored anywhere is whole, and comes back as it was.
    pub(crate) fn all_comes_back(&mut self) {
        for disk in 0..self.disks.len() {
            if self.disks[disk].is_lost {
                continue;
            }
            self.disks[disk].disk.attach();
            let one = &self.disks[disk];
            let verify = ["verify", "--destination", &one.name];
            self.run(&[&verify[..], &["--all"]].concat()).expect(0);
            let found = model::found(&self.stored_on(disk));
            for id in [found.keys().next().unwrap(), found.keys().last().unwrap()] {
                self.comes_back(&one.name, id, &one.model.made[id]);
            }
        }
        self.run(&["verify", "--destination", FAR, "--full"])
            .expect(0);
        for id in self.far_ids() {
            self.comes_back(FAR, &id, &self.far.made[&id]);
        }
    }
}

/// Fails unless one of each that the rules keep is there.
#[track_caller]
fn must_have(model: &Model, is_there: &dyn Fn(&str) -> bool, day: u32, name: &str) {
    for one_of in model.must_be_there() {
        let there = one_of.iter().any(|id| is_there(id));
        assert!(there, "day {day}: none of {one_of:?} is left on {name}");
    }
}

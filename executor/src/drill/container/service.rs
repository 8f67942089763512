//! Starting a unit in a container, and seeing whether it goes on running.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use schema::{
    drill::{DrillContainer, Shown},
    outside,
    path::rest_below,
};

use super::{Booting, PAUSE, inside};
use crate::{
    error::Result,
    process::{Captured, ProcessExit},
    sys::{Dir, Kind},
};

/// How long a service must run.
const WATCHED: Duration = Duration::from_secs(3);
/// How long a question to the container's systemd may take.
const ANSWER: Duration = Duration::from_secs(20);
/// What is asked of a unit.
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,Result,Type,NRestarts,\
ExecMainStatus,StateDirectory";
/// How many lines of its journal are told.
const LINES: &str = "--lines=30";

/// How a service's check ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It started and went on.
    Runs,
    /// It did not.
    Fails {
        /// Why, as the end of a sentence about it.
        because: String,
        /// What the journal says.
        words: String,
    },
    /// There was no more time.
    TimeIsOver {
        /// What the journal says.
        words: String,
    },
}

/// A service that is to be started in a container.
pub(super) struct Service<'a> {
    pub(super) unit: &'a str,
    /// Gives the container's first process.
    pub(super) leader: Booting<'a>,
    /// The end of its time.
    pub(super) until: Instant,
    /// What the container shows.
    pub(super) container: &'a DrillContainer,
    /// Its root, as it was before anything was started.
    pub(super) root: &'a Dir,
}

impl Service<'_> {
    /// Waits for the container, starts the unit and watches it.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn try_it(mut self, console: &dyn Fn() -> String) -> Result<Ended> {
        let leader = match self.wait_for_systemd()? {
            Ok(Some(leader)) => leader,
            Ok(None) => {
                let words = console();
                return Ok(Ended::TimeIsOver { words });
            }
            Err(because) => {
                return Ok(Ended::Fails {
                    because,
                    words: console(),
                });
            }
        };
        let ended = match self.start(leader)? {
            Some(because) => self.fails(leader, because)?,
            None => self.watch(leader)?,
        };
        Ok(ended)
    }

    /// The container's first process, once all is up that a service needs; none where the time is over.
    fn wait_for_systemd(&mut self) -> Result<std::result::Result<Option<i32>, String>> {
        while Instant::now() < self.until {
            match (self.leader)() {
                Err(because) => return Ok(Err(because)),
                Ok(None) => {}
                Ok(Some(leader)) => {
                    let state = self.ask(leader, &["systemctl", "is-system-running"])?;
                    // Whatever else failed is not this service.
                    if matches!(state.stdout.trim(), "running" | "degraded" | "maintenance") {
                        return Ok(Ok(Some(leader)));
                    }
                }
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Ok(None))
    }

    /// Starts the unit; gives why it does not.
    fn start(&self, leader: i32) -> Result<Option<String>> {
        let state = self.state(leader)?;
        match state.of("LoadState") {
            "loaded" => {}
            "not-found" => {
                return Ok(Some(
                    "is a unit that neither the snapshot nor this machine has".to_owned(),
                ));
            }
            other => return Ok(Some(format!("is a unit that cannot be loaded ({other})"))),
        }
        let folders = state.of("StateDirectory").split_whitespace();
        if let Some(missing) = folders
            .filter_map(|folder| folder.split(':').next())
            .find(|folder| !self.is_restored(folder))
        {
            return Ok(Some(format!(
                "keeps what it has in /var/lib/{missing}, which is not in the snapshot"
            )));
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let started = inside::run(leader, &["systemctl", "start", "--", self.unit], left)?;
        if started.exit.is_success() || matches!(started.exit, ProcessExit::TimedOut) {
            return Ok(None);
        }
        Ok(Some(format!(
            "does not start ({})",
            self.state(leader)?.why()
        )))
    }

    /// Whether the snapshot has a folder below `/var/lib`; where the user is made anew for each start, it is
    /// in `private`.
    fn is_restored(&self, folder: &str) -> bool {
        let places = [
            format!("/var/lib/{folder}"),
            format!("/var/lib/private/{folder}"),
        ];
        places.iter().any(|path| {
            let around = self
                .container
                .mounts
                .iter()
                .filter(|mount| rest_below(path.as_bytes(), mount.at.as_bytes()).is_some());
            let nearest = around.max_by_key(|mount| mount.at.len());
            nearest.is_some_and(|mount| matches!(mount.shows, Shown::Restored { .. }))
                && self.is_folder(path)
        })
    }

    fn is_folder(&self, path: &str) -> bool {
        let found = self.root.descend(path.trim_start_matches('/').as_bytes());
        let found = found.and_then(|(parent, name)| parent.stat(name));
        found.is_ok_and(|found| found.kind == Kind::Folder)
    }

    /// Sees whether it goes on running.
    fn watch(&self, leader: i32) -> Result<Ended> {
        let begun = Instant::now();
        let mut restarts = None;
        loop {
            let state = self.state(leader)?;
            let is_starting = state.of("ActiveState") == "activating";
            let before = restarts.get_or_insert_with(|| state.of("NRestarts").to_owned());
            if state.of("NRestarts") != *before
                || (is_starting && state.of("SubState") == "auto-restart")
            {
                let because = format!("started and ended again ({})", state.why());
                return self.fails(leader, because);
            }
            if !is_starting && !state.is_well() {
                let because = format!("started and ended ({})", state.why());
                return self.fails(leader, because);
            }
            let is_done = state.of("Type") == "oneshot" || begun.elapsed() >= WATCHED;
            if !is_starting && is_done {
                return Ok(Ended::Runs);
            }
            if Instant::now() >= self.until {
                let words = self.journal(leader)?;
                return Ok(Ended::TimeIsOver { words });
            }
            std::thread::sleep(4 * PAUSE);
        }
    }

    fn fails(&self, leader: i32, because: String) -> Result<Ended> {
        let words = self.journal(leader)?;
        Ok(Ended::Fails { because, words })
    }

    fn state(&self, leader: i32) -> Result<State> {
        let words = ["systemctl", "show", PROPERTIES, "--", self.unit];
        Ok(State::read(&self.ask(leader, &words)?.stdout))
    }

    /// The end of the unit's journal.
    fn journal(&self, leader: i32) -> Result<String> {
        // Also what is still on its way.
        self.ask(leader, &["journalctl", "--sync"])?;
        let unit = format!("--unit={}", self.unit);
        let words = [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--output=cat",
            LINES,
            &unit,
        ];
        Ok(self.ask(leader, &words)?.stdout)
    }

    fn ask(&self, leader: i32, words: &[&str]) -> Result<Captured> {
        inside::run(leader, words, ANSWER)
    }
}

/// What systemd says of a unit.
#[derive(Debug)]
struct State(BTreeMap<String, String>);

impl State {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Self(
            lines
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn of(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Whether it runs, or did all that it was to do.
    fn is_well(&self) -> bool {
        let is_done = self.of("Type") == "oneshot" && self.of("ActiveState") == "inactive";
        let result = self.of("Result");
        result == "success" && (is_done || matches!(self.of("ActiveState"), "active" | "reloading"))
    }

    /// Why it does not, in a few words.
    fn why(&self) -> String {
        let result = match self.of("Result") {
            "" => "systemd does not answer".to_owned(),
            "success" => self.of("ActiveState").to_owned(),
            "exit-code" if matches!(self.of("ExecMainStatus"), "" | "0") => {
                "a program that it needs first failed".to_owned()
            }
            "exit-code" => format!("its program ended with {}", self.of("ExecMainStatus")),
            other => other.to_owned(),
        };
        outside::one_line(&result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> State {
        State::read(&text.replace(' ', "\n"))
    }

    #[test]
    fn a_service_is_well_that_runs_or_that_did_what_it_was_to_do() {
        assert!(state("Type=notify ActiveState=active Result=success").is_well());
        assert!(state("Type=oneshot ActiveState=inactive Result=success").is_well());
        assert!(!state("Type=simple ActiveState=inactive Result=success").is_well());
        assert!(!state("Type=oneshot ActiveState=inactive Result=exit-code").is_well());
        assert!(!state("Type=simple ActiveState=failed Result=exit-code").is_well());
        assert!(!state("").is_well());
    }

    #[test]
    fn why_it_is_not_is_said() {
        let ended = state("Result=exit-code ExecMainStatus=3 ActiveState=failed");
        assert_eq!(ended.why(), "its program ended with 3");
        let before = state("Result=exit-code ExecMainStatus=0 ActiveState=failed");
        assert_eq!(before.why(), "a program that it needs first failed");
        assert_eq!(state("Result=timeout").why(), "timeout");
        assert_eq!(
            state("Result=success ActiveState=inactive").why(),
            "inactive"
        );
        assert_eq!(state("").why(), "systemd does not answer");
    }
}

//! A terminal of tmux in which the program runs.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{Lab, PATIENCE, is_alive};

/// How long a program may live without its terminal, on a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

/// Terminals that were started: the server of one that ends takes its socket with it, some time later.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// The program in a terminal. It ends with this.
#[derive(Debug)]
pub struct Terminal<'a> {
    lab: &'a Lab,
    socket: PathBuf,
}

/// Who owns nothing on any system.
const NOBODY: &str = "65534";

impl<'a> Terminal<'a> {
    /// Starts the program with the lab's configuration in a terminal of this size.
    #[must_use]
    pub fn start(lab: &'a Lab, words: &[&str], columns: u16, lines: u16) -> Self {
        Self::start_on(lab, "tmux-256color", words, columns, lines)
    }

    /// The same in a terminal of this kind.
    #[must_use]
    pub fn start_on(lab: &'a Lab, kind: &str, words: &[&str], columns: u16, lines: u16) -> Self {
        let mut all = vec![lab.program().into()];
        all.extend(lab.words(words));
        Self::start_words(lab, kind, &all, columns, lines)
    }

    /// The same where colour is welcome.
    #[must_use]
    pub fn start_in_color(lab: &'a Lab, words: &[&str], columns: u16, lines: u16) -> Self {
        let mut all: Vec<OsString> = ["env", "-u", "NO_COLOR"].map(Into::into).into();
        all.push(lab.program().into());
        all.extend(lab.words(words));
        Self::start_words(lab, "tmux-256color", &all, columns, lines)
    }

    /// The same with these words alone, and a state of its own.
    #[must_use]
    pub fn start_bare(lab: &'a Lab, words: &[&str], columns: u16, lines: u16) -> Self {
        let mut all = vec![lab.program().into()];
        all.extend(words.iter().map(Into::into));
        Self::start_words(lab, "tmux-256color", &all, columns, lines)
    }

    /// The same by somebody who owns nothing; the program is a copy that he may read.
    #[must_use]
    pub fn start_as_nobody(lab: &'a Lab, words: &[&str], columns: u16, lines: u16) -> Self {
        let user = [
            "setpriv",
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
        ];
        let config = lab.text("config.json");
        let copy = lab.text("backup");
        let own = [&*copy, "--config", &config, "--state-dir", "/nonexistent"];
        let all: Vec<_> = user
            .iter()
            .chain(&own)
            .chain(words)
            .map(Into::into)
            .collect();
        Self::start_words(lab, "tmux-256color", &all, columns, lines)
    }

    fn start_words(lab: &'a Lab, kind: &str, words: &[OsString], columns: u16, lines: u16) -> Self {
        let settings = format!(
            "set -g status off\nset -g default-terminal {kind}\n\
             set -g escape-time 0\n"
        );
        lab.write("tmux.conf", &settings);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Self {
            lab,
            socket: lab.path(format!("tmux{number}")),
        };
        let mut command = terminal.tmux();
        command.args(["new-session", "-d", "-x", &columns.to_string()]);
        command.args(["-y", &lines.to_string(), "--", "/bin/sh", "-c"]);
        let script = "\"$@\"; echo \"ended with $?.\"; exec sleep 600";
        command.args([script, "sh"]).args(words);
        let started = command.output().unwrap();
        assert!(started.status.success(), "{started:?}");
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = self.lab.bare("tmux");
        command
            .env("LC_ALL", "C.UTF-8")
            .args(["-u", "-f"])
            .arg(self.lab.path("tmux.conf"))
            .arg("-S")
            .arg(&self.socket);
        command
    }

    fn ask(&self, words: &[&str]) -> String {
        let output = self.tmux().args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys, by tmux's names.
    pub fn keys(&self, keys: &[&str]) -> &Self {
        self.ask(&[&["send-keys"], keys].concat());
        self
    }

    /// Types a text.
    pub fn types(&self, text: &str) -> &Self {
        self.ask(&["send-keys", "-l", text]);
        self
    }

    /// Waits until all of these are on the screen.
    #[track_caller]
    pub fn shows(&self, texts: &[&str]) -> &Self {
        self.shows_from("0", texts)
    }

    /// The same, also where it has left the screen at its top.
    #[track_caller]
    pub fn told(&self, texts: &[&str]) -> &Self {
        self.shows_from("-", texts)
    }

    #[track_caller]
    fn shows_from(&self, first: &str, texts: &[&str]) -> &Self {
        // Lines that the terminal broke are one.
        let captured = ["capture-pane", "-p", "-J", "-S", first];
        let is_there = |screen: &str| texts.iter().all(|text| screen.contains(text));
        self.until(&captured, is_there)
            .unwrap_or_else(|screen| panic!("{texts:?} is not on the screen:\n{screen}"));
        self
    }

    /// Waits until the program ends, with this code.
    #[track_caller]
    pub fn ends(&self, code: u8) {
        self.told(&[&format!("ended with {code}.")]);
    }

    /// Whether anything on the screen has a colour.
    #[must_use]
    pub fn has_color(&self) -> bool {
        let screen = self.ask(&["capture-pane", "-p", "-e"]);
        let codes = screen.split("\x1b[").skip(1);
        let codes = codes.filter_map(|rest| Some(rest.split_once('m')?.0));
        let mut numbers = codes.flat_map(|code| code.split(';').map(str::parse::<u8>));
        numbers.any(|number| matches!(number, Ok(30..=38 | 40..=48 | 90..=107)))
    }

    /// Takes the terminal away; the program must be gone soon.
    #[track_caller]
    pub fn takes_away(&self) {
        let asked = ["display", "-p", "#{pane_pid}"];
        let shell = self.ask(&asked).trim().to_owned();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let process = std::fs::read_to_string(children).unwrap();
        let process: u32 = process.trim().parse().unwrap();
        assert!(is_alive(process));
        self.ask(&["kill-server"]);
        let began = Instant::now();
        while is_alive(process) {
            assert!(
                began.elapsed() < SOON,
                "{process} lives on without its terminal"
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// What tmux tells once it is as it must be; what it told last where it never is.
    fn until(&self, words: &[&str], is_so: impl Fn(&str) -> bool) -> Result<String, String> {
        let began = Instant::now();
        loop {
            let told = self.ask(words);
            if is_so(&told) {
                return Ok(told);
            }
            if began.elapsed() > PATIENCE {
                return Err(told);
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.ask(&["kill-server"]);
    }
}

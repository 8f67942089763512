//! How a program ended and what it said.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Output},
};

use serde_json::Value;

use crate::check_output;

/// How a program ended and what it said.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its arguments, for messages.
    pub what: String,
    /// The exit code, or 128 and the signal that ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// What an output says; bytes that are no text are replaced.
    #[must_use]
    pub fn from_output(what: impl Into<String>, output: &Output) -> Self {
        let signal = output.status.signal();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            what: what.into(),
            code: output
                .status
                .code()
                .unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            signal,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Fails unless the program ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails unless the program ended with one of these codes.
    #[track_caller]
    pub fn expect_one_of(self, codes: &[i32]) -> Self {
        assert!(codes.contains(&self.code), "wanted {codes:?}: {self}");
        self
    }

    /// Fails unless one of the outputs has this text, however its lines are broken.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.all().contains(text) || self.in_one_line().contains(text);
        assert!(said, "does not say `{text}`: {self}");
        self
    }

    /// Fails unless a `hint:` with this text is there.
    #[track_caller]
    pub fn hints(self, text: &str) -> Self {
        let all = self.all();
        let mut hints = all.split("hint: ").skip(1);
        let hint = hints.any(|hint| in_one_line(hint).contains(text));
        assert!(hint, "no hint says `{text}`: {self}");
        self
    }

    /// Fails if a line of standard output has more than eighty columns.
    #[track_caller]
    pub fn fits(&self) {
        let is_wide = |line: &&str| schema::columns::width(line) > 80;
        let wide = self.stdout.lines().find(is_wide);
        assert_eq!(wide, None, "{self}");
    }

    /// Both outputs.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Both outputs in one line, as a person reads them.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        in_one_line(&self.all())
    }

    /// Standard output as JSON, which is as its schema says.
    #[track_caller]
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout);
        let document = document.unwrap_or_else(|error| panic!("{error}: {self}"));
        check_output(&self.what, &document);
        document
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "backup {}\nexit code {}\n--- stdout\n{}--- stderr\n{}---",
            self.what, self.code, self.stdout, self.stderr
        )
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end; `arguments` are for messages.
#[track_caller]
pub fn run_command(mut command: Command, arguments: &[&str]) -> Ran {
    wait_for_child(command.spawn().unwrap(), arguments)
}

/// Waits for a child; `arguments` are for messages.
#[track_caller]
pub fn wait_for_child(child: Child, arguments: &[&str]) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran::from_output(arguments.join(" "), &output)
}

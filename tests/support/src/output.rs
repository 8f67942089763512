//! How a program ended and what it said.

use std::{
    io::ErrorKind,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Output},
};

use serde_json::Value;

use crate::check_output;

/// How a program ended and what it said.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What was run, for messages.
    pub what: String,
    /// The words that the program was given, as far as they are known.
    pub words: Vec<String>,
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
    /// What an output says, which must be text; `words` are those that the program was given.
    #[must_use]
    #[track_caller]
    pub fn from_output(words: &[&str], output: &Output) -> Self {
        let signal = output.status.signal();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec());
            text.unwrap_or_else(|error| panic!("{words:?}: {error}: {:?}", error.as_bytes()))
        };
        Self {
            what: words.join(" "),
            words: words.iter().copied().map(str::to_owned).collect(),
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

    /// Fails unless a `hint:` with this text is there, or with `--json` one of an error's object.
    #[track_caller]
    pub fn hints(self, text: &str) -> Self {
        let all = self.all();
        let mut hints = all.split("hint:").skip(1);
        let mut objects = self.stderr.lines().filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["hint"].as_str().map(str::to_owned)
        });
        let hint = hints.any(|hint| in_one_line(hint).contains(text))
            || objects.any(|hint| hint.contains(text));
        assert!(hint, "no hint says `{text}`: {self}");
        self
    }

    /// Fails if a line of standard output has more than eighty columns.
    #[track_caller]
    pub fn fits(&self) {
        // A command that can be copied has no line breaks.
        let is_command = |line: &str| line.trim().trim_matches(['.', ',', ';']).starts_with('`');
        let is_wide = |line: &&str| schema::columns::width(line) > 80 && !is_command(line);
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
        check_output(&self.words, self.code, &document);
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

/// Runs a command to its end; `what` is for messages.
///
/// What words the program itself was given, below another one such as strace or not, is asked of the
/// command; those of a script are unknown.
#[track_caller]
pub fn run_command(mut command: Command, what: &[&str]) -> Ran {
    let words = program_words(&command);
    let child = loop {
        match command.spawn() {
            // A program that was just copied, which a child of another thread still has open for
            // writing until it becomes another program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            child => break child.unwrap(),
        }
    };
    let output = child.wait_with_output().unwrap();
    let mut ran = Ran::from_output(what, &output);
    if let Some(words) = words {
        ran.words = words;
    }
    ran
}

/// The words after the program's own name in a command, if that is there; `backup-now` is `backup now`.
fn program_words(command: &Command) -> Option<Vec<String>> {
    let mut all = std::iter::once(command.get_program()).chain(command.get_args());
    let verb = all.find_map(|word| match Path::new(word).file_name()?.to_str()? {
        "backup" => Some(None),
        "backup-now" => Some(Some("now")),
        "backup-restore" => Some(Some("restore")),
        "backup-status" => Some(Some("status")),
        "backup-verify" => Some(Some("verify")),
        _ => None,
    })?;
    let rest = all.map(|word| word.to_string_lossy().into_owned());
    Some(verb.map(str::to_owned).into_iter().chain(rest).collect())
}

/// Waits for a child that was given these words.
#[track_caller]
pub fn wait_for_child(child: Child, words: &[&str]) -> Ran {
    Ran::from_output(words, &child.wait_with_output().unwrap())
}

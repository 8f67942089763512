//! How this program was called, so that commands in its texts can be pasted.
//!
//! Texts are written as `backup VERB`, or `sudo backup VERB` where only root can do it; `backup ...` is the
//! very command line that was typed, and `backup ... --yes` the same with one more option. What a shell is
//! to be given for them here and now is known here alone.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use schema::{config::may_name_destination, shell};

use crate::{
    cli::{Cli, Global, LOOKING},
    settings,
};

/// The name of the program, where the shell finds this very one by it.
const NAME: &str = "backup";
/// Where `sudo` finds programs, whatever the user's `PATH` is.
const FOUND_BY_SUDO: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
];
/// How commands of other programs begin that only root may call.
const OF_ROOT: [&str; 2] = ["mount ", "umount "];
/// What a command that does something does not have of one that only shows it.
const TO_SHOW: [&[u8]; 1] = [b"--dry-run"];

/// When a command begins with `sudo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sudo {
    /// Never, since it is root who types.
    Needless,
    /// Where the text says so: what is worked with is the user's own.
    AsSaid,
    /// Also where it changes something: what is worked with is the machine's.
    ToChange,
    /// Always, as this command did.
    Always,
}

/// What this process was called with.
static GIVEN: OnceLock<(Vec<OsString>, Arc<Cli>)> = OnceLock::new();
/// What follows from it, once somebody asks.
static CALLED: OnceLock<Called> = OnceLock::new();

/// Keeps what this process was called with: its words, of which the first is the program, and what they mean.
pub(crate) fn remember(words: Vec<OsString>, cli: Arc<Cli>) {
    let _ = GIVEN.set((words, cli));
}

/// How this process was called; none before that is known.
pub(crate) fn current() -> Option<&'static Called> {
    let (words, cli) = GIVEN.get()?;
    Some(CALLED.get_or_init(|| Called {
        destination: cli.verb.destination().map(ToString::to_string),
        ..Called::with(words, &cli.global)
    }))
}

/// How this process was called.
#[derive(Debug)]
pub(crate) struct Called {
    /// The first word.
    program: String,
    /// The first word behind `sudo`.
    program_of_root: String,
    sudo: Sudo,
    /// The options that say which configuration, state and logs are meant, where they are not the usual ones.
    options: Vec<String>,
    /// The same for root.
    options_of_root: Vec<String>,
    /// What was typed after the first word.
    given: Vec<OsString>,
    /// The destination that was named.
    destination: Option<String>,
}

impl Called {
    /// How this process was called: with these words, of which the first is the program, and their global
    /// options.
    fn with(words: &[OsString], global: &Global) -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        let works_with = settings::config_path(global, true);
        let sudo = match is_root {
            true if is_by_sudo() => Sudo::Always,
            true => Sudo::Needless,
            false if works_with == Path::new(settings::MACHINE_CONFIG) => Sudo::ToChange,
            false => Sudo::AsSaid,
        };
        let program = program_word();
        Self {
            program_of_root: if program == NAME && !is_root {
                name_for_sudo()
            } else {
                program.clone()
            },
            program,
            sudo,
            options: given_options(
                global,
                global.config.as_deref(),
                &settings::own_config(),
                &settings::own_state_dir(),
            ),
            options_of_root: given_options(
                global,
                Some(&works_with),
                Path::new(settings::MACHINE_CONFIG),
                Path::new(settings::MACHINE_STATE),
            ),
            given: words.get(1..).unwrap_or_default().to_owned(),
            destination: None,
        }
    }

    /// The command for the words of a text, such as `backup apply`; none where they are a command of another
    /// program that anybody may call.
    pub(crate) fn command(&self, text: &str) -> Option<String> {
        if let Some((first, then)) = text.rsplit_once(" && ") {
            let first = self.command(first).unwrap_or_else(|| first.to_owned());
            return self.command(then).map(|then| format!("{first} && {then}"));
        }
        let is_of_root = OF_ROOT.iter().any(|begin| text.starts_with(begin));
        if is_of_root && self.sudo != Sudo::Needless {
            return Some(format!("sudo {text}"));
        }
        let (says_sudo, text) = match text.strip_prefix("sudo ") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let rest = text.strip_prefix(NAME)?.strip_prefix(' ')?;
        let as_root = match self.sudo {
            Sudo::Needless => false,
            Sudo::AsSaid => says_sudo,
            Sudo::ToChange => says_sudo || !only_looks(rest),
            Sudo::Always => true,
        };
        let (program, options) = match as_root {
            true => (
                format!("sudo {}", self.program_of_root),
                &self.options_of_root,
            ),
            false => (self.program.clone(), &self.options),
        };
        let mut line = vec![program];
        if let Some(more) = rest.strip_prefix("...") {
            line.extend(self.given_with(more.trim_start(), options));
        } else {
            let mut words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            // Where a text names a configuration it is no other.
            if !words.iter().any(|word| word == "--config") {
                let is_end = |word: &String| ["--", "|", "<", ">", ";"].contains(&&**word);
                let at = words.iter().position(is_end).unwrap_or(words.len());
                let on = self
                    .destination
                    .as_ref()
                    .filter(|_| may_name_destination(words.iter().map(String::as_str)));
                let on = on.map(|name| ["--destination".to_owned(), name.clone()]);
                let on = on.into_iter().flatten();
                words.splice(at..at, on.chain(options.iter().cloned()));
            }
            line.extend(words);
        }
        Some(line.join(" "))
    }

    /// What was typed, and one more option, `more`; `options` as far as they were not typed.
    fn given_with(&self, more: &str, options: &[String]) -> Vec<String> {
        let is_typed = |option: &str| {
            let mut given = self.given.iter().map(|word| word.as_bytes());
            given.any(|word| word.split(|byte| *byte == b'=').next() == Some(option.as_bytes()))
        };
        let pairs = options.chunks(2).filter(|pair| !is_typed(&pair[0]));
        let mut line: Vec<String> = pairs.flatten().cloned().collect();
        let more = Some(more).filter(|more| !more.is_empty() && !is_typed(more));
        let mut more = more.map(str::to_owned);
        for word in &self.given {
            let word = word.as_bytes();
            if more.is_some() && TO_SHOW.contains(&word) {
                continue;
            }
            if word == b"--" {
                line.extend(more.take());
            }
            line.push(shell::argument(word));
        }
        line.extend(more);
        line
    }
}

/// Which of the options that say where things are were given, each followed by its value, less those whose
/// value is the usual one.
fn given_options(
    global: &Global,
    config: Option<&Path>,
    usual_config: &Path,
    usual_state: &Path,
) -> Vec<String> {
    let mut options = Vec::new();
    let mut add = |option: &str, path: Option<&Path>, usual: Option<&Path>| {
        let Some(path) = path else {
            return;
        };
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if Some(&*whole) != usual {
            options.push(option.to_owned());
            options.push(shell::word(whole.as_os_str().as_bytes()));
        }
    };
    add("--config", config, Some(usual_config));
    add(
        "--state-dir",
        global.state_dir.as_deref(),
        Some(usual_state),
    );
    add("--log-dir", global.log_dir.as_deref(), None);
    options
}

/// The user who became root by `sudo`.
pub(crate) fn sudo_caller() -> Option<u32> {
    let user = std::env::var("SUDO_UID").ok()?.parse().ok()?;
    (nix::unistd::geteuid().is_root() && user != 0).then_some(user)
}

/// Whether this is root by `sudo`, so that whoever typed it is not.
pub(crate) fn is_by_sudo() -> bool {
    std::env::var_os("SUDO_USER").is_some() && nix::unistd::geteuid().is_root()
}

/// Whether the words after the program's name only show what there is.
fn only_looks(words: &str) -> bool {
    let mut words = words.split(' ');
    let verb = words.next().unwrap_or_default();
    LOOKING.contains(&verb) && !words.any(|word| word == "--repair")
}

/// The first word of a command line that calls this program: its name, or the path that was typed, or where
/// it is, if the shell would not find it by its name.
pub(crate) fn program_word() -> String {
    let typed = std::env::args_os().next().map(PathBuf::from);
    let Some(program) = own_path() else {
        return NAME.to_owned();
    };
    // The shell has found it by that, even where it was a script that started this one.
    let is_name = typed.as_deref() == Some(Path::new(NAME)) && found_in_path().is_some();
    if is_name || is_found_by_name(&program) {
        return NAME.to_owned();
    }
    let has_folder = |path: &PathBuf| path.as_os_str().as_bytes().contains(&b'/');
    let typed = typed.filter(has_folder).filter(|typed| {
        // A program of another name is one of its verbs.
        typed.file_name() == Some(OsStr::new(NAME)) && is_same(typed, &program)
    });
    word_of(&typed.unwrap_or(program))
}

/// The same for the program at another path.
pub(crate) fn word_of(program: &Path) -> String {
    if is_found_by_name(program) {
        return NAME.to_owned();
    }
    shell::word(program.as_os_str().as_bytes())
}

/// Where this program is, also where an update has taken its file's place.
fn own_path() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.into_os_string().into_vec();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(&path);
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

/// The program that a shell starts by the name.
fn found_in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    // The first of the name is the one that is called.
    found.find(|path| path.is_file())
}

fn is_found_by_name(program: &Path) -> bool {
    found_in_path().is_some_and(|first| is_same(&first, program))
}

/// The name, or the path where `sudo` would not find it by that.
fn name_for_sudo() -> String {
    let Some(found) = found_in_path() else {
        return NAME.to_owned();
    };
    let folder = found.parent().unwrap_or(Path::new("/"));
    match FOUND_BY_SUDO.iter().any(|known| folder == Path::new(known)) {
        true => NAME.to_owned(),
        false => shell::word(found.as_os_str().as_bytes()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}

#[cfg(test)]
#[path = "called_tests.rs"]
mod tests;

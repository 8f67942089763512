//! rclone's configuration as a private copy, and what rclone saves of it.
//!
//! Tokens change: rclone writes the new one into its configuration, which a unit may not write, or which
//! is made anew at each boot. So rclone gets a copy that it can write, and what it saved is taken from
//! there: into the configuration itself where that can be replaced, and into the state directory always.
//! Only values that rclone changes by itself are taken over ([`ini::changes_by_itself`]): a copy that
//! somebody else wrote names no program that is run by another. A configuration that holds a value of
//! before is older than what is remembered; one with a value that was never seen is newer, and wins.

use std::{
    ffi::OsStr, io::Read as _, os::unix::ffi::OsStrExt as _, path::Path, process::Command,
    sync::Mutex, time::Duration,
};

use rustix::io::Errno;
use schema::{
    Digest,
    cloud::{CredentialsKept, SavedCredential, SavedCredentials},
    config::AbsolutePath,
};

use super::{
    conceal::Secrets,
    ini::{self, Value},
    installed::{clean_environment, open_config},
};
use crate::{
    cloud::memory::RemoteCache,
    error::{Error, Result},
    event::{Context, Event},
    process::{Limits, capture_output},
    secret_file::{LONGEST_SECRET, SecretFile},
    state_dir::StateDir,
    store::{read_json, write_json},
    sys::{Dir, stat::Nanos},
};

/// The folder of the copy. rclone writes beside it before it renames.
const FOLDER: &str = "credentials";
/// The copy in it.
const COPY: &str = "rclone.conf";
/// What is remembered of values that rclone saved.
const SAVED: &str = "credentials.json";
/// Most values of before that are remembered of one.
const MOST_BEFORE: usize = 32;
/// Longest time for asking rclone where its configuration is.
const ANSWERS: Duration = Duration::from_secs(20);

/// The configuration of rclone for the calls of one piece of work.
pub struct Credentials {
    /// The copy; none where there is no configuration that could be copied.
    copy: Option<Copied>,
    secrets: Mutex<Known>,
}

/// Where the copy stands.
#[derive(Debug, Clone, Copy)]
pub enum CopyPlace<'a> {
    /// Beside what is remembered of the remote: for the part of a run that talks to it, and may write
    /// nowhere else.
    Cache,
    /// Where that part cannot write: whoever got hold of it must not say what others run.
    State(&'a StateDir),
}

/// A copy of a configuration.
struct Copied {
    /// The configuration.
    original: AbsolutePath,
    /// The folder of the remote's cache, and its name.
    cache: (Dir, String),
    /// The folder of the copy.
    folder: Dir,
    /// Path of the copy.
    path: String,
}

/// The secrets of the copy as it was at one time.
#[derive(Default)]
struct Known {
    at: Option<(u64, Nanos)>,
    secrets: Secrets,
}

impl Credentials {
    /// Makes the copy of a configuration, or of the one that rclone takes by itself where none is given.
    ///
    /// # Errors
    /// Fails if the configuration is missing, or could be read or changed by others, or if the copy
    /// cannot be written.
    pub fn prepare(
        program: &str,
        given: Option<&AbsolutePath>,
        cache: &RemoteCache,
        place: CopyPlace<'_>,
    ) -> Result<Self> {
        let found = match given {
            Some(file) => Some(file.clone()),
            None => default_config(program),
        };
        let copy = found.map(|file| Copied::make(file, cache, place));
        let copy = copy.transpose()?;
        let this = Self {
            copy,
            secrets: Mutex::default(),
        };
        this.refresh();
        Ok(this)
    }

    /// No copy: rclone takes its configuration from wherever it does.
    #[must_use]
    pub fn none() -> Self {
        let known = Known {
            at: None,
            secrets: Secrets::of(""),
        };
        Self {
            copy: None,
            secrets: Mutex::new(known),
        }
    }

    /// The options of a call, with the copy in place of the configuration.
    #[must_use]
    pub fn options(&self, given: &[String]) -> Vec<String> {
        let Some(copy) = &self.copy else {
            return given.to_vec();
        };
        let mut options = vec![format!("--config={}", copy.path)];
        let mut given = given.iter();
        while let Some(option) = given.next() {
            if option == "--config" {
                given.next();
            } else if !option.starts_with("--config=") {
                options.push(option.clone());
            }
        }
        options
    }

    /// What rclone said, without anything secret.
    #[must_use]
    pub fn conceal(&self, said: &str) -> String {
        // A token may have been replaced while rclone spoke.
        self.refresh();
        let known = self.secrets.lock();
        let known = known.unwrap_or_else(std::sync::PoisonError::into_inner);
        known.secrets.conceal(said)
    }

    /// Reads the secrets anew if the copy has changed.
    fn refresh(&self) {
        let Some(copy) = &self.copy else { return };
        let Ok(stat) = copy.folder.stat(OsStr::new(COPY)) else {
            return;
        };
        let known = self.secrets.lock();
        let mut known = known.unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = Some((stat.ino, stat.mtime));
        if known.at != at
            && let Ok(Some(text)) = copy.text()
        {
            *known = Known {
                at,
                secrets: Secrets::of(&text),
            };
        }
    }

    /// Keeps what rclone saved meanwhile, and says once where; also that it cannot be kept.
    pub fn keep(&self, step: &str, context: Context<'_>) {
        let kept = self.copy.as_ref().map(Copied::keep);
        let said = match kept {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(line))) => line,
            Some(Err(error)) => format!(
                "what rclone saved of its credentials is kept in its copy only: {}",
                error.message
            ),
        };
        let line = &self.conceal(&said);
        context.observer.event(Event::ScriptLine { step, line });
    }
}

impl Copied {
    fn make(original: AbsolutePath, cache: &RemoteCache, place: CopyPlace<'_>) -> Result<Self> {
        let text = read_original(&original)?.1;
        let (folder, path) = match place {
            CopyPlace::Cache => {
                let path = cache.named(FOLDER);
                let folder = cache.dir().folder_or_new(OsStr::new(FOLDER), 0o700);
                let folder = folder.map_err(|error| Error::io("make", path.as_bytes(), error))?;
                (folder, path)
            }
            CopyPlace::State(state) => state.area(FOLDER)?,
        };
        let path = format!("{path}/{COPY}");
        let dir = cache.dir().again();
        let dir = dir.map_err(|error| Error::io("open", path.as_bytes(), error))?;
        let this = Self {
            original,
            cache: (dir, cache.named(SAVED)),
            folder,
            path,
        };
        let (saved, before) = this.saved();
        let mut saved = this.with_what_is_in_the_copy(saved);
        let wanted = merge(&text, &mut saved);
        if before.as_ref() != Some(&saved) {
            this.remember(&saved)?;
        }
        if this.text()?.as_deref() != Some(&wanted) {
            let written = this.folder.write_whole(COPY, wanted.as_bytes());
            written.map_err(|error| Error::io("write", this.path.as_bytes(), error))?;
        }
        Ok(this)
    }

    /// The copy; none where there is none. One that cannot be read is none.
    fn text(&self) -> Result<Option<String>> {
        let bytes = self.folder.read_whole(COPY, LONGEST_SECRET);
        let bytes = bytes.map_err(|error| Error::io("read", self.path.as_bytes(), error))?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// What is remembered, and the same as it is on disk; a damaged file remembers nothing.
    fn saved(&self) -> (SavedCredentials, Option<SavedCredentials>) {
        let (dir, named) = &self.cache;
        let read: Result<Option<SavedCredentials>> = read_json(dir, SAVED, named);
        let read = read.unwrap_or_default();
        (read.clone().unwrap_or_default(), read)
    }

    fn remember(&self, saved: &SavedCredentials) -> Result<()> {
        let (dir, named) = &self.cache;
        write_json(dir, SAVED, named, saved)
    }

    /// What is remembered, with what rclone saved in the copy since it was made.
    fn with_what_is_in_the_copy(&self, mut saved: SavedCredentials) -> SavedCredentials {
        if let Ok(Some(text)) = self.text() {
            take_over(&text, &mut saved);
        }
        saved
    }

    /// Keeps what rclone saved; gives what is to be said of it.
    fn keep(&self) -> Result<Option<String>> {
        let (saved, before) = self.saved();
        let mut saved = self.with_what_is_in_the_copy(saved);
        let (file, text) = read_original(&self.original)?;
        let wanted = merge(&text, &mut saved);
        // Before anything else: a token that is lost may be the only way in.
        if before.as_ref() != Some(&saved) {
            self.remember(&saved)?;
        }
        if wanted == text {
            return Ok(None);
        }
        let replaced = replace_original(&file, &wanted);
        let kept = match replaced {
            Ok(()) => CredentialsKept::InConfigFile,
            Err(_) => CredentialsKept::InState,
        };
        if saved.told == Some(kept) {
            return Ok(None);
        }
        saved.told = Some(kept);
        self.remember(&saved)?;
        let original = &self.original;
        Ok(Some(match replaced {
            Ok(()) => format!("rclone renewed its credentials, which {original} has now"),
            Err(error) => format!(
                "rclone renewed its credentials; {original} cannot be replaced here ({}), so they \
                 are kept in {} until it has others",
                crate::error::system_reason(&error),
                self.cache.1
            ),
        }))
    }
}

/// The configuration that rclone takes by itself; none where there is none.
#[must_use]
pub fn default_config(program: &str) -> Option<AbsolutePath> {
    let mut command = Command::new(program);
    clean_environment(&mut command);
    command.args(["config", "file"]).current_dir("/");
    let asked = capture_output(&mut command, Vec::new(), Limits::within(ANSWERS)).ok()?;
    let last = asked.stdout.lines().rfind(|line| !line.trim().is_empty())?;
    let path = Path::new(last.trim());
    (asked.exit.is_success() && path.is_file()).then_some(())?;
    last.trim().parse().ok()
}

/// The configuration, which nobody else may be able to read or change.
pub(super) fn read_original(path: &AbsolutePath) -> Result<(SecretFile, String)> {
    let mut file = open_config(path)?;
    let mut bytes = Vec::new();
    let limit = LONGEST_SECRET;
    let read = (&mut file.file).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io("read", path.as_path().as_os_str().as_bytes(), error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::failed(format!(
            "{path} (cloud.configFile) is larger than any"
        )));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Error::failed(format!("{path} (cloud.configFile) is not text")))?;
    Ok((file, text))
}

/// Replaces the configuration by a rename, with the owner and mode that it has.
fn replace_original(file: &SecretFile, text: &str) -> std::io::Result<()> {
    let name = file.found.name.to_str().ok_or(Errno::INVAL)?;
    let dir = &file.found.parent;
    // Whatever took its place meanwhile is not what was read.
    let now = dir.stat(&file.found.name)?;
    if (now.dev, now.ino, now.ctime) != (file.stat.dev, file.stat.ino, file.stat.ctime) {
        return Err(Errno::STALE.into());
    }
    let own = rustix::process::geteuid().as_raw();
    if file.stat.uid != own {
        return Err(Errno::PERM.into());
    }
    dir.write_whole(name, text.as_bytes())?;
    dir.set_mode_of(&file.found.name, file.stat.mode & 0o7777)?;
    Ok(())
}

/// Takes over what rclone wrote into a copy: values that were never seen before.
fn take_over(text: &str, saved: &mut SavedCredentials) {
    if ini::is_encrypted(text) {
        newest(saved, "", "", text);
        return;
    }
    for one in ini::values(text).into_iter().filter(is_saved) {
        newest(saved, one.section, one.key, one.value);
    }
}

/// Whether a value is one that is taken over.
fn is_saved(one: &Value<'_>) -> bool {
    ini::changes_by_itself(one.key) && is_one_line(one.value)
}

fn is_one_line(value: &str) -> bool {
    !value.is_empty() && !value.contains(char::is_control)
}

fn find<'s>(
    saved: &'s mut SavedCredentials,
    section: &str,
    key: &str,
) -> Option<&'s mut SavedCredential> {
    let mut all = saved.values.iter_mut();
    all.find(|one| one.section == section && one.key == key)
}

/// Remembers a value as the newest one, unless it is known already; whether it was not.
fn newest(saved: &mut SavedCredentials, section: &str, key: &str, value: &str) -> bool {
    let Some(known) = find(saved, section, key) else {
        saved.values.push(SavedCredential {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            before: Vec::new(),
        });
        return true;
    };
    if known.value == value || known.before.contains(&Digest::of(value.as_bytes())) {
        return false;
    }
    let old = std::mem::replace(&mut known.value, value.to_owned());
    known.before.push(Digest::of(old.as_bytes()));
    let surplus = known.before.len().saturating_sub(MOST_BEFORE);
    known.before.drain(..surplus);
    true
}

/// A configuration with the newest values that are known; what it has that was never seen before is
/// newer, and remembered.
fn merge(text: &str, saved: &mut SavedCredentials) -> String {
    if ini::is_encrypted(text) {
        newest(saved, "", "", text);
        return find(saved, "", "").map_or_else(|| text.to_owned(), |one| one.value.clone());
    }
    let there = ini::values(text);
    for one in there.iter().filter(|one| is_saved(one)) {
        if newest(saved, one.section, one.key, one.value) {
            // What belongs to a session that a person has renewed does not go with the new one.
            let has = |key: &str| {
                there
                    .iter()
                    .any(|it| (it.section, it.key) == (one.section, key))
            };
            saved
                .values
                .retain(|known| known.section != one.section || has(&known.key));
        }
    }
    let newer: Vec<Value<'_>> = saved
        .values
        .iter()
        .map(|one| Value {
            section: &one.section,
            key: &one.key,
            value: &one.value,
        })
        .filter(is_saved)
        // A file that has all of them keeps its form.
        .filter(|one| !there.contains(one))
        .collect();
    if newer.is_empty() {
        return text.to_owned();
    }
    ini::with_values(text, &newer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(token: &str) -> String {
        format!("# mine\n[nas]\ntype = drive\nssh = true\ntoken = {token}\n")
    }

    #[test]
    fn the_newer_one_of_two_tokens_wins_whenever_its_file_was_written() {
        let mut saved = SavedCredentials::default();
        assert_eq!(merge(&config("one"), &mut saved), config("one"));
        take_over(&config("two"), &mut saved);
        // A configuration that is made anew at each boot has the old one again.
        assert_eq!(merge(&config("one"), &mut saved), config("two"));
        take_over(&config("three"), &mut saved);
        // What was killed before it wrote the copy left an older one there.
        take_over(&config("two"), &mut saved);
        assert_eq!(merge(&config("one"), &mut saved), config("three"));
        assert_eq!(merge(&config("two"), &mut saved), config("three"));
        // One that a person made is new, and stays when the old one comes back.
        assert_eq!(merge(&config("mine"), &mut saved), config("mine"));
        assert_eq!(merge(&config("one"), &mut saved), config("mine"));
    }

    #[test]
    fn what_a_session_left_behind_does_not_go_with_a_new_one() {
        let mut saved = SavedCredentials::default();
        merge(&config("one"), &mut saved);
        take_over(&format!("{}client_uid = u\n", config("two")), &mut saved);
        let with_session = format!("{}client_uid = u\n", config("two"));
        assert_eq!(merge(&config("one"), &mut saved), with_session);
        assert_eq!(merge(&config("mine"), &mut saved), config("mine"));
        assert_eq!(merge(&config("one"), &mut saved), config("mine"));
    }

    #[test]
    fn only_tokens_are_taken_from_a_copy() {
        let mut saved = SavedCredentials::default();
        merge(&config("one"), &mut saved);
        let copy = "[nas]\ntype = sftp\nssh = /tmp/evil\ntoken = two\nclient_uid = u\n\
            [more]\ntype = alias\ntoken = x\n";
        take_over(copy, &mut saved);
        assert_eq!(
            merge(&config("one"), &mut saved),
            format!("{}client_uid = u\n", config("two"))
        );
        // Nor does what is remembered add lines.
        saved.values[0].value = "two\nssh = /tmp/evil".to_owned();
        assert!(!merge(&config("one"), &mut saved).contains("evil"));
        saved.values[0].key = "ssh".to_owned();
        saved.values[0].value = "/tmp/evil".to_owned();
        assert!(!merge(&config("one"), &mut saved).contains("evil"));
    }

    #[test]
    fn an_encrypted_configuration_is_kept_as_a_whole() {
        let sealed = |text: &str| format!("RCLONE_ENCRYPT_V0:\n{text}=\n");
        let mut saved = SavedCredentials::default();
        assert_eq!(merge(&sealed("one"), &mut saved), sealed("one"));
        take_over(&sealed("two"), &mut saved);
        assert_eq!(merge(&sealed("one"), &mut saved), sealed("two"));
        take_over("[nas]\nssh = /tmp/evil\n", &mut saved);
        assert_eq!(merge(&sealed("one"), &mut saved), sealed("two"));
    }

    #[test]
    fn what_is_remembered_of_one_value_is_bounded() {
        let mut saved = SavedCredentials::default();
        for number in 0..100 {
            take_over(&config(&format!("t{number}")), &mut saved);
        }
        assert_eq!(saved.values.len(), 1);
        assert_eq!(saved.values[0].before.len(), MOST_BEFORE);
        assert_eq!(merge(&config("t98"), &mut saved), config("t99"));
    }
}

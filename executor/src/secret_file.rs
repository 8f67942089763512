//! Files that hold secrets: opened once, and refused if anybody else could read or change them.
//!
//! Owns whose such a file may be and which mode it may have. Files of agenix, sops-nix and systemd's
//! credentials (`root:root 0400`, behind symlinks of root) are as they should be.

use std::{fs::File, io::Read as _};

use rustix::{io::Errno, process::geteuid};
use schema::{Config, config::AbsolutePath, inventory::UnusableSecret};

use crate::{
    error::system_reason,
    sys::{
        Kind, Stat,
        resolve::{Resolved, resolve},
    },
};

/// Most bytes that such a file may have.
pub const LONGEST_SECRET: u64 = 1 << 20;

/// Why a file that holds a secret is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFault {
    /// What is wrong, as a sentence that names the file and its option, and nothing of what is in it.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Whether it is there and could be read, but must not be used.
    pub is_unsafe: bool,
    /// Whether this user may not even look at it.
    pub is_hidden: bool,
}

/// A file that nobody else can read or change.
#[derive(Debug)]
pub struct SecretFile {
    /// The open file.
    pub file: File,
    /// What the kernel says of it.
    pub stat: Stat,
    /// Where it was found.
    pub found: Resolved,
}

/// Opens a file that holds a secret; `option` names it in faults.
///
/// # Errors
/// Fails if it is missing, no file, or another user could read or change it.
pub fn open_secret_file(path: &AbsolutePath, option: &str) -> Result<SecretFile, SecretFault> {
    let unreadable = |error: Errno| SecretFault {
        message: format!(
            "cannot read {path} ({option}): {}",
            system_reason(&error.into())
        ),
        hint: format!("make {path}, readable by the user that runs the backup alone"),
        is_unsafe: false,
        is_hidden: error == Errno::ACCESS,
    };
    let found = resolve(path.as_path()).map_err(unreadable)?;
    if found.stat.kind != Kind::File {
        return Err(no_file(path, option));
    }
    let file = found.parent.file(&found.name).map_err(unreadable)?;
    // What was opened is looked at, not what the name stands for now.
    let stat = Stat::of_fd(&file).map_err(unreadable)?;
    if stat.kind != Kind::File {
        return Err(no_file(path, option));
    }
    match why_unsafe(&stat, geteuid().as_raw()) {
        Some((what, how)) => Err(SecretFault {
            message: format!("{path} ({option}) {what}"),
            hint: how.replace("PATH", &schema::shell::word(path.as_str())),
            is_unsafe: true,
            is_hidden: false,
        }),
        None => Ok(SecretFile { file, stat, found }),
    }
}

/// Opens a file that holds a secret, and reads it.
///
/// # Errors
/// As [`open_secret_file`]; also if it is very large or no text.
pub fn read_secret_file(path: &AbsolutePath, option: &str) -> Result<String, SecretFault> {
    let SecretFile { file, .. } = open_secret_file(path, option)?;
    let fault = |what: String| SecretFault {
        message: format!("cannot read {path} ({option}): {what}"),
        hint: format!("write into {path} what {option} is to hold, and nothing else"),
        is_unsafe: false,
        is_hidden: false,
    };
    let mut text = String::new();
    let read = file.take(LONGEST_SECRET + 1).read_to_string(&mut text);
    match read {
        Ok(bytes) if bytes as u64 > LONGEST_SECRET => {
            Err(fault("it is larger than any secret".to_owned()))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(fault("it is not text".to_owned()))
        }
        Err(error) => Err(fault(system_reason(&error))),
    }
}

/// The files of a configuration that hold secrets and cannot be used: they are missing or not private.
/// Those of the faults that are `of_interest`.
#[must_use]
pub fn unusable_secrets(
    config: &Config,
    of_interest: impl Fn(&SecretFault) -> bool,
) -> Vec<UnusableSecret> {
    let files = config.secret_files().into_iter();
    let faults = files.filter_map(|(option, path)| open_secret_file(path, option).err());
    faults
        .filter(of_interest)
        .map(|fault| UnusableSecret {
            because: fault.message,
            hint: fault.hint,
        })
        .collect()
}

fn no_file(path: &AbsolutePath, option: &str) -> SecretFault {
    SecretFault {
        message: format!("{path} ({option}) is not a file"),
        hint: format!("name a file in {option}"),
        is_unsafe: false,
        is_hidden: false,
    }
}

/// What makes a file unfit for a secret of the user `user`, and what mends it, of the file that is called `PATH` there.
fn why_unsafe(stat: &Stat, user: u32) -> Option<(String, String)> {
    if stat.uid != 0 && stat.uid != user {
        let what = format!(
            "belongs to another user (uid {}), who can read it and write into it what she likes",
            stat.uid
        );
        let how = format!("see what is in it, then `chown {user} PATH`");
        return Some((what, how));
    }
    (stat.mode & 0o077 != 0).then(|| {
        (
            "can be read by others, and it holds a secret".to_owned(),
            "`chmod 600 PATH`".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_of_its_user_or_root_and_of_nobody_else() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        let file = File::open(&path).unwrap();
        let own = Stat::of_fd(&file).unwrap();
        let of = |uid, mode| Stat { uid, mode, ..own };
        for (uid, mode, user) in [
            (0, 0o400, 0),
            (0, 0o600, 0),
            (1000, 0o600, 1000),
            (0, 0o400, 7),
        ] {
            assert_eq!(
                why_unsafe(&of(uid, mode), user),
                None,
                "{uid} {mode:o} {user}"
            );
        }
        for (uid, mode, user) in [
            (1000, 0o600, 0),
            (1000, 0o600, 1001),
            (0, 0o640, 0),
            (0, 0o602, 0),
        ] {
            assert!(
                why_unsafe(&of(uid, mode), user).is_some(),
                "{uid} {mode:o} {user}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let named = |name: &str| AbsolutePath::new(folder.join(name).to_str().unwrap());
        let make = |name: &str, bytes: &[u8], mode: u32| {
            std::fs::write(folder.join(name), bytes).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.join(name), mode).unwrap();
            read_secret_file(&named(name), "an.option")
        };
        std::fs::create_dir(folder.join("folder")).unwrap();
        assert_eq!(make("good", b"s3cret\n", 0o600).unwrap(), "s3cret\n");
        std::os::unix::fs::symlink("good", folder.join("link")).unwrap();
        assert!(read_secret_file(&named("link"), "an.option").is_ok());
        let open = make("open", b"s3cret", 0o644).unwrap_err();
        assert!(open.is_unsafe && open.hint == format!("`chmod 600 {}`", named("open")));
        let binary = make("binary", b"s3cret\xff", 0o600).unwrap_err();
        let absent = read_secret_file(&named("absent"), "an.option").unwrap_err();
        let no_file = read_secret_file(&named("folder"), "an.option").unwrap_err();
        for fault in [open, binary, absent, no_file] {
            assert!(fault.message.contains("(an.option)"), "{fault:?}");
            assert!(!format!("{fault:?}").contains("s3cret"), "{fault:?}");
        }
    }
}

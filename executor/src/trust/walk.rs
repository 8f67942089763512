//! All that has a say in where a path leads, or stands below a folder, judged one by one.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use nix::unistd::geteuid;
use rustix::{fs::lgetxattr, io::Errno};
use schema::{escape, shell};

use super::{
    distrust::{Distrust, Fault, distrust_below, distrust_of},
    judge::{ACL, End, has_acl, judge, name_user},
};
use crate::{
    error::{Error, Result},
    sys::{
        Dir, Kind, Stat,
        resolve::{Resolved, resolve_seeing},
    },
};

/// Why what stands at a path is not trusted; none where it is, or where nothing is there.
///
/// # Errors
/// Fails if it cannot be looked at.
pub fn find_distrust(path: &Path) -> Result<Option<Distrust>> {
    match walk(path, End::Own) {
        (Some(distrust), _) => Ok(Some(distrust)),
        (None, Ok(_) | Err(Errno::NOENT)) => Ok(None),
        (None, Err(error)) => Err(Error::io("look at", path.as_os_str().as_bytes(), error)),
    }
}

/// What on the way to a path the user who runs this could replace although that user is not root, which
/// counts where root is to run it; none where there is nothing like that.
#[must_use]
pub fn find_own_say(path: &Path) -> Option<String> {
    let own = geteuid();
    let mut found = None;
    let is_own = |stat: &Stat| !own.is_root() && stat.uid == own.as_raw();
    // What is not there yet nobody can judge.
    let _ = resolve_seeing(path, &mut |path, stat| {
        if found.is_none() && is_own(stat) {
            let (path, user) = (escape::display(path), name_user(stat.uid));
            found = Some(format!("{path} belongs to {user}"));
        }
    });
    found
}

/// Follows a path and judges all that has a say in where it leads.
pub(super) fn walk(
    path: &Path,
    end: End,
) -> (Option<Distrust>, std::result::Result<Resolved, Errno>) {
    let mut seen: Vec<(Vec<u8>, Stat)> = Vec::new();
    let found = resolve_seeing(path, &mut |path, stat| {
        if !seen.iter().any(|(before, _)| before == path) {
            seen.push((path.to_owned(), *stat));
        }
    });
    let mut faults = Vec::new();
    let mut of_user = None;
    for (path, stat) in &seen {
        // Not even root's: whoever has the folder could have brought it there from another one.
        if let (Some(user), Kind::Symlink) = (of_user, stat.kind) {
            faults.push(in_folder_of(user, path));
        }
        if stat.kind == Kind::Folder && end == End::ForUser(stat.uid) {
            of_user = Some(stat.uid);
        }
        let is_end = found
            .as_ref()
            .is_ok_and(|found| found.stat.same_inode(stat));
        let allowed = if is_end || end != End::Own {
            end
        } else {
            End::Shared
        };
        // A path below what is not trusted may lead elsewhere by now; it is refused anyhow.
        let acl = || has_acl(lgetxattr(OsStr::from_bytes(path), ACL, &mut [0_u8; 0]));
        judge(path, stat, allowed, &acl, &mut faults);
    }
    (distrust_of(&faults), found)
}

/// That a symlink is in a folder of a user for whom something is written.
fn in_folder_of(user: u32, path: &[u8]) -> Fault {
    let (shown, user) = (escape::display(path), name_user(user));
    Fault {
        because: format!("{shown} is a symlink in a folder of {user}"),
        command: format!("realpath {}", shell::word(path)),
        is_of_another: false,
    }
}

/// Why something in a trusted folder is not trusted, down to `depth` levels below it; `is_left_out` says
/// which names in it are not looked at.
///
/// # Errors
/// Fails if a folder cannot be listed, or an entry not be looked at.
pub fn find_distrust_below(
    folder: &Dir,
    path: &Path,
    depth: u32,
    is_left_out: &dyn Fn(&OsStr) -> bool,
) -> Result<Option<Distrust>> {
    let mut faults = Vec::new();
    judge_below(folder, path, depth, is_left_out, &mut faults)?;
    Ok(distrust_below(path, &faults))
}

fn judge_below(
    folder: &Dir,
    path: &Path,
    depth: u32,
    is_left_out: &dyn Fn(&OsStr) -> bool,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let io = |doing: &str, path: &Path, error| Error::io(doing, path.as_os_str().as_bytes(), error);
    let names = folder.names().map_err(|error| io("list", path, error))?;
    for name in names.iter().filter(|name| !is_left_out(name)) {
        let at = path.join(name);
        let found = folder.look(name).map_err(|error| io("look at", &at, error));
        let Some(stat) = found? else { continue };
        let before = faults.len();
        let acl = || has_acl(lgetxattr(&at, ACL, &mut [0_u8; 0]));
        judge(at.as_os_str().as_bytes(), &stat, End::Own, &acl, faults);
        if stat.kind == Kind::Folder && depth > 1 && faults.len() == before {
            match folder.folder(name) {
                Ok(below) => judge_below(&below, &at, depth - 1, &|_| false, faults)?,
                Err(Errno::NOENT) => {}
                Err(error) => return Err(io("open", &at, error)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use schema::FailureCode;

    use super::*;
    use crate::trust::{
        open_folder, read_file,
        test_support::{nest, set_mode},
    };

    fn because(path: &Path) -> Option<String> {
        find_distrust(path).unwrap().map(|found| found.because)
    }

    #[test]
    fn a_file_that_only_its_owner_writes_is_trusted_also_in_a_shared_folder() {
        let (_keep, root) = nest();
        let file = root.join("a/b/file");
        assert_eq!(because(&file), None);
        set_mode(&root.join("a"), 0o1777);
        set_mode(&root.join("a/b"), 0o1775);
        assert_eq!(because(&file), None);
        assert_eq!(because(&root.join("a/none")), None, "nothing is there");
        assert_eq!(read_file(&file, "the file", 9).unwrap(), b"x");
    }

    #[test]
    fn whatever_others_can_write_on_the_way_is_named_with_what_ends_it() {
        for (path, mode, who) in [
            ("a/b/file", 0o757, "everybody"),
            ("a/b/file", 0o1777, "everybody"),
            ("a/b", 0o773, "everybody"),
            ("a", 0o777, "everybody"),
        ] {
            let (_keep, root) = nest();
            let (file, path) = (root.join("a/b/file"), root.join(path));
            set_mode(&path, mode);
            let error = read_file(&file, "the plan", 9).unwrap_err();
            assert_eq!(error.code, Some(FailureCode::Untrusted));
            let path = path.display();
            let told = format!("{path} can be written by {who}");
            assert!(error.message.contains(&told), "{}", error.message);
            assert_eq!(error.hint.unwrap(), format!("`chmod go-w {path}`"));
        }
    }

    #[test]
    fn a_symlink_is_followed_and_all_that_it_leads_through_is_judged() {
        let (_keep, root) = nest();
        symlink(root.join("a/b/file"), root.join("link")).unwrap();
        assert_eq!(because(&root.join("link")), None);
        set_mode(&root.join("a/b"), 0o777);
        let told = because(&root.join("link")).unwrap();
        assert!(told.contains("a/b can be written by everybody"), "{told}");
    }

    #[test]
    fn what_is_below_a_folder_is_judged_down_to_a_depth() {
        let (_keep, root) = nest();
        let folder = open_folder(&root, "the folder").unwrap();
        let below = |depth, left_out: &dyn Fn(&OsStr) -> bool| {
            find_distrust_below(&folder, &root, depth, left_out).unwrap()
        };
        assert_eq!(below(3, &|_| false), None);
        set_mode(&root.join("a/b/file"), 0o666);
        let told = below(3, &|_| false).unwrap();
        assert_eq!(told.hint, format!("`chmod -R go-w {}`", root.display()));
        assert_eq!(below(2, &|_| false), None);
        assert_eq!(below(3, &|name| name == "a"), None);
    }
}

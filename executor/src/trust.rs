//! Whether nobody but root and the user who runs this decides what stands at a path.
//!
//! Configuration, scripts, saved plans and what is remembered decide what is run, and with whose rights.
//! A path is trusted where the file itself, each folder above it and each symlink on the way belong to
//! root or to that user, and nobody else may write to them. A folder that others may write to will do
//! on the way only if it is sticky, as `/tmp` is: what is in it and belongs to a trusted user stays
//! where it is. Access control lists are part of it: their mask stands in the bits of the group.
//!
//! A group in which there is nobody else is nobody else: that of a user's own name, which many systems
//! let its user write by default, or one of the system that has no members, such as Debian's `staff`.
//!
//! A path is walked one component at a time, and each is judged as it was opened. Once all of them are
//! trusted, nobody else can put something in the place of any.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, geteuid};
use rustix::{
    fs::{fgetxattr, lgetxattr},
    io::Errno,
};
use schema::{FailureCode, escape, shell};

use crate::{
    error::{Error, Result},
    sys::{
        Dir, Kind, Stat,
        owners::{group_name, is_trusted_owner, user_name},
        resolve::{Resolved, resolve_seeing},
    },
};

/// What may be written to by others: the bits of the group and of everybody.
const WRITE_OF_OTHERS: u32 = 0o022;
/// The bit of a folder in which only owners rename and remove.
const STICKY: u32 = 0o1000;
/// Where root keeps what only root writes.
const OF_ROOT: &str = "/etc/backup";

/// Why a path is not trusted, and what ends that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// What others can do, as sentences without an end that name each path.
    pub because: String,
    /// The commands that end it.
    pub hint: String,
}

impl Distrust {
    /// The refusal to use something: `what` it is, with its path.
    #[must_use]
    pub fn refuse(self, what: &str) -> Error {
        let Self { because, hint } = self;
        Error::refused(format!("{what} is not to be trusted: {because}"))
            .coded(FailureCode::Untrusted)
            .hint(hint)
    }
}

/// One thing on the way that others have a say in.
struct Fault {
    /// Who has, and how.
    because: String,
    /// What ends it.
    command: String,
    /// Whether it is a folder of somebody else, which hardly anyone wants to take away from its owner.
    is_of_another: bool,
}

/// How a path ends for it to be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody else may write to it.
    Own,
    /// It may also be a folder that is shared as `/tmp` is.
    Shared,
}

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

/// Opens a file that is trusted; `what` it is stands in the error.
///
/// # Errors
/// Refused if others could change it, with what ends that; fails if it is not there, is no regular
/// file or cannot be opened.
pub fn open_file(path: &Path, what: &str) -> Result<File> {
    let named = path.as_os_str().as_bytes();
    let what = format!("{what} {}", escape::display(named));
    let opened = if is_of_caller(path) {
        File::open(path)
    } else {
        let (distrust, found) = walk(&absolute(path)?, End::Own);
        if let Some(distrust) = distrust {
            return Err(distrust.refuse(&what));
        }
        let opened = found.and_then(|found| found.parent.file(&found.name));
        opened.map_err(Into::into)
    };
    let file = opened.map_err(|error| Error::io("read", named, error))?;
    // What was opened is judged, and not what the name stands for now.
    let stat = Stat::of_fd(&file).map_err(|error| Error::io("look at", named, error))?;
    match stat.kind {
        Kind::File => {}
        // Whoever calls this has opened it.
        Kind::Fifo | Kind::CharDevice if is_of_caller(path) => return Ok(file),
        _ => return Err(Error::failed(format!("{what} is no regular file"))),
    }
    let mut faults = Vec::new();
    let acl = || has_acl(fgetxattr(&file, ACL, &mut [0_u8; 0]));
    judge(named, &stat, End::Own, &acl, &mut faults);
    match distrust_of(&faults) {
        Some(distrust) => Err(distrust.refuse(&what)),
        None => Ok(file),
    }
}

/// Reads a file that is trusted.
///
/// # Errors
/// As [`open_file`]; also for one of more than `limit` bytes.
pub fn read_file(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let named = path.as_os_str().as_bytes();
    let file = open_file(path, what)?;
    let mut bytes = Vec::new();
    let mut file = file.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", named, error))?;
    if bytes.len() as u64 > limit {
        let limit = schema::amount::bytes(limit);
        return Err(Error::failed(format!(
            "{what} {} is longer than {limit}",
            escape::display(named)
        )));
    }
    Ok(bytes)
}

/// The place of a file that is to be written: nothing, or a file of the same user, is there.
#[derive(Debug)]
pub struct NewFile {
    folder: Dir,
    name: OsString,
    path: PathBuf,
}

impl NewFile {
    /// Finds the place of a file, in a folder in which others cannot change it; `what` it is stands in
    /// the error. Writes nothing.
    ///
    /// # Errors
    /// Refused if others could change it there, or if something else is there already: the file of
    /// another user, a symlink, a pipe, a folder; fails if the folder cannot be opened.
    pub fn at(path: &Path, what: &str) -> Result<Self> {
        let named = escape::display(path.as_os_str().as_bytes());
        let full = absolute(path)?;
        let (Some(above), Some(name)) = (full.parent(), full.file_name()) else {
            return Err(Error::refused(format!("{named} names no file")).hint("name a file"));
        };
        let (folder, _) = open_shared_folder(above, &format!("the folder of {what},"))?;
        let place = Self {
            folder,
            name: name.to_owned(),
            path: path.to_owned(),
        };
        place.check_is_free()?;
        Ok(place)
    }

    /// Whether there is a file of the same user, which may be replaced.
    fn check_is_free(&self) -> Result<bool> {
        let named = self.path.as_os_str().as_bytes();
        let there = self.folder.look(&self.name);
        let there = there.map_err(|error| Error::io("look at", named, error))?;
        let Some(stat) = there else { return Ok(false) };
        let own = stat.uid == geteuid().as_raw();
        let what = match stat.kind {
            Kind::File if own => return Ok(true),
            Kind::File => format!("belongs to {}", name_user(stat.uid)),
            Kind::Symlink => "is a symlink".to_owned(),
            Kind::Folder => "is a folder".to_owned(),
            _ => "is no regular file".to_owned(),
        };
        let named = escape::display(named);
        Err(
            Error::refused(format!("{named} is there and {what}: it is left as it is"))
                .coded(FailureCode::InTheWay)
                .hint("name another file, in a folder of your own"),
        )
    }

    /// Writes the file for its owner alone: under a name that nothing has, and then by a rename.
    ///
    /// # Errors
    /// Refused if something else came there meanwhile; fails if it cannot be written.
    pub fn write(self, content: &[u8]) -> Result<()> {
        let path = self.path.as_os_str().as_bytes();
        let io = |error: std::io::Error| Error::io("write", path, error);
        let (beside, mut file) = self.make_beside().map_err(|error| io(error.into()))?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        let written = written.map_err(io).and_then(|()| {
            let renamed = if self.check_is_free()? {
                self.folder.rename_over(&beside, &self.name)
            } else {
                self.folder.rename_new(&beside, &self.folder, &self.name)
            };
            renamed.map_err(|error| io(error.into()))
        });
        if written.is_err() {
            let _ = self.folder.remove_file(&beside);
        }
        written?;
        self.folder.sync().map_err(|error| io(error.into()))
    }

    /// A new file under a name of its own.
    fn make_beside(&self) -> std::result::Result<(OsString, File), Errno> {
        let mut number = 0_u32;
        loop {
            let mut name = OsString::from(".");
            name.push(&self.name);
            name.push(format!(".{}-{number}", std::process::id()));
            match self.folder.new_file(&name, 0o600) {
                Err(Errno::EXIST) if number < 1000 => number += 1,
                made => return Ok((name, made?)),
            }
        }
    }
}

/// Opens a folder that is trusted, and to which nobody else may write.
///
/// # Errors
/// As [`open_file`], for a folder. What is not there is [`FailureCode::NotFound`].
pub fn open_folder(path: &Path, what: &str) -> Result<Dir> {
    let found = resolve_folder(path, what, End::Own)?;
    found
        .folder()
        .map_err(|error| Error::io("open", path.as_os_str().as_bytes(), error))
}

/// Opens a folder in which things of one's own are safe: one that is trusted, or shared as `/tmp` is; and
/// whether others may write to it.
///
/// # Errors
/// As [`open_folder`].
pub fn open_shared_folder(path: &Path, what: &str) -> Result<(Dir, bool)> {
    let found = resolve_folder(path, what, End::Shared)?;
    let shared = found.stat.mode & WRITE_OF_OTHERS != 0;
    let opened = found.folder();
    let opened = opened.map_err(|error| Error::io("open", path.as_os_str().as_bytes(), error));
    Ok((opened?, shared))
}

fn resolve_folder(path: &Path, what: &str, end: End) -> Result<Resolved> {
    let named = path.as_os_str().as_bytes();
    let (distrust, found) = walk(&absolute(path)?, end);
    if let Some(distrust) = distrust {
        return Err(distrust.refuse(&format!("{what} {}", escape::display(named))));
    }
    found.map_err(|error| Error::io("open", named, error))
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
    Ok(distrust_of(&faults))
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

/// Whether a folder belongs to the user who runs this and is for that user alone, as one that was made
/// for secrets is.
#[must_use]
pub fn is_private(stat: &Stat) -> bool {
    stat.kind == Kind::Folder && stat.uid == geteuid().as_raw() && stat.mode & 0o077 == 0
}

/// Follows a path and judges all that has a say in where it leads.
fn walk(path: &Path, end: End) -> (Option<Distrust>, std::result::Result<Resolved, Errno>) {
    let mut seen: Vec<(Vec<u8>, Stat)> = Vec::new();
    let found = resolve_seeing(path, &mut |path, stat| {
        if !seen.iter().any(|(before, _)| before == path) {
            seen.push((path.to_owned(), *stat));
        }
    });
    let mut faults = Vec::new();
    for (path, stat) in &seen {
        let is_end = found
            .as_ref()
            .is_ok_and(|found| found.stat.same_inode(stat));
        let allowed = if is_end { end } else { End::Shared };
        // A path below what is not trusted may lead elsewhere by now; it is refused anyhow.
        let acl = || has_acl(lgetxattr(OsStr::from_bytes(path), ACL, &mut [0_u8; 0]));
        judge(path, stat, allowed, &acl, &mut faults);
    }
    (distrust_of(&faults), found)
}

/// Adds what others may do to what stands at a path; `has_acl` says whether its group's bits are the mask
/// of an access control list.
fn judge(
    path: &[u8],
    stat: &Stat,
    allowed: End,
    has_acl: &dyn Fn() -> bool,
    faults: &mut Vec<Fault>,
) {
    let shown = escape::display(path);
    let word = shell::word(path);
    let is_folder = stat.kind == Kind::Folder;
    if !is_trusted_owner(stat.uid) {
        let follow = if stat.kind == Kind::Symlink {
            "-h "
        } else {
            ""
        };
        faults.push(Fault {
            because: format!("{shown} belongs to {}", name_user(stat.uid)),
            command: format!("chown {follow}{} {word}", own_name()),
            is_of_another: is_folder,
        });
    }
    // The bits of a symlink mean nothing.
    let others = stat.mode & WRITE_OF_OTHERS;
    let is_shared = allowed == End::Shared && is_folder && stat.mode & STICKY != 0;
    if stat.kind == Kind::Symlink || others == 0 || is_shared {
        return;
    }
    if others & 0o002 == 0 && is_of_trusted_alone(stat.gid, stat.uid) && !has_acl() {
        return;
    }
    let who = if others & 0o002 != 0 {
        "everybody".to_owned()
    } else {
        format!("its group {}", name_group(stat.gid))
    };
    faults.push(Fault {
        because: format!("{shown} can be written by {who}"),
        command: format!("chmod go-w {word}"),
        is_of_another: false,
    });
}

/// The attribute that holds an access control list (acl(5)).
const ACL: &str = "system.posix_acl_access";

/// Whether there is an access control list, by what a look at its size came to.
fn has_acl(size: std::result::Result<usize, Errno>) -> bool {
    !matches!(size, Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS))
}

/// Whether nobody but trusted users is in a group, to which something of this owner belongs.
fn is_of_trusted_alone(gid: u32, owner: u32) -> bool {
    let Ok(group) = Group::from_gid(Gid::from_raw(gid)) else {
        return false;
    };
    let (name, members) = match group {
        Some(group) => (Some(group.name), group.mem),
        // A user without an account, as in containers, has a group without one.
        None => (None, Vec::new()),
    };
    std::fs::read_to_string("/etc/passwd")
        .is_ok_and(|accounts| is_alone(name.as_deref(), gid, &members, owner, &accounts))
}

/// The same, by the accounts of this machine, as passwd(5) has them. Others may come from a directory
/// service that does not list them, so a group must be the owner's by its name, or one of those that only
/// systems give out (numbers below 100).
fn is_alone(name: Option<&str>, gid: u32, members: &[String], owner: u32, accounts: &str) -> bool {
    const OF_SYSTEM: u32 = 100;
    let accounts: Vec<(&str, u32, u32)> = accounts.lines().filter_map(parse_account).collect();
    let is_trusted = |member: &String| {
        let mut same = accounts.iter().filter(|(name, ..)| name == member);
        same.next()
            .is_some_and(|(_, uid, _)| is_trusted_owner(*uid))
    };
    let is_others =
        |(_, uid, primary): &(&str, u32, u32)| *primary == gid && !is_trusted_owner(*uid);
    let is_private = match name {
        Some(name) => accounts.contains(&(name, owner, gid)) || gid < OF_SYSTEM,
        None => gid == owner && accounts.iter().all(|(_, uid, _)| *uid != owner),
    };
    is_private && members.iter().all(is_trusted) && !accounts.iter().any(is_others)
}

/// Name, number and group of an account.
fn parse_account(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let mut numbers = fields.skip(1);
    Some((
        name,
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
    ))
}

fn distrust_of(faults: &[Fault]) -> Option<Distrust> {
    const MOST: usize = 5;
    if faults.is_empty() {
        return None;
    }
    let first = || faults.iter().take(MOST);
    let mut because: Vec<&str> = first().map(|fault| &*fault.because).collect();
    let more = faults.len().saturating_sub(MOST);
    let and_more = format!("and {more} more like it");
    if more > 0 {
        because.push(&and_more);
    }
    let commands: Vec<&str> = first().map(|fault| &*fault.command).collect();
    let elsewhere = if faults.iter().any(|fault| fault.is_of_another) {
        format!("; or keep it where only root writes, as in {OF_ROOT}")
    } else {
        String::new()
    };
    Some(Distrust {
        because: because.join(", "),
        hint: format!("`{}`{elsewhere}", commands.join(" && ")),
    })
}

/// Whether a path stands for a file that whoever calls this has opened already.
fn is_of_caller(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let number = |prefix: &[u8]| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
    };
    path == b"/dev/stdin" || number(b"/dev/fd/") || number(b"/proc/self/fd/")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::io("look at", path.as_os_str().as_bytes(), error))
}

/// The user who is to own it, as a command names one.
fn own_name() -> String {
    let uid = geteuid().as_raw();
    user_name(uid).map_or_else(|| uid.to_string(), |name| name.to_string())
}

fn name_user(uid: u32) -> String {
    match user_name(uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

fn name_group(gid: u32) -> String {
    match group_name(gid) {
        Some(name) => format!("{name} (gid {gid})"),
        None => format!("gid {gid}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn because(path: &Path) -> Option<String> {
        find_distrust(path).unwrap().map(|found| found.because)
    }

    /// A folder two levels above a file.
    fn nest() -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "x").unwrap();
        for path in ["a", "a/b", "a/b/file"] {
            set_mode(&root.join(path), 0o755);
        }
        (temporary, root)
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
    fn a_group_in_which_there_is_nobody_else_is_nobody_else() {
        let own = geteuid().as_raw();
        let accounts = format!(
            "root:x:0:0::/root:/bin/sh\nann:x:{own}:1000::/home/ann:/bin/sh\n\
             bob:x:4000000:1001::/home/bob:/bin/sh\n"
        );
        let alone = |name: &str, gid: u32, members: &[&str], accounts: &str| {
            let members: Vec<String> = members.iter().map(|one| (*one).to_owned()).collect();
            is_alone(Some(name), gid, &members, own, accounts)
        };
        assert!(alone("ann", 1000, &[], &accounts));
        assert!(alone("ann", 1000, &["root", "ann"], &accounts));
        assert!(alone("staff", 50, &[], &accounts));
        assert!(!alone("ann", 1000, &["bob"], &accounts));
        assert!(!alone("ann", 1000, &["who"], &accounts));
        assert!(!alone("staff", 50, &["bob"], &accounts));
        // Shared by its name, though nobody else is seen here.
        assert!(!alone("users", 1000, &[], &accounts));
        assert!(!alone("staff", 500, &[], &accounts));
        let more = format!("{accounts}eve:x:4000001:1000::/home/eve:/bin/sh\n");
        assert!(!alone("ann", 1000, &[], &more));
        assert!(!is_of_trusted_alone(4_000_123, own), "no such group");
        assert!(is_alone(None, 4_000_123, &[], 4_000_123, &accounts));
        assert!(!is_alone(None, 4_000_000, &[], 4_000_000, &accounts));
        assert!(has_acl(Ok(44)) && has_acl(Err(Errno::ACCESS)) && !has_acl(Err(Errno::NODATA)));
    }

    #[test]
    fn a_shared_folder_is_no_folder_of_ones_own() {
        let (_keep, root) = nest();
        set_mode(&root.join("a"), 0o1777);
        assert!(open_folder(&root.join("a"), "the folder").is_err());
        assert!(open_shared_folder(&root.join("a"), "the folder").unwrap().1);
        assert!(
            !open_shared_folder(&root.join("a/b"), "the folder")
                .unwrap()
                .1
        );
        set_mode(&root.join("a"), 0o777);
        assert!(open_shared_folder(&root.join("a"), "the folder").is_err());
    }

    #[test]
    fn a_new_file_is_its_owners_and_takes_the_place_of_no_other_thing() {
        let (_keep, root) = nest();
        let path = root.join("a/plan");
        NewFile::at(&path, "the plan").unwrap().write(b"1").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        set_mode(&path, 0o666);
        NewFile::at(&path, "the plan").unwrap().write(b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(root.join("a")).unwrap().count(),
            2,
            "b and plan"
        );

        symlink(root.join("a/b/file"), root.join("a/link")).unwrap();
        for (name, what) in [("a/link", "is a symlink"), ("a/b", "is a folder")] {
            let error = NewFile::at(&root.join(name), "the plan").unwrap_err();
            assert!(error.message.contains(what), "{}", error.message);
        }
        assert_eq!(fs::read(root.join("a/b/file")).unwrap(), b"x");
        // What comes between a look and the rename.
        let place = NewFile::at(&root.join("a/late"), "the plan").unwrap();
        symlink(root.join("a/b/file"), root.join("a/late")).unwrap();
        place.write(b"3").unwrap_err();
        assert_eq!(fs::read(root.join("a/b/file")).unwrap(), b"x");
        set_mode(&root.join("a"), 0o777);
        NewFile::at(&path, "the plan").unwrap_err();
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
        assert!(below(3, &|_| false).is_some());
        assert_eq!(below(2, &|_| false), None);
        assert_eq!(below(3, &|name| name == "a"), None);
    }
}

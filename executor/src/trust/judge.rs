//! What others may do to one thing on a way.

use nix::unistd::geteuid;
use rustix::io::Errno;
use schema::{escape, shell};

use super::{accounts::is_of_trusted_alone, distrust::Fault};
use crate::sys::{
    Kind, Stat,
    owners::{group_name, is_trusted_owner, user_name},
};

/// What may be written to by others: the bits of the group and of everybody.
pub(super) const WRITE_OF_OTHERS: u32 = 0o022;
/// The bit of a folder in which only owners rename and remove.
const STICKY: u32 = 0o1000;
/// The attribute that holds an access control list (acl(5)).
pub(super) const ACL: &str = "system.posix_acl_access";

/// How a path ends for it to be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody else may write to it.
    Own,
    /// It may also be a folder that is shared as `/tmp` is.
    Shared,
    /// The same, and folders on the way may be those of this user, for whom something is written there.
    ForUser(u32),
}

/// Adds what others may do to what stands at a path; `has_acl` says whether its group's bits are the mask
/// of an access control list.
pub(super) fn judge(
    path: &[u8],
    stat: &Stat,
    allowed: End,
    has_acl: &dyn Fn() -> bool,
    faults: &mut Vec<Fault>,
) {
    let shown = escape::display(path);
    let word = shell::word(path);
    let is_folder = stat.kind == Kind::Folder;
    // A symlink of the user could lead elsewhere.
    let is_users = allowed == End::ForUser(stat.uid) && is_folder;
    if !is_trusted_owner(stat.uid) && !is_users {
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
    let is_shared = allowed != End::Own && is_folder && stat.mode & STICKY != 0;
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

/// Whether there is an access control list, by what a look at its size came to.
pub(super) fn has_acl(size: Result<usize, Errno>) -> bool {
    !matches!(size, Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS))
}

/// The user who is to own it, as a command names one.
pub(super) fn own_name() -> String {
    let uid = geteuid().as_raw();
    user_name(uid).map_or_else(|| uid.to_string(), |name| name.to_string())
}

/// A user by name and number.
pub(super) fn name_user(uid: u32) -> String {
    match user_name(uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// A group by name and number.
fn name_group(gid: u32) -> String {
    match group_name(gid) {
        Some(name) => format!("{name} (gid {gid})"),
        None => format!("gid {gid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_say_that_it_has_no_access_control_list_may_have_one() {
        assert!(has_acl(Ok(44)) && has_acl(Err(Errno::ACCESS)) && !has_acl(Err(Errno::NODATA)));
    }
}

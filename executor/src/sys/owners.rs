//! Names of users and groups, and their numbers on this machine.
//!
//! Asked of the system's databases, which may be far away, once for each name and number and thread.

use std::{
    cell::RefCell,
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, LazyLock},
};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

/// The numbers of the user and the group that this process makes entries as: it never changes them.
pub(crate) static OURS: LazyLock<(u32, u32)> =
    LazyLock::new(|| (geteuid().as_raw(), getegid().as_raw()));

/// Names of an entry's user and group; none where a number has no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Name of the user.
    pub user: Option<Arc<str>>,
    /// Name of the group.
    pub group: Option<Arc<str>>,
}

#[derive(Default)]
struct Known {
    users: HashMap<u32, Option<Arc<str>>>,
    groups: HashMap<u32, Option<Arc<str>>>,
    user_numbers: HashMap<Arc<str>, Option<u32>>,
    group_numbers: HashMap<Arc<str>, Option<u32>>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Owners {
    /// The names that these numbers have here.
    #[must_use]
    pub fn of(uid: u32, gid: u32) -> Self {
        Self {
            user: user_name(uid),
            group: group_name(gid),
        }
    }
}

/// The name of the user of a number; none if there is no such user.
#[must_use]
pub fn user_name(uid: u32) -> Option<Arc<str>> {
    let ask = || User::from_uid(Uid::from_raw(uid)).ok().flatten();
    KNOWN.with_borrow_mut(|known| {
        let name = known.users.entry(uid);
        name.or_insert_with(|| ask().map(|user| user.name.into()))
            .clone()
    })
}

/// Who answers for what a user's files cost: the user himself, or none for all numbers without a name
/// here, of which subuid(5) gives tens of thousands to each user.
#[must_use]
pub fn accountable(uid: u32) -> Option<u32> {
    user_name(uid).map(|_| uid)
}

/// The name of the group of a number; none if there is no such group.
#[must_use]
pub fn group_name(gid: u32) -> Option<Arc<str>> {
    let ask = || Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    KNOWN.with_borrow_mut(|known| {
        let name = known.groups.entry(gid);
        name.or_insert_with(|| ask().map(|group| group.name.into()))
            .clone()
    })
}

/// The number of the user of a name; none if there is no such user.
#[must_use]
pub fn user_number(name: &Arc<str>) -> Option<u32> {
    let ask = || User::from_name(name).ok().flatten();
    KNOWN.with_borrow_mut(|known| {
        let number = known.user_numbers.entry(Arc::clone(name));
        *number.or_insert_with(|| ask().map(|user| user.uid.as_raw()))
    })
}

/// The number of the group of a name; none if there is no such group.
#[must_use]
pub fn group_number(name: &Arc<str>) -> Option<u32> {
    let ask = || Group::from_name(name).ok().flatten();
    KNOWN.with_borrow_mut(|known| {
        let number = known.group_numbers.entry(Arc::clone(name));
        *number.or_insert_with(|| ask().map(|group| group.gid.as_raw()))
    })
}

/// Whether what belongs to a user is under no other rule than that of root and of the user who runs
/// this.
#[must_use]
pub fn is_trusted_owner(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw() || *ROOT_OUTSIDE == Some(uid)
}

/// The number under which the root of the machine appears in a user namespace that does not have it
/// (user_namespaces(7)), as where a system is built in a sandbox: that of whoever owns `/`, if it is the
/// one that stands for all who have no number here.
static ROOT_OUTSIDE: LazyLock<Option<u32>> = LazyLock::new(|| {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let mut first = map.lines().next()?.split_ascii_whitespace();
    let has_all = ["0", "0", "4294967295"];
    if has_all.iter().all(|one| first.next() == Some(one)) {
        return None;
    }
    let nobody = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?;
    let nobody = nobody.trim().parse().ok()?;
    (std::fs::metadata("/").ok()?.uid() == nobody).then_some(nobody)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_a_number_that_nobody_has_has_none() {
        let root = Owners::of(0, 0);
        let name = root.user.unwrap();
        assert_eq!(user_number(&name), Some(0));
        assert_eq!(group_number(&root.group.unwrap()), Some(0));
        let nobody = 4_000_000_123;
        assert_eq!(Owners::of(nobody, nobody), Owners::default());
        let unknown: Arc<str> = "nobody has this name".into();
        assert_eq!(user_number(&unknown), None);
        assert_eq!(group_number(&unknown), None);
    }
}

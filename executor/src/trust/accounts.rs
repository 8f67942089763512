//! Whether there is anybody else in a group, by the accounts of this machine.

use nix::unistd::{Gid, Group};

use crate::sys::owners::is_trusted_owner;

/// Whether nobody but trusted users is in a group, to which something of this owner belongs.
pub(super) fn is_of_trusted_alone(gid: u32, owner: u32) -> bool {
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

#[cfg(test)]
mod tests {
    use nix::unistd::geteuid;

    use super::*;

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
    }
}

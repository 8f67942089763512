//! Extended attributes, access control lists and file capabilities among them.
//!
//! POSIX ACLs are the attributes `system.posix_acl_access` and `system.posix_acl_default`, file
//! capabilities `security.capability` (xattr(7)).
//!
//! XFS shows root each list a second time, as `trusted.SGI_ACL_FILE` and `trusted.SGI_ACL_DEFAULT`.
//! These are passed over: on another file system they would be attributes that mean nothing.

use std::{ffi::OsStr, os::fd::AsFd};

use rustix::{
    fs::{
        XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr,
        lsetxattr,
    },
    io::Errno,
};

use super::Dir;

/// Attribute names with their values, in byte order of the names.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Bytes of attributes of one entry that are read; XFS takes thousands of 64 KiB each from anybody.
pub const MOST_BYTES: usize = 16 << 20;

/// The attributes of an open file or folder; none where the file system has no attributes.
///
/// # Errors
/// Fails if the attributes cannot be read; `E2BIG` if their names do not fit into a list (64 KiB), or
/// all of them not into [`MOST_BYTES`].
pub fn of_fd(fd: impl AsFd) -> Result<Attributes, Errno> {
    of_fd_but(fd, &[])
}

/// The same but for some names, whose values are not asked for: a server may be far away.
///
/// # Errors
/// As [`of_fd`].
pub fn of_fd_but(fd: impl AsFd, names: &[&[u8]]) -> Result<Attributes, Errno> {
    collect_attributes(
        |buffer| flistxattr(&fd, buffer),
        |name, buffer| match names.contains(&name) {
            true => Err(Errno::NODATA),
            false => fgetxattr(&fd, name, buffer),
        },
    )
}

/// The attributes of an entry that cannot be opened, such as a symlink or a FIFO.
///
/// # Errors
/// As [`of_fd`].
pub fn of_entry(dir: &Dir, name: &OsStr) -> Result<Attributes, Errno> {
    let path = dir.proc_path(name);
    collect_attributes(
        |buffer| llistxattr(path.as_slice(), buffer),
        |name, buffer| lgetxattr(path.as_slice(), name, buffer),
    )
}

/// Sets one attribute of an open file or folder.
///
/// # Errors
/// Fails if the file system does not take the attribute.
pub fn set_fd(fd: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    fsetxattr(fd, name, value, XattrFlags::empty())
}

/// Takes away the attributes that an interrupted run, or the folder above, gave to a folder. A
/// default access control list would be passed on to everything that is made in it. Says whether there
/// were any.
pub fn clear_attributes(fd: impl AsFd) -> bool {
    let mut any = false;
    for (name, _) in of_fd(&fd).unwrap_or_default() {
        let given = [&b"user."[..], b"trusted.", b"system.posix_acl_"]
            .iter()
            .any(|space| name.starts_with(space));
        if given {
            // What cannot be taken away is as the destination wants it.
            let _ = fremovexattr(&fd, name.as_slice());
            any = true;
        }
    }
    any
}

/// Sets one attribute of an entry that cannot be opened.
///
/// # Errors
/// Fails if the file system does not take the attribute.
pub fn set_entry(dir: &Dir, entry: &OsStr, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    lsetxattr(
        dir.proc_path(entry).as_slice(),
        name,
        value,
        XattrFlags::empty(),
    )
}

fn collect_attributes(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Attributes, Errno> {
    // Most entries have none, which one call with room for a few names tells.
    let mut names = vec![0; 1024];
    let length = loop {
        match list(&mut names) {
            Ok(length) => break length,
            Err(Errno::RANGE) => names.resize(names.len() * 4, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    };
    let mut attributes = Attributes::new();
    let mut bytes = 0;
    let mut value = vec![0; 4096];
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() || name.starts_with(b"trusted.SGI_ACL_") {
            continue;
        }
        loop {
            match get(name, &mut value) {
                Ok(length) => {
                    bytes += name.len() + length;
                    if bytes > MOST_BYTES {
                        return Err(Errno::TOOBIG);
                    }
                    attributes.push((name.to_vec(), value[..length].to_vec()));
                    break;
                }
                Err(Errno::RANGE) if value.len() < 1 << 20 => value.resize(value.len() * 4, 0),
                // Gone since the list was made.
                Err(Errno::NODATA) => break,
                Err(error) => return Err(error),
            }
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(count: usize, length: usize) -> Result<Attributes, Errno> {
        let names: Vec<u8> = (0..count)
            .flat_map(|number| format!("user.{number:04}\0").into_bytes())
            .collect();
        let list = |buffer: &mut [u8]| match buffer.get_mut(..names.len()) {
            Some(room) => {
                room.copy_from_slice(&names);
                Ok(names.len())
            }
            None => Err(Errno::RANGE),
        };
        let get = |name: &[u8], buffer: &mut [u8]| match buffer.get_mut(..length) {
            Some(room) => {
                room.fill(name[name.len() - 1]);
                Ok(length)
            }
            None => Err(Errno::RANGE),
        };
        collect_attributes(list, get)
    }

    #[test]
    fn many_large_attributes_are_read_and_more_than_that_are_an_error() {
        let all = collect(200, 64 << 10).unwrap();
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|(name, value)| {
            value.len() == 64 << 10 && value.iter().all(|byte| *byte == name[name.len() - 1])
        }));
        assert_eq!(collect(300, 64 << 10).unwrap_err(), Errno::TOOBIG);
    }
}

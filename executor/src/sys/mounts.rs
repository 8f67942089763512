//! Says what is mounted where: `/proc/self/mountinfo`, as proc_pid_mountinfo(5) describes it.
//!
//! Parsed here and not by a crate, which would refuse the whole table for one line that it does not
//! understand, or for a mount point that is no UTF-8: such a line is passed over, and ends no backup.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::ffi::OsStringExt as _,
    },
};

use schema::{StoredPathBuf, path::rest_below};

use super::Stat;

/// Types of file systems that keep what people store on a device of this machine.
const ON_DEVICES: [&str; 22] = [
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfs",
    "hfsplus", "jfs", "msdos", "nilfs2", "ntfs", "ntfs3", "reiser4", "reiserfs", "ufs", "vfat",
    "xfs", "zfs",
];
/// Types that the kernel itself answers for, and that hold nothing of anybody's.
const OF_THE_KERNEL: [&str; 30] = [
    "aufs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "ecryptfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "udf",
];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's number of the mount.
    pub id: u64,
    /// The mount that it is in.
    pub parent: u64,
    /// Device number of the file system, `major:minor`.
    pub device: String,
    /// The folder of that file system that is mounted.
    pub root: Vec<u8>,
    /// Where it is mounted.
    pub mount_point: Vec<u8>,
    /// Whether the mount or its file system is read-only.
    pub read_only: bool,
    /// The file system's type.
    pub file_system: String,
    /// What is mounted, usually a device node.
    pub source: Vec<u8>,
}

impl Mount {
    /// Whether it holds data that this machine keeps on a device of its own: a file system on a
    /// disk, and not one of the network, in memory or of the kernel's.
    #[must_use]
    pub fn holds_data(&self) -> bool {
        let own_device = self.file_system.starts_with("fuse") && self.source.starts_with(b"/dev/");
        own_device || ON_DEVICES.contains(&self.file_system.as_str())
    }

    /// Whether looking at it may take for ever: someone else than the kernel answers for it, a
    /// server or a program. A type that is not known counts as such.
    #[must_use]
    pub fn may_fall_silent(&self) -> bool {
        let name = self.file_system.as_str();
        name.starts_with("fuse.")
            || name == "fuseblk"
            || !(ON_DEVICES.contains(&name) || OF_THE_KERNEL.contains(&name) || name == "tracefs")
    }

    /// Whether what is written there is still there once the machine was turned off, as far as the type
    /// tells.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self.file_system.as_str(), "ramfs" | "tmpfs")
    }

    /// Whether the kernel itself answers for it and nobody can keep anything there.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        let keeps = ["ecryptfs", "overlay", "ramfs", "tmpfs"];
        let name = self.file_system.as_str();
        OF_THE_KERNEL.contains(&name) && !keeps.contains(&name)
    }

    /// Whether each answer comes from elsewhere: from a server, or from a program that may ask one.
    #[must_use]
    pub fn is_distant(&self) -> bool {
        self.may_fall_silent() && !self.holds_data()
    }
}

/// The mounts that are met below a folder, by their path relative to it.
#[derive(Debug, Default)]
pub struct Below {
    /// Those that show something else than the folder itself has there.
    pub others: HashMap<StoredPathBuf, Mount>,
    /// Numbers of those that only show the same again, bound onto itself.
    pub same: HashSet<u64>,
}

/// The mounts that are met below a folder, of which the kernel says that this is its path.
#[must_use]
pub fn mounts_below(all: &[Mount], folder: &[u8]) -> Below {
    let mut found = Below::default();
    for mount in visible_mounts(all) {
        let Some(path) = rest_below(&mount.mount_point, folder).filter(|path| !path.is_empty())
        else {
            continue;
        };
        if is_other(all, mount) {
            found.others.insert(path.into(), mount.clone());
        } else {
            found.same.insert(mount.id);
        }
    }
    found
}

/// The mounts that no other hides, those above first.
fn visible_mounts(all: &[Mount]) -> Vec<&Mount> {
    let mut order: Vec<&Mount> = all.iter().collect();
    order.sort_by_key(|mount| mount.mount_point.len());
    let mut top: HashMap<&[u8], u64> = HashMap::new();
    let mut found: Vec<&Mount> = Vec::new();
    for mount in order {
        let path = mount.mount_point.as_slice();
        let mut above = parent_paths(path).filter_map(|folder| top.get(folder));
        let within = above.next().copied();
        let here = top.get(path).copied();
        if within.is_none() || within == Some(mount.parent) || here == Some(mount.parent) {
            // What is mounted over another takes its place.
            if here.is_some() {
                found.retain(|other| other.mount_point != mount.mount_point);
            }
            top.insert(path, mount.id);
            found.push(mount);
        }
    }
    found
}

/// The folders above an absolute path, the nearest first.
fn parent_paths(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = (0..path.len()).rev().filter(|at| path[*at] == b'/');
    ends.map(|end| &path[..end.max(1)])
        .filter(move |folder| *folder != path)
}

/// The places where something is mounted that may never answer.
#[must_use]
pub fn that_may_fall_silent() -> HashSet<Vec<u8>> {
    let all = all_mounts().unwrap_or_default();
    // Nearly always none, and then nothing need be sorted out.
    if !all.iter().any(Mount::may_fall_silent) {
        return HashSet::new();
    }
    let silent = visible_mounts(&all)
        .into_iter()
        .filter(|mount| mount.may_fall_silent());
    silent.map(|mount| mount.mount_point.clone()).collect()
}

/// All mounts that this process sees.
///
/// # Errors
/// Fails if the table of mounts cannot be read.
pub fn all_mounts() -> std::io::Result<Vec<Mount>> {
    Ok(parse_mountinfo(&std::fs::read("/proc/self/mountinfo")?))
}

/// The mounts that this process sees and that no other hides, those above first.
///
/// # Errors
/// Fails if the table of mounts cannot be read.
pub fn seen_mounts() -> std::io::Result<Vec<Mount>> {
    let all = all_mounts()?;
    Ok(visible_mounts(&all).into_iter().cloned().collect())
}

/// The mount that an entry was reached through.
#[must_use]
pub fn mount_of<'a>(mounts: &'a [Mount], stat: &Stat) -> Option<&'a Mount> {
    mounts.iter().find(|mount| mount.id == stat.mount)
}

/// Where that is mounted which an open file is on; asks the kernel alone.
#[must_use]
pub(crate) fn mount_point_of(file: BorrowedFd<'_>) -> Option<OsString> {
    let about = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
    let about = std::fs::read_to_string(about).ok()?;
    let id = about.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let id: u64 = id?.trim().parse().ok()?;
    let found = all_mounts().ok()?.into_iter().find(|mount| mount.id == id);
    found.map(|mount| OsString::from_vec(mount.mount_point))
}

/// Whether something is mounted at the folder that was looked at.
///
/// A folder bound onto itself does not count: that is how a sandbox makes one folder of a read-only
/// system writable (`ReadWritePaths` of systemd.exec(5)), and it is still the folder below.
#[must_use]
pub fn is_mounted(stat: &Stat) -> bool {
    stat.mount_root
        && all_mounts()
            .is_ok_and(|all| mount_of(&all, stat).is_none_or(|mount| is_other(&all, mount)))
}

/// Whether a mount shows something else than what lies below it.
fn is_other(all: &[Mount], mount: &Mount) -> bool {
    let Some(parent) = all
        .iter()
        .find(|one| one.id == mount.parent && one.id != mount.id)
    else {
        return true;
    };
    let below = rest_below(&mount.mount_point, &parent.mount_point);
    let same = below.is_some_and(|below| {
        parent.device == mount.device
            && rest_below(&mount.root, &parent.root).is_some_and(|root| root == below)
    });
    if !same {
        return true;
    }
    // Bound onto itself where something else was mounted already.
    parent.mount_point == mount.mount_point && is_other(all, parent)
}

fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n')
        .filter_map(parse_mount)
        .collect()
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
    let id = text()?.parse().ok()?;
    let parent = text()?.parse().ok()?;
    let device = text()?;
    let root = unescape_octal(fields.next()?);
    let mount_point = unescape_octal(fields.next()?);
    let options = fields.next()?;
    // Optional fields end with a lone hyphen.
    fields.find(|field| *field == b"-")?;
    let file_system = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = unescape_octal(fields.next()?);
    let super_options = fields.next().unwrap_or_default();
    let has_ro = |options: &[u8]| options.split(|byte| *byte == b',').any(|o| o == b"ro");
    Some(Mount {
        id,
        parent,
        device,
        root,
        mount_point,
        read_only: has_ro(options) || has_ro(super_options),
        file_system,
        source,
    })
}

/// Undoes the kernel's octal escapes of blank, tab, newline and backslash.
fn unescape_octal(field: &[u8]) -> Vec<u8> {
    schema::escape::unescape(field).unwrap_or_else(|| field.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read() {
        let text = b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - ext3 /dev/root ro,errors=continue\nbroken\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].mount_point, b"/mnt two");
        assert_eq!(mounts[0].root, b"/mnt1");
        assert_eq!(mounts[0].file_system, "ext3");
        assert!(mounts[0].read_only);
    }

    #[test]
    fn a_folder_bound_onto_itself_is_not_a_mount() {
        let table = b"\
1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
2 1 8:1 /mnt/backup /mnt/backup rw - ext4 /dev/sda1 rw\n\
3 1 8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw\n\
4 3 8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw\n\
5 1 8:1 /srv/other /mnt/bound rw - ext4 /dev/sda1 rw\n\
6 3 8:17 /a /mnt/disk/a rw - ext4 /dev/sdb1 rw\n";
        let all = parse_mountinfo(table);
        let other = all.iter().map(|mount| (mount.id, is_other(&all, mount)));
        assert_eq!(
            other.collect::<Vec<_>>(),
            [
                (1, true),
                (2, false),
                (3, true),
                (4, true),
                (5, true),
                (6, false)
            ]
        );
    }

    #[test]
    fn what_is_mounted_below_a_folder_and_not_hidden_is_found_by_its_path() {
        let table = b"\
1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
2 1 0:40 / /home/ann/Cloud rw - fuse.sshfs ann@nas: rw\n\
3 1 8:17 / /home rw - xfs /dev/sdb1 rw\n\
4 3 0:41 / /home/bob/far rw - nfs4 nas:/x rw\n\
5 3 8:17 /keep /home/keep rw - xfs /dev/sdb1 rw\n\
6 4 0:42 / /home/bob/far/in rw - tmpfs none rw\n\
7 3 0:43 / /home/two rw - tmpfs none rw\n\
8 7 8:33 / /home/two rw - ext4 /dev/sdc1 rw\n\
9 1 0:44 / /homes/x rw - tmpfs none rw\n";
        let all = parse_mountinfo(table);
        let found = mounts_below(&all, b"/home");
        let mut others: Vec<_> = found.others.iter().collect();
        others.sort_by_key(|(path, _)| (*path).clone());
        let others: Vec<_> = others
            .into_iter()
            .map(|(path, mount)| (path.as_bytes(), mount.id))
            .collect();
        // The first is hidden by what was mounted on /home later.
        let expected: [(&[u8], u64); 3] = [(b"bob/far", 4), (b"bob/far/in", 6), (b"two", 8)];
        assert_eq!(others, expected);
        assert_eq!(found.same, HashSet::from([5]));
        assert_eq!(mounts_below(&all, b"/").others.len(), 5);
    }

    #[test]
    fn what_kind_of_file_system_it_is_says_whether_it_holds_data_or_may_fall_silent() {
        for (kind, source, data, silent) in [
            ("ext4", "/dev/sda1", true, false),
            ("zfs", "tank/home", true, false),
            ("fuseblk", "/dev/sdb1", true, true),
            ("fuse.sshfs", "ann@nas:", false, true),
            ("fuse", "rclone", false, true),
            ("nfs4", "nas:/x", false, true),
            ("unheard-of", "x", false, true),
            ("tmpfs", "none", false, false),
            ("fusectl", "none", false, false),
            ("overlay", "overlay", false, false),
            ("squashfs", "/dev/loop0", false, false),
        ] {
            let line = format!("2 1 0:40 / /x rw - {kind} {source} rw");
            let mount = &parse_mountinfo(line.as_bytes())[0];
            assert_eq!(
                (mount.holds_data(), mount.may_fall_silent()),
                (data, silent),
                "{kind}"
            );
            // An answer of a disk that a program reads is near all the same.
            assert_eq!(mount.is_distant(), silent && !data, "{kind}");
        }
    }

    #[test]
    fn an_open_file_is_on_the_mount_that_its_stat_says() {
        use std::os::fd::AsFd as _;
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let found = mount_point_of(file.as_fd()).unwrap();
        assert!(std::path::Path::new("/proc/self/stat").starts_with(&found));
    }

    #[test]
    fn the_machine_has_a_root_mount() {
        assert!(all_mounts().unwrap().iter().any(|m| m.mount_point == b"/"));
    }
}

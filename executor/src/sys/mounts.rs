//! What is mounted where: `/proc/self/mountinfo`, as proc_pid_mountinfo(5) describes it.

use super::Stat;

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

/// All mounts that this process sees.
///
/// # Errors
/// The system's reason.
pub fn mounts() -> std::io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The mount that an entry was reached through.
#[must_use]
pub fn of<'a>(mounts: &'a [Mount], stat: &Stat) -> Option<&'a Mount> {
    mounts.iter().find(|mount| mount.id == stat.mount)
}

/// Whether something is mounted at the folder that was looked at.
///
/// A folder bound onto itself does not count: that is how a sandbox makes one folder of a read-only
/// system writable (`ReadWritePaths` of systemd.exec(5)), and it is still the folder below.
#[must_use]
pub fn is_mounted(stat: &Stat) -> bool {
    stat.mount_root
        && mounts().is_ok_and(|all| of(&all, stat).is_none_or(|mount| is_other(&all, mount)))
}

/// Whether a mount shows something else than what lies below it.
fn is_other(all: &[Mount], mount: &Mount) -> bool {
    let Some(parent) = all
        .iter()
        .find(|one| one.id == mount.parent && one.id != mount.id)
    else {
        return true;
    };
    let below = strip(&mount.mount_point, &parent.mount_point);
    let same = below.is_some_and(|below| {
        parent.device == mount.device
            && strip(&mount.root, &parent.root).is_some_and(|root| root == below)
    });
    if !same {
        return true;
    }
    // Bound onto itself where something else was mounted already.
    parent.mount_point == mount.mount_point && is_other(all, parent)
}

/// The rest of a path below another, without slashes around it.
fn strip<'a>(path: &'a [u8], above: &[u8]) -> Option<&'a [u8]> {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    match path.strip_prefix(above)? {
        [b'/', rest @ ..] => Some(rest),
        [] => Some(&[]),
        _ => None,
    }
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
    let id = text()?.parse().ok()?;
    let parent = text()?.parse().ok()?;
    let device = text()?;
    let root = unescape(fields.next()?);
    let mount_point = unescape(fields.next()?);
    let options = fields.next()?;
    // Optional fields end with a lone hyphen.
    fields.find(|field| *field == b"-")?;
    let file_system = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = unescape(fields.next()?);
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
fn unescape(field: &[u8]) -> Vec<u8> {
    schema::escape::unescape(field).unwrap_or_else(|| field.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read() {
        let text = b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - ext3 /dev/root ro,errors=continue\nbroken\n";
        let mounts = parse(text);
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
        let all = parse(table);
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
    fn the_machine_has_a_root_mount() {
        assert!(mounts().unwrap().iter().any(|m| m.mount_point == b"/"));
    }
}

//! Drives that could be mounted and are not: what is said of them, and the command that mounts each.

use schema::{
    amount,
    setup::{IdleDrive, Surroundings},
    shell,
};

use super::places::{is_of_the_system, lacks_links};

/// The least size that somebody would back up to, in bytes: below that are partitions of firmware.
const SMALLEST: u64 = 1 << 30;
/// The mount point of this program's pages.
const USUAL: &str = "/mnt/backup";
/// How blkid(8) calls what is locked.
const LOCKED: &str = "crypto_LUKS";

/// A place that a drive can be mounted at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdlePlace {
    /// Where: as `/etc/fstab` says, or where nothing is mounted yet.
    pub mount_point: String,
    /// What it is, such as `ext4 on sdb (removable), 200.0 GiB`.
    pub about: String,
    /// What must be done before the command, with the drive that is not there.
    pub lacks: Option<String>,
    /// The command that mounts it, as a shell takes it.
    pub command: String,
    /// Whether `/etc/fstab` names it.
    pub is_listed: bool,
}

/// The drives that could be mounted for backups: those of `/etc/fstab`, then others that are there, and last
/// those of `/etc/fstab` that are not.
#[must_use]
pub fn propose_idle(found: &Surroundings) -> Vec<IdlePlace> {
    let mut places: Vec<IdlePlace> = found
        .idle
        .iter()
        .filter(|drive| suits(drive, found))
        .map(|drive| place_of(drive, found))
        .collect();
    places.sort_by_key(|place| (place.lacks.is_some(), !place.is_listed));
    places
}

/// The drive that belongs at a mount point; where `/etc/fstab` names none, the only other one that is there.
#[must_use]
pub fn idle_at(found: &Surroundings, mount_point: &str) -> Option<IdlePlace> {
    let mut listed = found.idle.iter();
    let listed = listed.find(|drive| drive.mount_point.as_deref() == Some(mount_point));
    if let Some(drive) = listed {
        return Some(place_of(drive, found));
    }
    let others = found.idle.iter();
    let mut others = others.filter(|drive| drive.mount_point.is_none() && suits(drive, found));
    match (others.next(), others.next()) {
        (Some(drive), None) => Some(mounted_at(drive, mount_point, found)),
        _ => None,
    }
}

fn suits(drive: &IdleDrive, found: &Surroundings) -> bool {
    if let Some(mount_point) = &drive.mount_point {
        return !is_of_the_system(mount_point);
    }
    let mut mounts = found.mounts.iter();
    let root = mounts.find(|mount| mount.mount_point == "/");
    let shares_disk = root.is_some_and(|root| {
        let mut disks = root.disks.iter();
        disks.any(|disk| drive.disks.contains(disk))
    });
    drive.bytes.is_some_and(|bytes| bytes >= SMALLEST) && !shares_disk
}

fn place_of(drive: &IdleDrive, found: &Surroundings) -> IdlePlace {
    match &drive.mount_point {
        Some(mount_point) => mounted_at(drive, mount_point, found),
        None => mounted_at(drive, &free_mount_point(drive, found), found),
    }
}

fn mounted_at(drive: &IdleDrive, mount_point: &str, found: &Surroundings) -> IdlePlace {
    let is_listed = drive.mount_point.as_deref() == Some(mount_point);
    let is_there = drive.distant || drive.device.is_some();
    IdlePlace {
        mount_point: mount_point.to_owned(),
        about: describe(drive),
        lacks: (!is_there).then(|| match drive.source.strip_prefix("/dev/mapper/") {
            Some(_) => format!("unlock {}", drive.source),
            None => format!("plug {} in", drive.source),
        }),
        command: command_of(drive, mount_point, is_listed, found.needs_sudo),
        is_listed,
    }
}

/// A mount point that nothing has yet.
fn free_mount_point(drive: &IdleDrive, found: &Surroundings) -> String {
    let is_free = |path: &&String| {
        let mounted = found.mounts.iter().map(|mount| &mount.mount_point);
        let listed = found
            .idle
            .iter()
            .filter_map(|idle| idle.mount_point.as_ref());
        !mounted.chain(listed).any(|taken| taken == *path)
    };
    let device = drive.device.as_deref().unwrap_or_default();
    let name = device.rsplit('/').next().unwrap_or_default();
    let own = format!("/mnt/{name}");
    let usual = USUAL.to_owned();
    [&usual].into_iter().find(is_free).unwrap_or(&own).clone()
}

fn command_of(drive: &IdleDrive, mount_point: &str, is_listed: bool, sudo: bool) -> String {
    let root = if sudo { "sudo " } else { "" };
    let at = shell::word(mount_point);
    if is_listed {
        return format!("{root}mount {at}");
    }
    let device = shell::word(drive.device.as_deref().unwrap_or_default());
    let (unlocks, device) = match drive.file_system.as_str() {
        LOCKED => (
            format!("{root}cryptsetup open {device} backup && "),
            "/dev/mapper/backup".to_owned(),
        ),
        _ => (String::new(), device),
    };
    format!("{unlocks}{root}mkdir -p {at} && {root}mount {device} {at}")
}

/// What a drive is, in a line.
fn describe(drive: &IdleDrive) -> String {
    let mut about = match drive.file_system.as_str() {
        LOCKED => "locked (LUKS)".to_owned(),
        other => other.to_owned(),
    };
    if drive.distant || drive.device.is_none() {
        about.push_str(&format!(", {}", drive.source));
    } else if !drive.disks.is_empty() {
        about.push_str(&format!(" on {}", drive.disks.join(", ")));
    }
    if drive.removable {
        about.push_str(" (removable)");
    }
    if let Some(label) = &drive.label {
        about.push_str(&format!(", label {label}"));
    }
    if let Some(bytes) = drive.bytes {
        about.push_str(&format!(", {}", amount::bytes(bytes)));
    }
    if lacks_links(&drive.file_system) {
        about.push_str(", no hard links");
    }
    about
}

#[cfg(test)]
mod tests {
    use super::{super::places::tests::drive, *};

    fn listed(mount_point: &str, device: Option<&str>) -> IdleDrive {
        IdleDrive {
            source: "LABEL=backup".to_owned(),
            device: device.map(str::to_owned),
            mount_point: Some(mount_point.to_owned()),
            file_system: "ext4".to_owned(),
            ..IdleDrive::default()
        }
    }

    fn plugged_in(disk: &str, file_system: &str) -> IdleDrive {
        let device = format!("/dev/{disk}1");
        IdleDrive {
            source: device.clone(),
            device: Some(device),
            file_system: file_system.to_owned(),
            disks: vec![disk.to_owned()],
            removable: true,
            bytes: Some(8 << 30),
            ..IdleDrive::default()
        }
    }

    fn found(idle: Vec<IdleDrive>) -> Surroundings {
        Surroundings {
            mounts: vec![drive("/", "ext4", "sda")],
            idle,
            ..Surroundings::default()
        }
    }

    #[test]
    fn what_is_there_comes_first_each_with_the_command_that_mounts_it() {
        let share = IdleDrive {
            source: "nas:/b".to_owned(),
            distant: true,
            file_system: "nfs".to_owned(),
            ..listed("/mnt/nas", None)
        };
        let places = propose_idle(&found(vec![
            listed("/mnt/away", None),
            listed("/mnt/it's", Some("/dev/sdb1")),
            listed("/boot/efi", Some("/dev/sda1")),
            share,
            plugged_in("sdc", "exfat"),
            plugged_in("sdd", "crypto_LUKS"),
            // Of the system's own disk, and one of a firmware.
            plugged_in("sda", "ntfs"),
            IdleDrive {
                bytes: Some(1 << 20),
                ..plugged_in("sde", "vfat")
            },
        ]));
        let commands: Vec<&str> = places.iter().map(|place| &*place.command).collect();
        assert_eq!(
            commands,
            [
                r"mount '/mnt/it'\''s'",
                "mount /mnt/nas",
                "mkdir -p /mnt/backup && mount /dev/sdc1 /mnt/backup",
                "cryptsetup open /dev/sdd1 backup && mkdir -p /mnt/backup && \
                 mount /dev/mapper/backup /mnt/backup",
                "mount /mnt/away",
            ]
        );
        assert_eq!(places[4].lacks.as_deref(), Some("plug LABEL=backup in"));
        assert_eq!(
            places[2].about,
            "exfat on sdc (removable), 8.0 GiB, no hard links"
        );
        assert_eq!(places[1].about, "nfs, nas:/b");
    }

    #[test]
    fn the_drive_of_a_mount_point_is_that_of_fstab_or_the_only_one() {
        let with = |idle, sudo| {
            let found = Surroundings {
                needs_sudo: sudo,
                ..found(idle)
            };
            idle_at(&found, "/mnt/x").map(|place| place.command)
        };
        let of_fstab = vec![
            plugged_in("sdc", "ext4"),
            listed("/mnt/x", Some("/dev/sdb1")),
        ];
        assert_eq!(with(of_fstab, true).as_deref(), Some("sudo mount /mnt/x"));
        let one = vec![plugged_in("sdc", "ext4")];
        let command = "sudo mkdir -p /mnt/x && sudo mount /dev/sdc1 /mnt/x";
        assert_eq!(with(one.clone(), true).as_deref(), Some(command));
        let two = [one, vec![plugged_in("sdd", "ext4")]].concat();
        assert_eq!(with(two, true), None);
        assert_eq!(with(Vec::new(), true), None);
    }

    #[test]
    fn a_mount_point_that_has_a_drive_already_is_not_proposed_for_another() {
        let places = propose_idle(&found(vec![
            listed("/mnt/backup", None),
            plugged_in("sdc", "ext4"),
        ]));
        assert_eq!(places[0].mount_point, "/mnt/sdc1");
    }
}

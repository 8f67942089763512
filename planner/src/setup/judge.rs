//! What is wrong with a place that a person named.

use schema::{
    config::Local,
    setup::{MountedDrive, Surroundings},
    shell,
};

use super::{
    idle::{IdlePlace, idle_at},
    places::{is_within, lacks_links, share_disk},
};

/// What is wrong with a place, or what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceFault {
    /// Whether no backup can be made there.
    pub forbids: bool,
    /// Whether a drive may be mounted there later, and nothing else is wrong.
    pub is_absence: bool,
    /// One lowercase sentence that names the path.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Judges a mount point, given the sources that are to be backed up to it.
#[must_use]
pub fn judge_place(
    found: &Surroundings,
    mount_point: &str,
    sources: &[String],
    full_copies: bool,
) -> Vec<PlaceFault> {
    let Some(drive) = mounted_at(found, mount_point) else {
        return vec![absence(found, mount_point)];
    };
    let mut faults = Vec::new();
    let mut add = |forbids: bool, message: String, hint: &str| {
        faults.push(PlaceFault {
            forbids,
            is_absence: false,
            message,
            hint: hint.to_owned(),
        });
    };
    if !drive.answers {
        add(
            true,
            format!("{mount_point} does not answer"),
            "see whether the server or the program behind it is there, then do this again",
        );
    } else if !drive.writable {
        let word = shell::word(mount_point.as_bytes());
        let hint = if found.is_root {
            format!("mount it for writing: `mount -o remount,rw {word}`")
        } else {
            format!(
                "`sudo chown \"$USER\" {word}` makes the drive yours; or set up the backup of the \
                 machine, as root"
            )
        };
        add(true, format!("{mount_point} cannot be written to"), &hint);
    }
    if lacks_links(&drive.file_system) && !full_copies {
        add(
            true,
            format!(
                "{mount_point} is {}, which has no hard links: each snapshot would be a whole copy",
                drive.file_system
            ),
            "format the drive with ext4 or btrfs, which deletes what is on it, or say \
             --allow-full-copies",
        );
    }
    if !drive.lasting && !drive.distant {
        add(
            false,
            format!(
                "{mount_point} is {}: what is there is gone when the machine is turned off",
                drive.file_system
            ),
            "name the mount point of a drive",
        );
    }
    let same_disk = sources.iter().find(|source| {
        mount_above(found, source).is_some_and(|of_source| share_disk(of_source, drive))
    });
    if let Some(source) = same_disk {
        add(
            false,
            format!("{mount_point} is on the same disk as {source}: a fault of it takes both"),
            "better is a drive of its own",
        );
    }
    faults
}

/// That nothing is mounted at a place.
fn absence(found: &Surroundings, mount_point: &str) -> PlaceFault {
    let above = mount_above(found, mount_point).filter(|above| above.mount_point != "/");
    let hint = match (above, idle_at(found, mount_point)) {
        (Some(above), _) => format!(
            "mount the drive there, or name the mount point that it is in: {}",
            above.mount_point
        ),
        (None, Some(idle)) => hint_of_idle(&idle),
        (None, None) => {
            "mount the drive there: `lsblk -f` tells its name, and a line with `nofail` in \
                 /etc/fstab mounts it each time"
                .to_owned()
        }
    };
    PlaceFault {
        forbids: false,
        is_absence: true,
        message: format!("destination not mounted: nothing is mounted at {mount_point}"),
        hint,
    }
}

/// What to do with the drive that belongs there.
fn hint_of_idle(idle: &IdlePlace) -> String {
    let IdlePlace { about, command, .. } = idle;
    match (&idle.lacks, idle.is_listed) {
        (Some(lacks), _) => format!("{lacks}, then `{command}`"),
        (None, true) => format!("`{command}`: /etc/fstab says what belongs there, {about}"),
        (None, false) => format!(
            "`{command}`: that is {about}; a line with `nofail` in /etc/fstab mounts it each time"
        ),
    }
}

fn mounted_at<'a>(found: &'a Surroundings, mount_point: &str) -> Option<&'a MountedDrive> {
    let mut mounts = found.mounts.iter();
    mounts.find(|mount| mount.mount_point == mount_point)
}

/// The file system that a path is on, as far as the mounts say it.
#[must_use]
pub fn mount_above<'a>(found: &'a Surroundings, path: &str) -> Option<&'a MountedDrive> {
    let above = found.mounts.iter();
    above
        .filter(|mount| is_within(path, &mount.mount_point))
        .max_by_key(|mount| mount.mount_point.len())
}

/// How many GiB are to stay free on the drive of a mount point, where the default is more than a tenth of it:
/// nothing would ever fit on a small one. None where the default will do, or the size is not known.
#[must_use]
pub fn propose_min_space(found: &Surroundings, mount_point: &str) -> Option<u64> {
    let mut mounts = found.mounts.iter();
    let drive = mounts.find(|mount| mount.mount_point == mount_point)?;
    let tenth = drive.bytes? / 10;
    (tenth < Local::default().min_space_bytes()).then_some(tenth >> 30)
}

#[cfg(test)]
mod tests {
    use schema::setup::IdleDrive;

    use super::{super::places::tests::drive, *};

    fn found() -> Surroundings {
        Surroundings {
            mounts: vec![
                drive("/", "ext4", "sda"),
                drive("/home", "ext4", "sdb"),
                drive("/mnt/usb", "ext4", "sdc"),
                drive("/mnt/second", "ext4", "sdb"),
                drive("/mnt/stick", "exfat", "sdd"),
                MountedDrive {
                    lasting: false,
                    disks: Vec::new(),
                    source: "tmpfs".to_owned(),
                    ..drive("/ram", "tmpfs", "")
                },
                MountedDrive {
                    writable: false,
                    ..drive("/mnt/old", "ext4", "sde")
                },
                MountedDrive {
                    answers: false,
                    writable: false,
                    ..drive("/mnt/gone", "nfs4", "")
                },
            ],
            ..Surroundings::default()
        }
    }

    fn told(mount_point: &str, full_copies: bool) -> Vec<(bool, String)> {
        let sources = ["/home/ann".to_owned(), "/etc".to_owned()];
        let faults = judge_place(&found(), mount_point, &sources, full_copies);
        assert!(faults.iter().all(|fault| !fault.hint.is_empty()));
        let faults = faults.into_iter();
        faults.map(|fault| (fault.forbids, fault.message)).collect()
    }

    #[test]
    fn a_drive_of_its_own_has_no_fault_and_others_are_told_of() {
        assert_eq!(told("/mnt/usb", false), []);
        for (mount_point, forbids, says) in [
            ("/mnt/second", false, "the same disk as /home/ann"),
            ("/", false, "the same disk as /etc"),
            ("/ram", false, "turned off"),
            ("/mnt/old", true, "cannot be written"),
            ("/mnt/gone", true, "does not answer"),
            ("/mnt/stick", true, "no hard links"),
            ("/mnt/none", false, "destination not mounted"),
        ] {
            let told = told(mount_point, false);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].0, forbids);
            assert!(told[0].1.contains(says), "{told:?}");
        }
        assert_eq!(told("/mnt/stick", true), []);
        let hint = |is_root: bool| {
            let found = Surroundings { is_root, ..found() };
            judge_place(&found, "/mnt/old", &[], false)[0].hint.clone()
        };
        assert!(hint(true).contains("`mount -o remount,rw /mnt/old`"));
        assert!(hint(false).contains("chown \"$USER\" /mnt/old"));
    }

    #[test]
    fn a_folder_of_a_drive_is_no_mount_point_and_the_hint_names_the_one_that_is() {
        let faults = judge_place(&found(), "/mnt/usb/backups", &[], false);
        assert!(faults[0].is_absence && faults[0].hint.ends_with(": /mnt/usb"));
        let faults = judge_place(&found(), "/mnt/none", &[], false);
        assert!(faults[0].hint.contains("nofail"));
        let mut found = found();
        let mut told = |mount_point: Option<&str>, device: Option<&str>| {
            found.idle = vec![IdleDrive {
                source: "LABEL=backup".to_owned(),
                mount_point: mount_point.map(str::to_owned),
                device: device.map(str::to_owned),
                file_system: "ext4".to_owned(),
                bytes: Some(8 << 30),
                ..IdleDrive::default()
            }];
            judge_place(&found, "/mnt/none", &[], false)[0].hint.clone()
        };
        let hint = told(Some("/mnt/none"), Some("/dev/sdx1"));
        assert!(hint.starts_with("`mount /mnt/none`: /etc/fstab"), "{hint}");
        let hint = told(Some("/mnt/none"), None);
        assert_eq!(hint, "plug LABEL=backup in, then `mount /mnt/none`");
        let hint = told(None, Some("/dev/sdx1"));
        assert!(
            hint.starts_with("`mkdir -p /mnt/none && mount /dev/sdx1 /mnt/none`"),
            "{hint}"
        );
    }

    #[test]
    fn of_a_small_drive_a_tenth_stays_free() {
        let of = |bytes: Option<u64>| {
            let mut found = found();
            found.mounts = vec![MountedDrive {
                bytes,
                ..drive("/mnt/stick", "ext4", "sdb")
            }];
            propose_min_space(&found, "/mnt/stick")
        };
        assert_eq!(of(Some(64 << 30)), Some(6));
        assert_eq!(of(Some(300 << 20)), Some(0));
        // Where nothing is mounted, the drive is not known yet.
        assert_eq!(propose_min_space(&found(), "/mnt/other"), None);
        for large in [None, Some(100 << 30), Some(4 << 40)] {
            assert_eq!(of(large), None);
        }
    }
}

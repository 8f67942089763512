//! Which of the mounted file systems may be a backup's drive.

use schema::{
    amount,
    setup::{MountedDrive, Surroundings},
};

/// Where systems mount what is theirs: nobody's drive is there.
const OF_THE_SYSTEM: [&str; 12] = [
    "/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/nix", "/proc", "/snap", "/sys", "/usr",
    "/var",
];
/// Where desktops mount what is put in, although it is below a folder of the system's.
const OF_DESKTOPS: &str = "/run/media/";

/// A place for backups, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedPlace {
    /// Where the drive is mounted.
    pub mount_point: String,
    /// What it is, such as `ext4 on sdb (removable), 200.1 GiB free of 232.9 GiB`.
    pub about: String,
    /// How well it suits.
    rank: Rank,
}

/// How well a place suits, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Removable,
    OtherDisk,
    Network,
    /// It cannot hold hard links.
    WithoutLinks,
}

/// The mounted file systems that backups may go to, the best first.
///
/// None is on a disk that holds the system or that is the same as `/`: it would be lost with what it is to
/// replace.
#[must_use]
pub fn propose_places(found: &Surroundings) -> Vec<ProposedPlace> {
    let mut places: Vec<ProposedPlace> = found
        .mounts
        .iter()
        .filter(|drive| suits(drive, found))
        .map(|drive| ProposedPlace {
            mount_point: drive.mount_point.clone(),
            about: describe_drive(drive),
            rank: rank_of(drive),
        })
        .collect();
    places.sort_by(|a, b| (a.rank, &a.mount_point).cmp(&(b.rank, &b.mount_point)));
    places
}

/// The one place that is meant where nobody can be asked: the only one of the best kind, if that holds
/// links.
#[must_use]
pub fn propose_place(places: &[ProposedPlace]) -> Option<&ProposedPlace> {
    match places {
        [first, second, ..] if first.rank == second.rank => None,
        [first, ..] if first.rank != Rank::WithoutLinks => Some(first),
        _ => None,
    }
}

fn suits(drive: &MountedDrive, found: &Surroundings) -> bool {
    let is_systems = is_of_the_system(&drive.mount_point);
    // A program's, and not there any more after the next start.
    let is_temporary = is_within(&drive.mount_point, "/tmp");
    let root = found.mounts.iter().find(|mount| mount.mount_point == "/");
    let shares_disk = root.is_some_and(|root| share_disk(root, drive));
    drive.lasting && drive.writable && !is_systems && !is_temporary && !shares_disk
}

/// Whether a mount point is one of the system's, where nobody's drive is.
pub(super) fn is_of_the_system(mount_point: &str) -> bool {
    ["/", "/home", "/run"].contains(&mount_point)
        || (mount_point.starts_with("/run/") && !mount_point.starts_with(OF_DESKTOPS))
        || OF_THE_SYSTEM
            .iter()
            .any(|folder| is_within(mount_point, folder))
}

/// Whether two file systems are on one disk, so that one fault may take both.
pub(super) fn share_disk(one: &MountedDrive, other: &MountedDrive) -> bool {
    one.source == other.source && one.source.starts_with("/dev/")
        || one.disks.iter().any(|disk| other.disks.contains(disk))
}

/// Whether a path is a folder or below it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    schema::path::rest_below(path.as_bytes(), folder.as_bytes()).is_some()
}

fn rank_of(drive: &MountedDrive) -> Rank {
    if lacks_links(&drive.file_system) {
        Rank::WithoutLinks
    } else if drive.removable {
        Rank::Removable
    } else if drive.distant {
        Rank::Network
    } else {
        Rank::OtherDisk
    }
}

/// Whether a file system has no hard links, so that each snapshot would be a whole copy.
pub(super) fn lacks_links(file_system: &str) -> bool {
    matches!(file_system, "exfat" | "msdos" | "vfat")
}

/// What a drive is, in a line.
fn describe_drive(drive: &MountedDrive) -> String {
    let mut about = drive.file_system.clone();
    if drive.distant {
        about.push_str(&format!(", {}", drive.source));
    } else if !drive.disks.is_empty() {
        about.push_str(&format!(" on {}", drive.disks.join(", ")));
    }
    if drive.removable {
        about.push_str(" (removable)");
    }
    if let (Some(free), Some(bytes)) = (drive.free, drive.bytes) {
        let (free, bytes) = (amount::bytes(free), amount::bytes(bytes));
        about.push_str(&format!(", {free} free of {bytes}"));
    }
    if lacks_links(&drive.file_system) {
        about.push_str(", no hard links");
    }
    about
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn drive(mount_point: &str, file_system: &str, disk: &str) -> MountedDrive {
        MountedDrive {
            mount_point: mount_point.to_owned(),
            file_system: file_system.to_owned(),
            source: format!("/dev/{disk}1"),
            disks: vec![disk.to_owned()],
            lasting: true,
            answers: true,
            writable: true,
            bytes: Some(2 << 30),
            free: Some(1 << 30),
            ..MountedDrive::default()
        }
    }

    fn removable(drive: MountedDrive) -> MountedDrive {
        MountedDrive {
            removable: true,
            ..drive
        }
    }

    fn points(places: &[ProposedPlace]) -> Vec<&str> {
        places.iter().map(|place| &*place.mount_point).collect()
    }

    #[test]
    fn what_can_be_taken_away_comes_first_and_what_the_system_is_on_never() {
        let share = MountedDrive {
            distant: true,
            source: "nas:/backup".to_owned(),
            disks: Vec::new(),
            ..drive("/mnt/nas", "nfs4", "")
        };
        let found = Surroundings {
            mounts: vec![
                drive("/", "ext4", "sda"),
                drive("/home", "ext4", "sdd"),
                drive("/data", "ext4", "sda"),
                drive("/boot/efi", "vfat", "sde"),
                drive("/var/lib/docker", "ext4", "sde"),
                share,
                drive("/srv", "xfs", "sdb"),
                removable(drive("/run/media/ann/stick", "exfat", "sdf")),
                removable(drive("/run/media/ann/disk", "ext4", "sdc")),
                drive("/run/user/1000/doc", "ext4", "sdg"),
                drive("/tmp/image/mnt", "ext4", "loop0"),
                MountedDrive {
                    writable: false,
                    ..drive("/mnt/old", "ext4", "sdh")
                },
                MountedDrive {
                    lasting: false,
                    ..drive("/scratch", "tmpfs", "")
                },
            ],
            ..Surroundings::default()
        };
        let places = propose_places(&found);
        assert_eq!(
            points(&places),
            [
                "/run/media/ann/disk",
                "/srv",
                "/mnt/nas",
                "/run/media/ann/stick"
            ]
        );
        assert_eq!(
            places[0].about,
            "ext4 on sdc (removable), 1.0 GiB free of 2.0 GiB"
        );
        assert_eq!(
            places[2].about,
            "nfs4, nas:/backup, 1.0 GiB free of 2.0 GiB"
        );
        assert!(places[3].about.ends_with(", no hard links"));
        assert_eq!(propose_place(&places), Some(&places[0]));
    }

    #[test]
    fn where_two_suit_as_well_as_each_other_nobody_chooses_for_a_person() {
        let of = |mounts: Vec<MountedDrive>| {
            let found = Surroundings {
                mounts,
                ..Surroundings::default()
            };
            propose_place(&propose_places(&found)).map(|place| place.mount_point.clone())
        };
        let one = removable(drive("/mnt/a", "ext4", "sda"));
        let other = removable(drive("/mnt/b", "ext4", "sdb"));
        assert_eq!(of(vec![one.clone()]).as_deref(), Some("/mnt/a"));
        assert_eq!(of(vec![one, other]), None);
        assert_eq!(of(vec![removable(drive("/mnt/c", "vfat", "sdc"))]), None);
        assert_eq!(of(vec![]), None);
    }
}

//! What could be mounted and is not: what `/etc/fstab` names, and file systems on drives that are there.
//!
//! Nothing is opened but text: what udev found on a device is in its database (udev(7)).

use std::{
    fs,
    path::{Path, PathBuf},
};

use schema::setup::IdleDrive;

use super::surroundings::disks_of;
use crate::{bounded::read_file, sys::mounts::Mount};

/// Longest file that is read here, in bytes.
const LONGEST: u64 = 1 << 20;
/// Devices that nobody keeps backups on.
const NO_DRIVES: [&str; 6] = ["fd", "loop", "nbd", "ram", "sr", "zram"];
/// Bytes of a sector, whatever the drive's own (sysfs-block).
const SECTOR: u64 = 512;

/// Where the kernel and udev tell of devices.
#[derive(Debug, Clone)]
struct Told {
    sys: PathBuf,
    dev: PathBuf,
    udev: PathBuf,
}

/// What is not mounted and could be, those of `/etc/fstab` first.
pub(super) fn find_idle_drives(mounts: &[Mount]) -> Vec<IdleDrive> {
    let fstab = read_file(Path::new("/etc/fstab"), LONGEST).unwrap_or_default();
    let told = Told {
        sys: "/sys".into(),
        dev: "/dev".into(),
        udev: "/run/udev/data".into(),
    };
    idle_drives(&String::from_utf8_lossy(&fstab), mounts, &told)
}

fn idle_drives(fstab: &str, mounts: &[Mount], told: &Told) -> Vec<IdleDrive> {
    let mut found: Vec<IdleDrive> = fstab
        .lines()
        .filter_map(Entry::parse)
        .filter(|entry| !entry.is_mounted(mounts))
        .map(|entry| entry.look(told))
        .collect();
    let names = fs::read_dir(told.sys.join("class/block")).into_iter();
    let names = names.flatten().flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        let unlisted = look_at_device(&name, told)
            .filter(|drive| !is_mounted(drive, mounts))
            .filter(|drive| !found.iter().any(|one| one.device == drive.device));
        found.extend(unlisted.map(|drive| drive.drive));
    }
    found
}

/// A line of fstab(5) that names a file system on a drive or a server.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    source: String,
    mount_point: String,
    file_system: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [source, mount_point, file_system, rest @ ..] = fields.as_slice() else {
            return None;
        };
        let options = rest.first().unwrap_or(&"").split(',');
        let is_same_again = options.clone().any(|one| matches!(one, "bind" | "rbind"));
        let is_none = matches!(
            *file_system,
            "swap" | "none" | "tmpfs" | "proc" | "sysfs" | "overlay"
        );
        if source.starts_with('#') || !mount_point.starts_with('/') || is_same_again || is_none {
            return None;
        }
        Some(Self {
            source: unescape(source)?,
            mount_point: unescape(mount_point)?,
            file_system: (*file_system).to_owned(),
        })
    }

    fn is_mounted(&self, mounts: &[Mount]) -> bool {
        let mut mounts = mounts.iter();
        mounts.any(|mount| mount.mount_point == self.mount_point.as_bytes())
    }

    fn look(self, told: &Told) -> IdleDrive {
        let is_of_device =
            self.source.starts_with('/') && !self.source.starts_with("//") || self.tag().is_some();
        let device = is_of_device.then(|| self.find_device(told)).flatten();
        let found = device.and_then(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            look_at_device(&name, told)
                .map(|device| device.drive)
                .or_else(|| {
                    Some(IdleDrive {
                        device: Some(path.to_string_lossy().into_owned()),
                        ..IdleDrive::default()
                    })
                })
        });
        IdleDrive {
            source: self.source,
            mount_point: Some(self.mount_point),
            file_system: self.file_system,
            distant: !is_of_device,
            ..found.unwrap_or_default()
        }
    }

    /// The folder of `/dev/disk` for what names the device, and the name in it.
    fn tag(&self) -> Option<(&'static str, &str)> {
        let (tag, value) = self.source.split_once('=')?;
        let folder = match tag {
            "LABEL" => "by-label",
            "UUID" => "by-uuid",
            "PARTLABEL" => "by-partlabel",
            "PARTUUID" => "by-partuuid",
            _ => return None,
        };
        Some((folder, value.trim_matches('"')))
    }

    fn find_device(&self, told: &Told) -> Option<PathBuf> {
        let path = match self.tag() {
            Some((folder, value)) => told.dev.join("disk").join(folder).join(as_link(value)),
            None => told.dev.join(self.source.strip_prefix("/dev/")?),
        };
        let whole = path.canonicalize().ok()?;
        // The path that people know.
        let rest = whole.strip_prefix(told.dev.canonicalize().ok()?).ok()?;
        Some(Path::new("/dev").join(rest))
    }
}

/// A label as udev makes a link of it: what is not plain stands as `\xNN`.
fn as_link(label: &str) -> String {
    let is_plain = |one: char| one.is_alphanumeric() || "#+-.:=@_".contains(one);
    let mut link = String::new();
    for one in label.chars() {
        if is_plain(one) {
            link.push(one);
        } else {
            let mut bytes = [0; 4];
            for byte in one.encode_utf8(&mut bytes).bytes() {
                link.push_str(&format!("\\x{byte:02x}"));
            }
        }
    }
    link
}

/// A field of fstab(5), where blanks stand as `\040`.
fn unescape(field: &str) -> Option<String> {
    String::from_utf8(schema::escape::unescape(field)?).ok()
}

/// A device with a file system that nothing uses.
struct Device {
    drive: IdleDrive,
    device: Option<String>,
    number: String,
}

/// What is said of a device; none of one without a file system, or that something is made of.
fn look_at_device(name: &str, told: &Told) -> Option<Device> {
    let is_no_drive = NO_DRIVES.iter().any(|kind| {
        let rest = name.strip_prefix(kind);
        rest.is_some_and(|rest| rest.starts_with(|one: char| one.is_ascii_digit()))
    });
    if is_no_drive {
        return None;
    }
    let sys = told.sys.join("class/block").join(name);
    let read = |file: &str| {
        let bytes = read_file(&sys.join(file), LONGEST).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let number = read("dev")?;
    let mut holders = fs::read_dir(sys.join("holders")).into_iter().flatten();
    if holders.next().is_some() {
        return None;
    }
    let known = read_file(&told.udev.join(format!("b{number}")), LONGEST).ok()?;
    let known = String::from_utf8_lossy(&known).into_owned();
    let value = |key: &str| {
        let mut lines = known.lines();
        lines.find_map(|line| {
            Some(
                line.strip_prefix("E:")?
                    .strip_prefix(key)?
                    .strip_prefix('=')?
                    .to_owned(),
            )
        })
    };
    if !matches!(value("ID_FS_USAGE")?.as_str(), "filesystem" | "crypto") {
        return None;
    }
    let path = match read("dm/name") {
        Some(mapped) => format!("/dev/mapper/{mapped}"),
        None => format!("/dev/{name}"),
    };
    let disks = disks_of(&told.sys, &number);
    let sectors = read("size").and_then(|size| size.parse::<u64>().ok());
    let drive = IdleDrive {
        source: path.clone(),
        device: Some(path.clone()),
        mount_point: None,
        file_system: value("ID_FS_TYPE")?,
        label: value("ID_FS_LABEL"),
        distant: false,
        removable: disks.iter().any(|disk| disk.removable),
        bytes: sectors.map(|sectors| sectors.saturating_mul(SECTOR)),
        disks: disks.into_iter().map(|disk| disk.name).collect(),
    };
    Some(Device {
        drive,
        device: Some(path),
        number,
    })
}

fn is_mounted(device: &Device, mounts: &[Mount]) -> bool {
    let path = device.device.as_deref().map(str::as_bytes);
    mounts
        .iter()
        .any(|mount| mount.device == device.number || Some(mount.source.as_slice()) == path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine whose `/sys`, `/dev` and udev tell of these devices: name, number, and what udev found.
    fn machine(devices: &[(&str, &str, &str)]) -> (tempfile::TempDir, Told) {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        for folder in [
            "dev/disk/by-label",
            "sys/class/block",
            "sys/dev/block",
            "udev",
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for (name, number, found) in devices {
            let disk = name.trim_end_matches(|one: char| one.is_ascii_digit());
            let folder = at(&format!("sys/devices/usb1/{disk}/{name}"));
            fs::create_dir_all(folder.join("holders")).unwrap();
            fs::write(folder.join("dev"), format!("{number}\n")).unwrap();
            fs::write(folder.join("size"), "4194304\n").unwrap();
            fs::write(folder.join("partition"), "1\n").unwrap();
            symlink(&folder, at("sys/class/block").join(name)).unwrap();
            symlink(&folder, at("sys/dev/block").join(number)).unwrap();
            fs::write(at("dev").join(name), "").unwrap();
            fs::write(at("udev").join(format!("b{number}")), found).unwrap();
        }
        let told = Told {
            sys: at("sys"),
            dev: at("dev"),
            udev: at("udev"),
        };
        (temporary, told)
    }

    fn mounted(device: &str, at: &str) -> Mount {
        Mount {
            id: 1,
            parent: 0,
            device: device.to_owned(),
            root: b"/".to_vec(),
            mount_point: at.as_bytes().to_vec(),
            read_only: false,
            file_system: "ext4".to_owned(),
            source: b"/dev/x".to_vec(),
        }
    }

    const EXT4: &str =
        "S:disk\nE:ID_FS_USAGE=filesystem\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=photos\n";

    #[test]
    fn what_fstab_names_is_told_with_its_device_if_that_is_there() {
        let (folder, told) = machine(&[("sdb1", "8:17", EXT4)]);
        let link = folder.path().join("dev/disk/by-label/my\\x20backup");
        symlink("../../sdb1", link).unwrap();
        let fstab = "# a comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n\
            LABEL=my\\040backup /mnt/my\\040backup ext4 nofail 0 2\nLABEL=away /mnt/away xfs\n\
            nas:/backup /mnt/nas nfs nofail,_netdev\n//nas/b /mnt/smb cifs\n\
            /srv/a /srv/b none bind\n/home/x /mnt/x ext4 bind\nodd\n";
        let found = idle_drives(fstab, &[mounted("8:1", "/")], &told);
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.mount_point.as_deref(),
                    one.device.as_deref(),
                    one.distant,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (Some("/mnt/my backup"), Some("/dev/sdb1"), false),
                (Some("/mnt/away"), None, false),
                (Some("/mnt/nas"), None, true),
                (Some("/mnt/smb"), None, true),
            ]
        );
        assert_eq!(found[0].source, "LABEL=my backup");
        assert!(found[0].removable);
        assert_eq!(found[0].bytes, Some(2 << 30));
    }

    #[test]
    fn a_drive_with_a_file_system_that_nothing_uses_is_told() {
        let locked = "E:ID_FS_USAGE=crypto\nE:ID_FS_TYPE=crypto_LUKS\n";
        let (folder, told) = machine(&[
            ("sdb1", "8:17", EXT4),
            ("sdc1", "8:33", EXT4),
            ("sdd1", "8:49", "E:ID_PART_TABLE_TYPE=gpt\n"),
            ("sde1", "8:65", EXT4),
            ("sdf1", "8:81", locked),
            ("loop0", "7:0", EXT4),
        ]);
        fs::write(folder.path().join("sys/class/block/sde1/holders/dm-0"), "").unwrap();
        let found = idle_drives("", &[mounted("8:33", "/mnt/c")], &told);
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.device.as_deref(),
                    &*one.file_system,
                    one.label.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (Some("/dev/sdb1"), "ext4", Some("photos")),
                (Some("/dev/sdf1"), "crypto_LUKS", None),
            ]
        );
        assert!(found[0].mount_point.is_none() && found[0].disks == ["sdb"]);
    }
}

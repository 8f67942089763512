//! What a machine has that a first configuration can be made of: drives that are mounted, folders of
//! people, programs.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::{
    sys::stat::{major, minor},
    unistd::{AccessFlags, access, geteuid},
};
use schema::setup::{MountedDrive, Surroundings};

use super::{find_rsync, idle_drives::find_idle_drives};
use crate::{
    service_manager,
    sys::{
        Kind, answer,
        mounts::{self, Mount},
        resolve::resolve,
    },
};

/// Numbers of the users that are people, as login.defs(5) has them.
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=60_000;
/// Where the system and desktops mount what is for programs, except where they mount what is put in.
const FOR_PROGRAMS: [&[u8]; 4] = [b"/dev/", b"/proc/", b"/run/", b"/sys/"];
/// Where desktops mount what is put in.
const OF_DESKTOPS: &[u8] = b"/run/media/";
/// The deepest that devices are looked for below others, such as a disk below LUKS below LVM.
const DEEPEST: u32 = 8;

/// Looks around on the machine; `home` is the home folder of whoever asks.
#[must_use]
pub fn scan_surroundings(home: &Path) -> Surroundings {
    let mounts = mounts::seen_mounts().unwrap_or_default();
    Surroundings {
        is_root: geteuid().is_root(),
        home: home.to_string_lossy().into_owned(),
        needs_sudo: !geteuid().is_root() || std::env::var_os("SUDO_USER").is_some(),
        idle: find_idle_drives(&mounts),
        mounts: mounts.iter().filter_map(look_at_drive).collect(),
        folders: find_folders(),
        rsync: find_rsync().version,
        has_systemd: service_manager::is_there(),
        is_nixos: Path::new("/etc/NIXOS").exists(),
    }
}

/// A mount that somebody may keep things on; none for any other, and for one that is no folder or whose
/// name is no text.
fn look_at_drive(mount: &Mount) -> Option<MountedDrive> {
    let path = mount.mount_point.as_slice();
    let for_programs = FOR_PROGRAMS.iter().any(|folder| path.starts_with(folder))
        && !path.starts_with(OF_DESKTOPS);
    if mount.is_of_the_kernel() || for_programs && mount.may_fall_silent() {
        return None;
    }
    let mount_point = String::from_utf8(path.to_vec()).ok()?;
    let mut drive = MountedDrive {
        mount_point,
        file_system: mount.file_system.clone(),
        source: String::from_utf8_lossy(&mount.source).into_owned(),
        distant: mount.is_distant(),
        lasting: mount.is_lasting(),
        ..MountedDrive::default()
    };
    let path = Path::new(OsStr::from_bytes(path));
    // Whoever does not answer may be there all the same.
    if mount.may_fall_silent() && answer::wait_for_answer(path.as_os_str().as_bytes()).is_err() {
        return Some(drive);
    }
    let found = resolve(path).ok()?;
    if found.stat.kind != Kind::Folder {
        return None;
    }
    drive.answers = true;
    drive.writable = !mount.read_only && access(path, AccessFlags::W_OK).is_ok();
    if let Ok(size) = rustix::fs::statvfs(path) {
        drive.bytes = Some(size.f_blocks.saturating_mul(size.f_frsize));
        drive.free = Some(size.f_bavail.saturating_mul(size.f_frsize));
    }
    let disks = disks_of(Path::new("/sys"), &device_of(mount));
    drive.removable = disks.iter().any(|disk| disk.removable);
    drive.disks = disks.into_iter().map(|disk| disk.name).collect();
    Some(drive)
}

/// The number of what is mounted, as `major:minor`: that of the device, where it is one. btrfs has a
/// number of its own for each subvolume.
fn device_of(mount: &Mount) -> String {
    let source = Path::new(OsStr::from_bytes(&mount.source));
    let number = source
        .starts_with("/dev")
        .then(|| fs::metadata(source).ok())
        .flatten()
        .map(|found| found.rdev())
        .filter(|number| *number != 0);
    match number {
        Some(number) => format!("{}:{}", major(number), minor(number)),
        None => mount.device.clone(),
    }
}

/// A whole disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) name: String,
    pub(super) removable: bool,
}

/// The whole disks that a device is on, by `/sys` (sysfs-block): of a partition its disk, of what is
/// encrypted or put together all that is below it.
pub(super) fn disks_of(sys: &Path, device: &str) -> Vec<Disk> {
    let mut disks = Vec::new();
    if let Ok(found) = sys.join("dev/block").join(device).canonicalize() {
        add_disks(&found, DEEPEST, &mut disks);
    }
    disks
}

fn add_disks(device: &Path, depth: u32, disks: &mut Vec<Disk>) {
    let slaves = fs::read_dir(device.join("slaves")).into_iter().flatten();
    let slaves: Vec<PathBuf> = slaves
        .flatten()
        .filter_map(|slave| slave.path().canonicalize().ok())
        .collect();
    if !slaves.is_empty() && depth > 0 {
        for slave in slaves {
            add_disks(&slave, depth - 1, disks);
        }
        return;
    }
    let disk = match device.parent() {
        Some(parent) if device.join("partition").exists() => parent,
        _ => device,
    };
    let Some(name) = disk.file_name() else { return };
    let says_so = fs::read_to_string(disk.join("removable")).is_ok_and(|text| text.trim() == "1");
    // A disk in a USB case says of itself that it is not removable.
    let by_usb = disk.iter().any(|part| part.as_bytes().starts_with(b"usb"));
    let disk = Disk {
        name: name.to_string_lossy().into_owned(),
        removable: says_so || by_usb,
    };
    if !disks.contains(&disk) {
        disks.push(disk);
    }
}

/// Folders that are there and that somebody may want to have backed up.
fn find_folders() -> Vec<String> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let homes = homes_of_people(&accounts);
    let known = ["/home", "/root", "/etc", "/etc/nixos"].map(str::to_owned);
    // A home may be on a server that does not answer.
    let is_folder = |path: &String| {
        answer::wait_for_answer(path.as_bytes()).is_ok()
            && resolve(Path::new(path)).is_ok_and(|found| found.stat.kind == Kind::Folder)
    };
    let holds = |path: &String| {
        let entries = || fs::read_dir(path).is_ok_and(|mut all| all.next().is_some());
        path != "/home" || entries()
    };
    let all = known.into_iter().chain(homes);
    all.filter(|path| is_folder(path) && holds(path)).collect()
}

/// The home folders of people, by accounts as passwd(5) has them.
fn homes_of_people(accounts: &str) -> Vec<String> {
    let home_of = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let uid: u32 = fields.get(2)?.parse().ok()?;
        let home = fields.get(5)?;
        (PEOPLE.contains(&uid) && home.starts_with('/') && *home != "/").then(|| (*home).to_owned())
    };
    let mut homes: Vec<String> = accounts.lines().filter_map(home_of).collect();
    homes.sort();
    homes.dedup();
    homes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_disk_is_found_below_its_partition_and_below_what_is_encrypted() {
        let temporary = tempfile::tempdir().unwrap();
        let sys = temporary.path();
        let at = |path: &str| sys.join(path);
        for (folder, removable) in [
            ("devices/pci/ata1/block/sda", "0"),
            ("devices/pci/usb1/1-2/block/sdb", "0"),
            ("devices/pci/mmc/block/sdc", "1"),
            ("devices/virtual/block/dm-0", "0"),
        ] {
            fs::create_dir_all(at(folder)).unwrap();
            fs::write(at(folder).join("removable"), format!("{removable}\n")).unwrap();
        }
        for (partition, number) in [
            ("devices/pci/ata1/block/sda/sda1", "8:1"),
            ("devices/pci/usb1/1-2/block/sdb/sdb1", "8:17"),
        ] {
            fs::create_dir_all(at(partition)).unwrap();
            fs::write(at(partition).join("partition"), "1\n").unwrap();
            fs::create_dir_all(at("dev/block")).unwrap();
            symlink(at(partition), at("dev/block").join(number)).unwrap();
        }
        symlink(at("devices/pci/mmc/block/sdc"), at("dev/block/8:32")).unwrap();
        symlink(at("devices/virtual/block/dm-0"), at("dev/block/254:0")).unwrap();
        let slaves = at("devices/virtual/block/dm-0/slaves");
        fs::create_dir_all(&slaves).unwrap();
        symlink(
            at("devices/pci/usb1/1-2/block/sdb/sdb1"),
            slaves.join("sdb1"),
        )
        .unwrap();
        let of = |device: &str| {
            let disks = disks_of(sys, device).into_iter();
            disks
                .map(|disk| (disk.name, disk.removable))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("8:1"), [("sda".to_owned(), false)]);
        assert_eq!(of("8:17"), [("sdb".to_owned(), true)]);
        assert_eq!(of("8:32"), [("sdc".to_owned(), true)]);
        assert_eq!(of("254:0"), [("sdb".to_owned(), true)]);
        assert_eq!(of("0:42"), []);
    }

    #[test]
    fn people_have_homes_and_services_have_none() {
        let accounts = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
            sshd:x:105:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/nonexistent:/bin/false\n\
            bob:x:1001:1001::/srv/bob:/bin/sh\nodd\n";
        assert_eq!(homes_of_people(accounts), ["/home/ann", "/srv/bob"]);
    }

    #[test]
    fn what_is_mounted_here_is_told_with_its_root() {
        let found = scan_surroundings(Path::new("/home/ann"));
        assert_eq!(found.home, "/home/ann");
        let root = found.mounts.iter().find(|drive| drive.mount_point == "/");
        assert!(root.unwrap().bytes.unwrap() > 0);
        assert!(found.mounts.iter().all(|drive| drive.file_system != "proc"));
    }
}

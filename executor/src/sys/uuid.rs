//! The UUID of a file system: from the names udev makes, else from the kernel.
//!
//! One of three places with `unsafe` (the others are `subvolume.rs` and `process/parent.rs`): the kernel's call has
//! no safe wrapper yet.

use std::{ffi::OsString, os::fd::AsFd};

use rustix::{io, ioctl};

use super::{mounts::Mount, resolve};

/// `struct fsuuid2` of `linux/fs.h`.
#[repr(C)]
struct FsUuid2 {
    len: u8,
    uuid: [u8; 16],
}

/// The file system's UUID as `/dev/disk/by-uuid` spells it; `None` where the machine does not
/// tell, as for network file systems.
#[must_use]
pub fn file_system_uuid(fd: impl AsFd, mount: &Mount) -> Option<String> {
    by_name(mount)
        .map(|name| name.to_string_lossy().into_owned())
        .or_else(|| by_kernel(fd))
}

/// The name in `/dev/disk/by-uuid` that leads to the mounted device.
fn by_name(mount: &Mount) -> Option<OsString> {
    let source = std::str::from_utf8(&mount.source).ok()?;
    let device = resolve::resolve(source.as_ref()).ok()?.stat.device;
    let names = resolve::resolve("/dev/disk/by-uuid".as_ref())
        .ok()?
        .folder()
        .ok()?;
    names.names().ok()?.into_iter().find(|name| {
        let path = std::path::Path::new("/dev/disk/by-uuid").join(name);
        resolve::resolve(&path).is_ok_and(|found| found.stat.device == device)
    })
}

/// What `FS_IOC_GETFSUUID` (Linux 6.9) says.
fn by_kernel(fd: impl AsFd) -> Option<String> {
    const GET: ioctl::Opcode = ioctl::opcode::read::<FsUuid2>(0x15, 0);
    #[expect(unsafe_code, reason = "no safe wrapper exists")]
    // SAFETY: the kernel fills at most size_of::<FsUuid2>() bytes, which the opcode encodes, and
    // every bit pattern of them is a valid FsUuid2.
    let result: io::Result<FsUuid2> =
        unsafe { ioctl::ioctl(fd, ioctl::Getter::<GET, FsUuid2>::new()) };
    let found = result.ok()?;
    if found.len != 16 {
        return None;
    }
    let hex: String = found
        .uuid
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-"),
    )
}

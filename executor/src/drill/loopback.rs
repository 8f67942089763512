//! The loopback device of the room, which a new network namespace has and leaves down: with it a check can start
//! a server and ask it. There is no other device.

use std::{io, os::fd::AsRawFd as _};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::room::no_room;
use crate::error::Result;

/// A request of rtnetlink(7) to change a device.
const NEW_LINK: u16 = 16;
/// That it is a request, and that it is to be answered.
const ASK: u16 = 1 | 4;
/// The header of a message, in bytes.
const HEADER: usize = 16;
/// A device's part of a message, in bytes.
const DEVICE: usize = 16;
/// The number that the loopback device has in each network namespace.
const LOOPBACK: i32 = 1;
/// That a device is up.
const UP: u32 = 1;

/// Brings the loopback device up.
///
/// # Errors
/// The system refuses: there is no room as it was promised.
pub(super) fn bring_up() -> Result<()> {
    ask_for_it().map_err(|error| no_room("bring its loopback device up", error))
}

fn ask_for_it() -> io::Result<()> {
    let route = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    let request = request();
    let descriptor = route.as_raw_fd();
    sendto(descriptor, &request, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(descriptor, &mut answer, MsgFlags::empty())?;
    // An answer's content is an error number, negative, or 0.
    let number = answer[..length].get(HEADER..HEADER + 4);
    let number = number.and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// `struct nlmsghdr` and `struct ifinfomsg`, as netlink(7) and rtnetlink(7) have them.
fn request() -> Vec<u8> {
    let length = u32::try_from(HEADER + DEVICE).unwrap_or(0);
    let mut bytes = Vec::with_capacity(HEADER + DEVICE);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(NEW_LINK.to_ne_bytes());
    bytes.extend(ASK.to_ne_bytes());
    // The request's number, and nobody in particular.
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    // Any family, padding, any kind of device.
    bytes.extend([0; 4]);
    bytes.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them count.
    bytes.extend(UP.to_ne_bytes());
    bytes.extend(UP.to_ne_bytes());
    bytes
}

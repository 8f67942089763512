//! The journal of systemd, by its native protocol: one datagram a record, with fields.
//!
//! The protocol is that of <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: `NAME=value` lines; no value
//! here has a line break. It is used where standard error is connected to the journal, which sd-daemon
//! says in `JOURNAL_STREAM`.

use std::{io, os::unix::net::UnixDatagram, path::Path};

use schema::outside;

use super::Record;
use crate::sys::Stat;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest value, in bytes: a datagram must not exceed the socket's buffer.
const LONGEST: usize = 32 * 1024;

/// A connection to the journal.
#[derive(Debug)]
pub struct Journald(UnixDatagram);

impl Journald {
    /// The journal, if standard error goes there; none if not, or if it cannot be reached.
    #[must_use]
    pub fn of_stderr() -> Option<Self> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let stat = Stat::of_fd(io::stderr()).ok()?;
        // A child's output may go elsewhere while the variable stays, so both must agree.
        (stream == format!("{}:{}", stat.dev, stat.ino))
            .then(|| Self::at(Path::new(SOCKET)).ok())
            .flatten()
    }

    fn at(socket: &Path) -> io::Result<Self> {
        let datagrams = UnixDatagram::unbound()?;
        datagrams.connect(socket)?;
        // A journal that hangs must not keep the backup.
        datagrams.set_nonblocking(true)?;
        Ok(Self(datagrams))
    }

    /// Sends a record; one that the journal does not take is dropped.
    pub fn write(&self, record: &Record<'_>) {
        let _ = self.0.send(&encode_datagram(record));
    }
}

fn encode_datagram(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = record.message();
    let priority = record.level.priority().to_string();
    let fields = [
        ("MESSAGE", Some(message.as_str())),
        ("PRIORITY", Some(&priority)),
        ("MESSAGE_ID", Some(record.kind.message_id())),
        ("SYSLOG_IDENTIFIER", Some("backup")),
        ("BACKUP_RUN_ID", record.run_id),
        ("BACKUP_STEP", record.step),
        ("BACKUP_DESTINATION", record.destination()),
        ("BACKUP_SNAPSHOT", record.snapshot),
        ("BACKUP_PATH", record.path),
        // `journalctl --unit` shows what root's programs say of a unit (systemd.journal-fields(7)).
        ("OBJECT_SYSTEMD_UNIT", record.unit),
    ];
    for (name, value) in fields {
        let Some(value) = value else {
            continue;
        };
        // A line break would end the field, and what follows would be one of another's making.
        let value = outside::one_line(value);
        let value = outside::first_bytes(&value, LONGEST);
        bytes.extend_from_slice(format!("{name}={value}\n").as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Kind, Level},
        *,
    };

    #[test]
    fn a_record_is_a_datagram_with_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let journal = UnixDatagram::bind(&socket).unwrap();
        let at = "2025-01-16T02:00:00+01:00".parse().unwrap();
        let mut record = Record::new(at, Level::Error, Kind::Problem, "permission denied");
        record.run_id = Some("run");
        record.step = Some("snapshot:usb");
        record.path = Some("/a\nPRIORITY=7");
        record.unit = Some("backup-local.service");
        let sender = Journald::at(&socket).unwrap();
        sender.write(&record);
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer).unwrap();
        let mut expected =
            b"MESSAGE=snapshot:usb: /a\\012PRIORITY=7: permission denied\nPRIORITY=3\n".to_vec();
        expected.extend_from_slice(b"MESSAGE_ID=acac334f0e7e407083c708dc9e400203\n");
        expected.extend_from_slice(b"SYSLOG_IDENTIFIER=backup\nBACKUP_RUN_ID=run\n");
        expected.extend_from_slice(b"BACKUP_STEP=snapshot:usb\nBACKUP_DESTINATION=usb\n");
        expected.extend_from_slice(b"BACKUP_PATH=/a\\012PRIORITY=7\n");
        expected.extend_from_slice(b"OBJECT_SYSTEMD_UNIT=backup-local.service\n");
        assert_eq!(
            String::from_utf8_lossy(&buffer[..length]),
            String::from_utf8_lossy(&expected)
        );
        // Nobody reads on: the rest is dropped, and nothing waits.
        for _ in 0..10_000 {
            sender.write(&record);
        }
    }
}

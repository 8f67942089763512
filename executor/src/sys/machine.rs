//! Which machine this is, whatever its host name.

use std::path::Path;

use schema::Digest;

/// Where the machine's id stands (machine-id(5)), and where systems without systemd have it.
const FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// Said before the id in what is digested: machine-id(5) asks that nobody tells the id itself.
const PURPOSE: &[u8] = b"backup: which machine a destination belongs to\n";

/// A digest of this machine's id, the same at every start and another one on every machine; none
/// where the machine has no id.
///
/// A machine that is installed anew has another one.
#[must_use]
pub fn machine_id() -> Option<Digest> {
    FILES.iter().find_map(|file| id_in(Path::new(file)))
}

fn id_in(file: &Path) -> Option<Digest> {
    let text = std::fs::read_to_string(file).ok()?;
    let id = text.trim().to_ascii_lowercase();
    // An image that was not started yet says `uninitialized`, or nothing.
    let digits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_set = digits && id.bytes().any(|byte| byte != b'0');
    is_set.then(|| Digest::of(&[PURPOSE, id.as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_digested_and_what_is_no_id_is_none() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("machine-id");
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            id_in(&file)
        };
        let one = of("0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(of("0123456789ABCDEF0123456789ABCDEF"), Some(one));
        assert_ne!(of("1123456789abcdef0123456789abcdef\n"), Some(one));
        assert_ne!(one, Digest::of(b"0123456789abcdef0123456789abcdef"));
        for none in ["", "uninitialized\n", "0123", &"0".repeat(32)] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(id_in(&temporary.path().join("none")), None);
    }
}

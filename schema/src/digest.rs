//! SHA-256 digests: of file contents, configurations, plans.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::as_text;

/// A SHA-256 digest (FIPS 180-4), written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of a value's compact JSON, which binds a plan to what it was made from.
    ///
    /// Field order is declaration order and maps are sorted, so equal values give equal digests.
    #[must_use]
    pub fn of_json(value: &impl Serialize) -> Self {
        // Serialising to memory fails only for maps with keys that are not text; there are none.
        Self::of(&serde_json::to_vec(value).unwrap_or_default())
    }

    /// The digest that 64 lowercase hexadecimal digits spell.
    #[must_use]
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        // What each byte is worth as a digit. A manifest has a digest in each of its millions of lines.
        const NONE: u8 = 0xff;
        const WORTH: [u8; 256] = {
            let mut worth = [NONE; 256];
            let mut digit = 0;
            while digit < 16 {
                worth[b"0123456789abcdef"[digit as usize] as usize] = digit;
                digit += 1;
            }
            worth
        };
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        let mut any = 0;
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (WORTH[usize::from(pair[0])], WORTH[usize::from(pair[1])]);
            any |= high | low;
            *byte = high << 4 | (low & 15);
        }
        (any < 16).then_some(Self(bytes))
    }

    /// The 64 lowercase hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }

    /// The first eight hexadecimal digits, for names and messages.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

/// Gives the hexadecimal digits of a digest as a text, without the formatter: thousands are written.
fn with_hex<T>(digest: &Digest, write: impl FnOnce(&str) -> T) -> T {
    let hex = digest.hex();
    // All of them are ASCII.
    write(std::str::from_utf8(&hex).unwrap_or_default())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_hex(self, |hex| f.write_str(hex))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text.as_bytes()).ok_or("not 64 lowercase hexadecimal digits")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        with_hex(self, |hex| serializer.serialize_str(hex))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::deserialize(deserializer)
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "SHA-256, 64 lowercase hexadecimal digits.",
            "pattern": "^[0-9a-f]{64}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_prints_as_sha256sum_does_and_reads_back() {
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        for at in 0..64 {
            for byte in (0..=255_u8).filter(|byte| !b"0123456789abcdef".contains(byte)) {
                let mut wrong = text.as_bytes().to_vec();
                wrong[at] = byte;
                assert_eq!(Digest::from_hex(&wrong), None, "{byte} at {at}");
            }
        }
    }
}

//! What is gone from the sources since the snapshot that a new one starts from.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amount;

/// Regular files that the basis has and that stand nowhere in the sources any more. What only moved is
/// there, and what is not backed up any more is not gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// How many; each name of a file counts.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
    /// The innermost folder that most of them were in, as people read it.
    pub most_in: String,
    /// How many of them were in it, or in a folder of it.
    pub most_files: u64,
}

impl Gone {
    /// Where they were: `all in` or `most in` a folder, with the folder as this makes of it.
    #[must_use]
    pub fn place(&self, shown: impl Fn(&str) -> String) -> String {
        let share = match self.most_files {
            _ if self.files == 1 => "in",
            all if all == self.files => "all in",
            _ => "most in",
        };
        format!("{share} {}", shown(&self.most_in))
    }
}

/// As in `73 files (1.2 GiB), most in /home/ann/Documents`.
impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}), {}",
            amount::plural(self.files, "file", "files"),
            amount::bytes(self.bytes),
            self.place(str::to_owned)
        )
    }
}

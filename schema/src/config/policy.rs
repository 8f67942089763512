//! `policy`: how many copies there must be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many copies there must be of what is backed up.
///
/// 3-2-1 is Peter Krogh's rule ("The DAM Book", 2005) and US-CERT's ("Data Backup Options", 2012); the two
/// figures after it are what the trade added when ransomware began to delete backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Policy {
    /// Whatever is configured.
    #[default]
    #[serde(rename = "none")]
    None,
    /// Three copies with the original, on two kinds of medium, one of them off site.
    #[serde(rename = "3-2-1")]
    ThreeTwoOne,
    /// As `3-2-1`, one that this machine cannot delete, and none that is never read back.
    #[serde(rename = "3-2-1-1-0")]
    ThreeTwoOneOneZero,
}

impl Policy {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// As a configuration has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ThreeTwoOne => "3-2-1",
            Self::ThreeTwoOneOneZero => "3-2-1-1-0",
        }
    }
}

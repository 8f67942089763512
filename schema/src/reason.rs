//! Why a snapshot is kept and why one expires, as the plan records it and people read it.
//!
//! Values and their wording only: which reason holds is decided by `planner::retention`.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SnapshotId;

/// One reason to keep a snapshot; several may hold at once.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeepReason {
    /// It stands for one of the last days.
    Daily {
        /// The day, by the local date recorded with the snapshot.
        day: NaiveDate,
    },
    /// It stands for one of the last weeks.
    Weekly {
        /// The first day of the week.
        week_start: NaiveDate,
    },
    /// It stands for one of the last months.
    Monthly {
        /// The year.
        year: i32,
        /// The month, 1 to 12.
        month: u32,
    },
    /// It is the newest one that counts.
    Newest,
    /// It is the newest one without errors, while the newest of all was sealed with some.
    NewestComplete,
    /// It is the newest one that a verification found sound.
    NewestVerified,
    /// A person pinned it.
    Pinned,
    /// It starts in the future: a clock was or is wrong, so its age says nothing.
    Future,
    /// It is suspect, and nobody has accepted it yet.
    Suspect,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daily { day } => write!(f, "daily of {day}"),
            Self::Weekly { week_start } => write!(f, "weekly of {week_start}"),
            Self::Monthly { year, month } => write!(f, "monthly of {year:04}-{month:02}"),
            Self::Newest => f.write_str("the newest snapshot"),
            Self::NewestComplete => f.write_str("the newest complete snapshot"),
            Self::NewestVerified => f.write_str("the newest verified snapshot"),
            Self::Pinned => f.write_str("pinned"),
            Self::Future => f.write_str("dated in the future"),
            Self::Suspect => f.write_str("suspect and not yet accepted"),
        }
    }
}

/// The reason why a snapshot is no longer kept.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ExpireReason {
    /// A better one of the same day is kept: a newer one, or one without errors.
    Superseded {
        /// The day of both.
        day: NaiveDate,
        /// The one that stands for the day.
        by: SnapshotId,
    },
    /// It stands for none of the days, weeks and months that are kept.
    PastLimits {
        /// How many days are kept.
        keep_daily: u32,
        /// How many weeks are kept.
        keep_weekly: u32,
        /// How many months are kept.
        keep_monthly: u32,
    },
    /// It was uploaded, and `cloud.syncMode` is `move`.
    InTheCloud,
}

impl fmt::Display for ExpireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTheCloud => f.write_str("uploaded to the cloud (cloud.syncMode is move)"),
            Self::Superseded { by, .. } => write!(f, "superseded by {by} on the same day"),
            Self::PastLimits {
                keep_daily,
                keep_weekly,
                keep_monthly,
            } => {
                let limits: Vec<String> = [
                    (keep_daily, "daily"),
                    (keep_weekly, "weekly"),
                    (keep_monthly, "monthly"),
                ]
                .into_iter()
                .filter(|(keep, _)| **keep > 0)
                .map(|(keep, tier)| format!("{keep} {tier}"))
                .collect();
                match limits.split_last() {
                    None => f.write_str("not the newest, and no tier is kept"),
                    Some((only, [])) if only.starts_with("1 ") => {
                        let tier = only.trim_start_matches("1 ");
                        write!(f, "not the last {tier} snapshot")
                    }
                    Some((only, [])) => write!(f, "not among the last {only} snapshots"),
                    Some((last, others)) => write!(
                        f,
                        "not among the last {} and {last} snapshots",
                        others.join(", ")
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn reasons_read_as_sentences() {
        let limits = |keep_daily, keep_weekly, keep_monthly| ExpireReason::PastLimits {
            keep_daily,
            keep_weekly,
            keep_monthly,
        };
        let superseded = ExpireReason::Superseded {
            day: day("2025-01-16"),
            by: "2025-01-16_14-00-00".parse().unwrap(),
        };
        let weekly = KeepReason::Weekly {
            week_start: day("2025-01-12"),
        };
        let monthly = KeepReason::Monthly {
            year: 2025,
            month: 1,
        };
        for (said, expected) in [
            (weekly.to_string(), "weekly of 2025-01-12"),
            (monthly.to_string(), "monthly of 2025-01"),
            (
                superseded.to_string(),
                "superseded by 2025-01-16_14-00-00 on the same day",
            ),
            (
                limits(7, 4, 6).to_string(),
                "not among the last 7 daily, 4 weekly and 6 monthly snapshots",
            ),
            (
                limits(0, 4, 6).to_string(),
                "not among the last 4 weekly and 6 monthly snapshots",
            ),
            (
                limits(7, 0, 0).to_string(),
                "not among the last 7 daily snapshots",
            ),
            (limits(0, 1, 0).to_string(), "not the last weekly snapshot"),
            (
                limits(0, 0, 0).to_string(),
                "not the newest, and no tier is kept",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn reasons_are_tagged_objects_that_read_back() {
        let weekly = KeepReason::Weekly {
            week_start: day("2025-01-12"),
        };
        let json = serde_json::to_string(&weekly).unwrap();
        assert_eq!(json, r#"{"kind":"weekly","week_start":"2025-01-12"}"#);
        assert_eq!(serde_json::from_str::<KeepReason>(&json).unwrap(), weekly);

        let superseded = ExpireReason::Superseded {
            day: day("2025-01-16"),
            by: "2025-01-16_14-00-00".parse().unwrap(),
        };
        let json = serde_json::to_string(&superseded).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"superseded","day":"2025-01-16","by":"2025-01-16_14-00-00"}"#
        );
        assert_eq!(
            serde_json::from_str::<ExpireReason>(&json).unwrap(),
            superseded
        );
        assert_eq!(
            serde_json::to_string(&KeepReason::NewestVerified).unwrap(),
            r#"{"kind":"newest-verified"}"#
        );
    }
}

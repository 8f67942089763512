//! Why a snapshot is kept and why one expires, as the plan records it and people read it.
//!
//! Values and their wording only: which reason holds is decided by `planner::retention`.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, Tier};

/// One reason to keep a snapshot; several may hold at once.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeepReason {
    /// It is one of the last, whatever its day.
    Last {
        /// How many of the last are kept.
        of: u32,
    },
    /// It stands for one of the last hours.
    Hourly {
        /// When the hour began, by the clock that the snapshot was started under.
        hour: DateTime<FixedOffset>,
    },
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
    /// It stands for one of the last years.
    Yearly {
        /// The year.
        year: i32,
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
            Self::Last { of: 1 } => f.write_str("the last one"),
            Self::Last { of } => write!(f, "one of the last {of}"),
            Self::Hourly { hour } => write!(f, "hourly of {}", hour.format("%Y-%m-%d %H:%M")),
            Self::Daily { day } => write!(f, "daily of {day}"),
            Self::Weekly { week_start } => write!(f, "weekly of {week_start}"),
            Self::Monthly { year, month } => write!(f, "monthly of {year:04}-{month:02}"),
            Self::Yearly { year } => write!(f, "yearly of {year:04}"),
            Self::Newest => f.write_str("the newest snapshot"),
            Self::NewestComplete => f.write_str("the newest complete snapshot"),
            Self::NewestVerified => f.write_str("the newest verified snapshot"),
            Self::Pinned => f.write_str("pinned"),
            Self::Future => f.write_str("dated in the future"),
            Self::Suspect => f.write_str("suspect and not yet accepted"),
        }
    }
}

/// A rule of retention, by the option that sets it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeepRule {
    /// The last snapshots, whatever their day.
    Last,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// Weeks.
    Weekly,
    /// Calendar months.
    Monthly,
    /// Calendar years.
    Yearly,
}

impl KeepRule {
    /// All rules, the longest-lived last.
    pub const ALL: [Self; 6] = [
        Self::Last,
        Self::Hourly,
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Yearly,
    ];

    /// The option that says how many it keeps.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Last => "local.keepLast",
            Self::Hourly => "local.keepHourly",
            Self::Daily => "local.keepDaily",
            Self::Weekly => "local.keepWeekly",
            Self::Monthly => "local.keepMonthly",
            Self::Yearly => "local.keepYearly",
        }
    }

    /// What it keeps one of, or what it keeps: one and several.
    fn unit(self) -> (&'static str, &'static str) {
        match self {
            Self::Last => ("snapshot", "snapshots"),
            Self::Hourly => ("hour", "hours"),
            Self::Daily => ("day", "days"),
            Self::Weekly => ("week", "weeks"),
            Self::Monthly => ("month", "months"),
            Self::Yearly => ("year", "years"),
        }
    }
}

impl From<Tier> for KeepRule {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Hourly => Self::Hourly,
            Tier::Daily => Self::Daily,
            Tier::Weekly => Self::Weekly,
            Tier::Monthly => Self::Monthly,
            Tier::Yearly => Self::Yearly,
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
        /// How many of the last are kept, which is what could have kept it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep_last: Option<u32>,
    },
    /// It is not among those that the rules keep.
    PastLimits {
        /// The longest-lived rule that it fell out of; none in plans of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<KeepRule>,
        /// How many of the last are kept.
        #[serde(default)]
        keep_last: u32,
        /// How many hours are kept.
        #[serde(default)]
        keep_hourly: u32,
        /// How many days are kept.
        keep_daily: u32,
        /// How many weeks are kept.
        keep_weekly: u32,
        /// How many months are kept.
        keep_monthly: u32,
        /// How many years are kept.
        #[serde(default)]
        keep_yearly: u32,
    },
    /// It was uploaded, and `cloud.syncMode` is `move`.
    InTheCloud,
    /// It is the oldest, there is no room, and `local.makeRoom` is `oldest`.
    Oldest,
    /// A person named it.
    ByHand,
}

impl fmt::Display for ExpireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InTheCloud => f.write_str("uploaded to the cloud (cloud.syncMode is move)"),
            Self::Oldest => f.write_str("the oldest (local.makeRoom is oldest)"),
            Self::ByHand => f.write_str("named by hand"),
            Self::Superseded { by, keep_last, .. } => {
                write!(f, "superseded by {by} on the same day")?;
                keep_last.map_or(Ok(()), |keep| write!(f, " (local.keepLast is {keep})"))
            }
            Self::PastLimits {
                rule,
                keep_last,
                keep_hourly,
                keep_daily,
                keep_weekly,
                keep_monthly,
                keep_yearly,
            } => {
                let rule = rule.unwrap_or(KeepRule::Daily);
                let (option, (one, several)) = (rule.option(), rule.unit());
                match match rule {
                    KeepRule::Last => keep_last,
                    KeepRule::Hourly => keep_hourly,
                    KeepRule::Daily => keep_daily,
                    KeepRule::Weekly => keep_weekly,
                    KeepRule::Monthly => keep_monthly,
                    KeepRule::Yearly => keep_yearly,
                } {
                    0 => write!(f, "not the newest ({option} is 0)"),
                    1 => write!(f, "not of the last {one} ({option} is 1)"),
                    keep => write!(f, "not of the last {keep} {several} ({option})"),
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
        let past = |rule, keep| ExpireReason::PastLimits {
            rule: Some(rule),
            keep_last: keep,
            keep_hourly: keep,
            keep_daily: keep,
            keep_weekly: keep,
            keep_monthly: keep,
            keep_yearly: keep,
        };
        let superseded = ExpireReason::Superseded {
            day: day("2025-01-16"),
            by: "2025-01-16_14-00-00".parse().unwrap(),
            keep_last: Some(3),
        };
        let hour = DateTime::parse_from_rfc3339("2025-01-16T14:00:00+01:00").unwrap();
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
            (KeepReason::Last { of: 3 }.to_string(), "one of the last 3"),
            (
                KeepReason::Hourly { hour }.to_string(),
                "hourly of 2025-01-16 14:00",
            ),
            (
                KeepReason::Yearly { year: 2025 }.to_string(),
                "yearly of 2025",
            ),
            (
                superseded.to_string(),
                "superseded by 2025-01-16_14-00-00 on the same day (local.keepLast is 3)",
            ),
            (
                past(KeepRule::Daily, 7).to_string(),
                "not of the last 7 days (local.keepDaily)",
            ),
            (
                past(KeepRule::Last, 5).to_string(),
                "not of the last 5 snapshots (local.keepLast)",
            ),
            (
                past(KeepRule::Weekly, 1).to_string(),
                "not of the last week (local.keepWeekly is 1)",
            ),
            (
                past(KeepRule::Daily, 0).to_string(),
                "not the newest (local.keepDaily is 0)",
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
            keep_last: None,
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
        // As versions wrote it that had three rules.
        let json = r#"{"kind":"past-limits","keep_daily":7,"keep_weekly":4,"keep_monthly":6}"#;
        let past: ExpireReason = serde_json::from_str(json).unwrap();
        assert_eq!(past.to_string(), "not of the last 7 days (local.keepDaily)");
        assert_eq!(
            serde_json::to_string(&KeepReason::NewestVerified).unwrap(),
            r#"{"kind":"newest-verified"}"#
        );
    }
}

//! Which snapshot a person means: an id or its beginning, a day, `latest`, `latest~N`, `tier/…`.
//!
//! Owns the grammar of names, for snapshots of a disk as for those of a remote. Where something
//! stands is never what it is: a snapshot that was promoted is found under its old tier as well.

use chrono::{DateTime, Utc};
use schema::{SnapshotId, Tier, clock};

/// Why nothing is meant where there is nothing.
pub(crate) const NO_SNAPSHOT: &str = "there is no snapshot yet";
/// What follows the name in a refusal of one that may mean several.
const MAY_BE_ANY: &str = "` may be any of ";
/// How many names a refusal lists.
const LISTED: usize = 5;

/// A snapshot that a name may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The name of its folder, mostly an id.
    pub name: String,
    /// The tiers that it stands in, as a folder or as a link; empty where there are none.
    pub tiers: Vec<Tier>,
    /// When it was started; none where nothing says so.
    pub started_at: Option<DateTime<Utc>>,
    /// Whether `latest` may mean it.
    pub good: bool,
}

/// The place in the list of the one that is meant.
///
/// `latest` is the newest good one that is not dated in the future, `latest~1` the good one before
/// it. Of an exact name with a tier, the one that stands there is meant; else the tier is where it
/// stood once.
///
/// # Errors
/// Why none is meant, or which of several: a sentence without a hint.
pub fn named(name: &str, among: &[Candidate], now: DateTime<Utc>) -> Result<usize, String> {
    let asked = name.trim_end_matches('/');
    let (tier, name) = match asked.split_once('/') {
        None => (None, asked),
        Some((tier, name)) => {
            let known = tier.parse::<Tier>().map_err(|()| {
                let tiers = Tier::ALL.map(Tier::folder);
                format!("`{tier}` is not a tier: {}", tiers.join(", "))
            })?;
            (Some(known), name)
        }
    };
    let stands = |at: &usize| tier.is_none_or(|tier| among[*at].tiers.contains(&tier));
    if let Some(back) = back(name) {
        return latest(back, among, stands, now);
    }
    // Times as people write them: 2026-03-05 02:00.
    let spelt: String = name
        .chars()
        .map(|one| match one {
            ' ' | 'T' => '_',
            ':' => '-',
            other => other,
        })
        .collect();
    let is = |wanted: &str| matching(among, |candidate| candidate.name == wanted);
    let begins = |wanted: &str| matching(among, |candidate| begins_with(&candidate.name, wanted));
    for found in [is(name), begins(name), begins(&spelt)] {
        let here: Vec<usize> = found.iter().copied().filter(stands).collect();
        let found = if here.is_empty() { found } else { here };
        match found.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => return Err(ambiguous(asked, several, among)),
        }
    }
    Err(none(asked, among))
}

/// Whether this is why a name means none: it may mean several.
pub(crate) fn is_ambiguous(message: &str) -> bool {
    message.contains(MAY_BE_ANY)
}

/// How many before the newest: `latest`, `latest~` and `latest~2`; none of another name.
fn back(name: &str) -> Option<usize> {
    match name.strip_prefix("latest")? {
        "" => Some(0),
        "~" => Some(1),
        rest => {
            let number = rest.strip_prefix('~')?;
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| number.parse().ok())?
        }
    }
}

fn latest(
    back: usize,
    among: &[Candidate],
    stands: impl Fn(&usize) -> bool,
    now: DateTime<Utc>,
) -> Result<usize, String> {
    let mut good: Vec<(DateTime<Utc>, usize)> = (0..among.len())
        .filter(|at| among[*at].good && stands(at))
        .filter_map(|at| Some((among[at].started_at?, at)))
        .collect();
    // What a clock that was ahead has dated is meant only where there is nothing else.
    if good.iter().any(|(time, _)| !in_future(*time, now)) {
        good.retain(|(time, _)| !in_future(*time, now));
    }
    good.sort_by_key(|(time, at)| (*time, &among[*at].name));
    match good.len().checked_sub(back + 1) {
        Some(place) => Ok(good[place].1),
        None if good.is_empty() && among.is_empty() => Err(NO_SNAPSHOT.to_owned()),
        None if good.is_empty() => Err("there is no good snapshot".to_owned()),
        None => Err(format!(
            "latest~{back} is none of the {} good snapshots; the oldest, latest~{}, is {}",
            good.len(),
            good.len() - 1,
            among[good[0].1].name
        )),
    }
}

/// Why nothing has this name, with what there is.
fn none(asked: &str, among: &[Candidate]) -> String {
    let is_id = |one: &&Candidate| one.name.parse::<SnapshotId>().is_ok();
    let mut names: Vec<&str> = among.iter().filter(is_id).map(|one| &*one.name).collect();
    if names.is_empty() {
        names = among.iter().map(|one| &*one.name).collect();
    }
    names.sort_unstable();
    match names.as_slice() {
        [] => NO_SNAPSHOT.to_owned(),
        [one] => format!("there is no snapshot `{asked}`; the only one is {one}"),
        [first, .., last] => format!(
            "there is no snapshot `{asked}`; there are {}, from {first} to {last}",
            names.len()
        ),
    }
}

/// Whether it is dated so far in the future that a clock must have been wrong.
fn in_future(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    clock::is_ahead(time, now)
}

fn matching(among: &[Candidate], test: impl Fn(&Candidate) -> bool) -> Vec<usize> {
    (0..among.len()).filter(|at| test(&among[*at])).collect()
}

/// Whether an id begins so. Of other names only the whole is meant.
fn begins_with(name: &str, beginning: &str) -> bool {
    !beginning.is_empty() && name.starts_with(beginning) && name.parse::<SnapshotId>().is_ok()
}

fn ambiguous(asked: &str, several: &[usize], among: &[Candidate]) -> String {
    let shown = several.iter().take(LISTED).map(|at| {
        let one = &among[*at];
        match one.tiers.first() {
            Some(tier) => format!("{tier}/{}", one.name),
            None => one.name.clone(),
        }
    });
    let shown: Vec<String> = shown.collect();
    let more = match several.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "`{asked}{MAY_BE_ANY}{}: {}{more}",
        several.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn one(name: &str, tiers: &[Tier], started_at: Option<&str>, good: bool) -> Candidate {
        Candidate {
            name: name.to_owned(),
            tiers: tiers.to_vec(),
            started_at: started_at.map(time),
            good,
        }
    }

    /// The names are of a clock that is an hour ahead of UTC, the third one of another.
    fn some() -> Vec<Candidate> {
        use Tier::{Daily, Monthly, Weekly};
        vec![
            one(
                "2026-03-01_03-00-00",
                &[Monthly, Weekly],
                Some("2026-03-01T02:00:00Z"),
                true,
            ),
            one(
                "2026-03-04_03-00-00",
                &[Weekly],
                Some("2026-03-04T02:00:00Z"),
                true,
            ),
            one(
                "2026-03-04_01-00-00",
                &[Daily],
                Some("2026-03-04T06:00:00Z"),
                true,
            ),
            one(
                "2026-03-05_03-00-00",
                &[Daily],
                Some("2026-03-05T02:00:00Z"),
                false,
            ),
            one(
                "2026-03-06_03-00-00",
                &[Daily],
                Some("2026-03-06T02:00:00Z"),
                true,
            ),
            one(
                "2031-01-01_00-00-00",
                &[Daily],
                Some("2031-01-01T00:00:00Z"),
                true,
            ),
            one("old", &[Daily], None, false),
        ]
    }

    fn found(name: &str) -> Result<String, String> {
        let some = some();
        named(name, &some, time("2026-03-07T00:00:00Z")).map(|at| some[at].name.clone())
    }

    #[test]
    fn a_snapshot_is_found_by_all_its_names() {
        for (name, meant) in [
            ("latest", "2026-03-06_03-00-00"),
            ("latest/", "2026-03-06_03-00-00"),
            ("latest~0", "2026-03-06_03-00-00"),
            // By time, not by name; what is suspect is passed over.
            ("latest~", "2026-03-04_01-00-00"),
            ("latest~1", "2026-03-04_01-00-00"),
            ("latest~2", "2026-03-04_03-00-00"),
            ("latest~3", "2026-03-01_03-00-00"),
            ("weekly/latest", "2026-03-04_03-00-00"),
            ("2026-03-05_03-00-00", "2026-03-05_03-00-00"),
            ("daily/2026-03-01_03-00-00/", "2026-03-01_03-00-00"),
            ("daily/2026-03-01", "2026-03-01_03-00-00"),
            ("2026-03-06", "2026-03-06_03-00-00"),
            ("2026-03-04 03:00", "2026-03-04_03-00-00"),
            ("2026-03-04T01:00:00", "2026-03-04_01-00-00"),
            // In the tier there is one only.
            ("weekly/2026-03-04", "2026-03-04_03-00-00"),
            ("2031", "2031-01-01_00-00-00"),
            ("old", "old"),
            ("daily/old", "old"),
        ] {
            assert_eq!(found(name).as_deref(), Ok(meant), "{name}");
        }
    }

    #[test]
    fn what_means_none_or_several_is_refused_with_what_there_is() {
        for (name, message) in [
            (
                "2026-03-04",
                "`2026-03-04` may be any of 2: weekly/2026-03-04_03-00-00, daily/2026-03-04_01-00-00",
            ),
            (
                "2020-01-01",
                "there is no snapshot `2020-01-01`; there are 6, from 2026-03-01_03-00-00 to 2031-01-01_00-00-00",
            ),
            (
                "ol",
                "there is no snapshot `ol`; there are 6, from 2026-03-01_03-00-00 to 2031-01-01_00-00-00",
            ),
            (
                "",
                "there is no snapshot ``; there are 6, from 2026-03-01_03-00-00 to 2031-01-01_00-00-00",
            ),
            (
                "latest~4",
                "latest~4 is none of the 4 good snapshots; the oldest, latest~3, is 2026-03-01_03-00-00",
            ),
        ] {
            assert_eq!(found(name), Err(message.to_owned()), "{name}");
        }
        assert!(
            found("decennial/2026")
                .unwrap_err()
                .starts_with("`decennial` is not a tier: ")
        );
        assert!(found("2026").unwrap_err().contains("may be any of 5: "));
        for name in ["latest~x", "latest~-1", "latest~99999999999999999999"] {
            assert!(
                found(name)
                    .unwrap_err()
                    .starts_with("there is no snapshot `latest~"),
                "{name}"
            );
        }
        let now = time("2026-03-07T00:00:00Z");
        assert_eq!(
            named("latest", &[], now),
            Err("there is no snapshot yet".to_owned())
        );
        assert_eq!(
            named("latest", &some()[3..4], now),
            Err("there is no good snapshot".to_owned())
        );
    }

    #[test]
    fn two_folders_of_one_name_are_told_apart_by_their_tier() {
        let twice = [
            one("2026-03-04_03-00-00", &[Tier::Daily], None, false),
            one("2026-03-04_03-00-00", &[Tier::Weekly], None, false),
        ];
        let now = time("2026-03-07T00:00:00Z");
        assert_eq!(named("weekly/2026-03-04_03-00-00", &twice, now), Ok(1));
        assert!(named("2026-03-04_03-00-00", &twice, now).is_err());
        assert!(named("monthly/2026-03-04_03-00-00", &twice, now).is_err());
    }

    #[test]
    fn what_a_clock_ahead_has_dated_is_the_latest_only_where_it_is_alone() {
        let ahead = [one(
            "2031-01-01_00-00-00",
            &[],
            Some("2031-01-01T00:00:00Z"),
            true,
        )];
        assert_eq!(named("latest", &ahead, time("2026-03-07T00:00:00Z")), Ok(0));
    }
}

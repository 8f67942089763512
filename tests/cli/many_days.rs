//! Forty days of backups: after each the tiers are what a small model of the rules says.
//!
//! The model knows all days that ever had a backup and picks from them by the text of the rules;
//! it shares nothing with the program and never forgets, so pruning each day must come to the same.

use std::{collections::BTreeMap, fs};

use chrono::{DateTime, Datelike as _, Days, FixedOffset, NaiveDate, TimeZone as _, Utc, Weekday};

use crate::lab::{Lab, contents_below, entry_names, id_of};

struct Rules {
    daily: usize,
    weekly: usize,
    monthly: usize,
    week_starts_on: Weekday,
}

/// Two in the morning in Berlin; the night in which that hour does not exist, three.
fn night(day: NaiveDate) -> DateTime<FixedOffset> {
    // Summer time began on 2026-03-29 at 01:00 UTC.
    let change = Utc.with_ymd_and_hms(2026, 3, 29, 1, 0, 0).unwrap();
    let winter = FixedOffset::east_opt(3600).unwrap();
    let at = day.and_hms_opt(2, 0, 0).unwrap();
    let at = winter.from_local_datetime(&at).unwrap();
    let summer = FixedOffset::east_opt(7200).unwrap();
    if at < change {
        at
    } else if day == change.date_naive() {
        at.with_timezone(&summer)
    } else {
        let at = day.and_hms_opt(2, 0, 0).unwrap();
        summer.from_local_datetime(&at).unwrap()
    }
}

fn week(day: NaiveDate, starts_on: Weekday) -> NaiveDate {
    let mut first = day;
    while first.weekday() != starts_on {
        first = first.pred_opt().unwrap();
    }
    first
}

fn last<T: Clone>(all: impl Iterator<Item = T>, count: usize) -> Vec<T> {
    let all: Vec<T> = all.collect();
    all[all.len().saturating_sub(count)..].to_vec()
}

/// What stands in the tiers after backups on these days, in order, one a day.
fn model(rules: &Rules, days: &[NaiveDate]) -> (Vec<String>, String) {
    let first_of = |bucket: &dyn Fn(NaiveDate) -> NaiveDate| {
        let mut firsts: BTreeMap<NaiveDate, NaiveDate> = BTreeMap::new();
        for day in days {
            firsts.entry(bucket(*day)).or_insert(*day);
        }
        firsts.into_values()
    };
    let weeklies = first_of(&|day| week(day, rules.week_starts_on));
    let monthlies = first_of(&|day| day.with_day(1).unwrap());
    let tiers = [
        ("daily", last(days.iter().copied(), rules.daily)),
        ("weekly", last(weeklies, rules.weekly)),
        ("monthly", last(monthlies, rules.monthly)),
    ];
    let id = |day: NaiveDate| id_of(&night(day).to_rfc3339());
    let home = |day: NaiveDate| {
        let keeping = tiers.iter().rev().find(|(_, kept)| kept.contains(&day));
        keeping.map_or("daily", |(tier, _)| tier)
    };
    let newest = *days.last().unwrap();
    let mut layout = Vec::new();
    for (tier, kept) in &tiers {
        let mut here = kept.clone();
        // The newest stays even where no tier keeps it.
        if *tier == home(newest) && !here.contains(&newest) {
            here.push(newest);
        }
        for day in here {
            let (id, home) = (id(day), home(day));
            layout.push(if home == *tier {
                format!("{tier}/{id}")
            } else {
                format!("{tier}/{id} -> ../{home}/{id}")
            });
        }
    }
    (layout, format!("{}/{}", home(newest), id(newest)))
}

fn forty_days(lab: &Lab, rules: &Rules, skipped: &str) {
    let skipped: NaiveDate = skipped.parse().unwrap();
    let first: NaiveDate = "2026-02-24".parse().unwrap();
    let mut days = Vec::new();
    for index in 0..40 {
        let day = first + Days::new(index);
        if day == skipped {
            continue;
        }
        lab.write("home/ann/letter.txt", &format!("dear all, it is {day}\n"));
        lab.write(&format!("home/bob/notes/{day}.md"), "a day\n");
        if index % 3 == 2 {
            let old = first + Days::new(index - 2);
            let _ = fs::remove_file(lab.path(format!("home/bob/notes/{old}.md")));
        }
        let report = lab.backup(&night(day).to_rfc3339());
        days.push(day);
        assert_eq!(report["result"], "success", "{day}: {report:#}");

        let (layout, latest) = model(rules, &days);
        assert_eq!(lab.tiers(), layout, "{day}");
        assert_eq!(lab.latest(), latest, "{day}");
        let mut ids: Vec<String> = layout
            .iter()
            .filter(|entry| !entry.contains("->"))
            .map(|entry| entry.split('/').nth(1).unwrap().to_owned())
            .collect();
        ids.sort();
        assert_eq!(lab.ids(), ids, "{day}");
        for tier in ["daily", "weekly", "monthly"] {
            for name in entry_names(&lab.stored(tier)) {
                // Through the link, if it is one.
                let letter = lab.inside(&format!("{tier}/{name}"), "home/ann/letter.txt");
                let text = fs::read_to_string(letter).unwrap();
                assert_eq!(text, format!("dear all, it is {}\n", &name[..10]));
            }
        }
        for left in ["partial", "trash"] {
            let left = lab.stored(".backup").join(left);
            assert_eq!(entry_names(&left), [""; 0], "{day}");
        }
    }
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn the_nights_of_the_model_are_those_of_berlin() {
    let nights: Vec<String> = ["2026-03-28", "2026-03-29", "2026-03-30"]
        .iter()
        .map(|day| night(day.parse().unwrap()).to_rfc3339())
        .collect();
    assert_eq!(
        nights,
        [
            "2026-03-28T02:00:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:00:00+02:00"
        ]
    );
}

#[test]
fn forty_days_with_the_default_policy_leave_what_the_rules_say() {
    let lab = Lab::new();
    let rules = Rules {
        daily: 7,
        weekly: 4,
        monthly: 6,
        week_starts_on: Weekday::Sun,
    };
    // A Sunday: its Monday stands for the week.
    forty_days(&lab, &rules, "2026-03-08");
}

#[test]
fn forty_days_with_a_small_policy_leave_what_the_rules_say() {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 2);
    lab.set("local.keepMonthly", 1);
    lab.set("local.weekStartsOn", "monday");
    let rules = Rules {
        daily: 2,
        weekly: 2,
        monthly: 1,
        week_starts_on: Weekday::Mon,
    };
    // The first of a month: the second stands for it.
    forty_days(&lab, &rules, "2026-03-01");
}

//! Calendar expressions and time spans compared with systemd itself.
//!
//! Owns the comparison of generated texts, from fixed seeds, with the verdict of the installed
//! `systemd-analyze` on each. It must not encode rules of its own: where the two differ, systemd is
//! right, but for what [`Outcome`] and [`Answer`] name.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

#[path = "calendar_systemd/fixed.rs"]
mod fixed;
#[path = "calendar_systemd/generate.rs"]
mod generate;

use std::{
    collections::{HashMap, HashSet},
    iter::successors,
    path::Path,
    process::{Command, Output},
};

use chrono::NaiveDateTime;
use planner::calendar::Calendar;
use schema::Span;

use generate::Dice;

/// What systemd makes of an accepted expression: its normalized form and next elapses.
struct Verdict {
    normalized: String,
    elapses: Vec<String>,
}

/// What systemd answers about a text that it does not refuse.
enum Answer {
    Read(Verdict),
    /// It reads the text, but loses its way among the clock changes of a zone and says no more.
    Lost,
}

/// What comparing one text shows.
#[derive(PartialEq, Eq)]
enum Outcome {
    Same,
    /// The zone has the shape of a name, which is all that we look at, but is none.
    UnknownZone,
    /// systemd leaves out the first elapse after a turn of a day, month or year when a step led
    /// past it, a defect that its maintainers acknowledge.
    SkippedTurn,
    Different(String),
}

/// How many elapses are compared.
const ELAPSES: usize = 3;

/// Moments to look from: ordinary ones, ends of months and years, leap days, the last years there
/// are.
const BASES: [&str; 10] = [
    "2025-01-01 00:00:00",
    "2024-02-28 23:59:59",
    "2024-02-29 12:30:15",
    "2023-12-31 23:59:59",
    "2026-10-31 01:02:03",
    "1970-01-02 00:00:01",
    "2099-12-31 23:00:00",
    "2100-02-28 06:07:08",
    "2031-06-15 17:48:00",
    "2198-12-30 10:00:00",
];

#[test]
fn calendar_expressions_mean_what_systemd_says() {
    if !systemd_analyze_is_there() {
        return;
    }
    let mut dice = Dice::new(0x5eed_ca1e_0da2);
    let mut texts: Vec<String> = fixed::EXPRESSIONS.iter().map(|&t| t.to_owned()).collect();
    for _ in 0..4000 {
        texts.push(generate::expression(&mut dice));
    }
    for _ in 0..2500 {
        let valid = generate::expression(&mut dice);
        texts.push(generate::mutation(&mut dice, &valid));
    }
    drop_repeated(&mut texts);

    let (mut accepted, mut zones, mut skips, mut lost) = (0, 0, 0, 0);
    let mut differences = Vec::new();
    for (at, batch) in texts.chunks(100).enumerate() {
        let base = BASES[at % BASES.len()];
        let mut answers = ask(base, batch);
        for text in batch {
            let theirs = match answers.remove(text.as_str()) {
                Some(Answer::Lost) => {
                    lost += 1;
                    continue;
                }
                Some(Answer::Read(verdict)) => Some(verdict),
                None => None,
            };
            accepted += usize::from(theirs.is_some());
            match compare(text, theirs.as_ref(), base) {
                Outcome::Same => {}
                Outcome::UnknownZone => zones += 1,
                Outcome::SkippedTurn => skips += 1,
                Outcome::Different(how) => differences.push(format!("`{text}` from {base}: {how}")),
            }
        }
    }
    println!(
        "{} expressions, {accepted} accepted by systemd, {} differences \
         (not counting {zones} zones it does not know, {skips} elapses it skips, {lost} it does not find)",
        texts.len(),
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(texts.len() > 3000 && accepted > 1500 && texts.len() - accepted > 1500);
    assert!(skips < accepted / 50 && zones < accepted / 50 && lost < accepted / 50);
}

fn compare(text: &str, theirs: Option<&Verdict>, base: &str) -> Outcome {
    let difference = match (text.parse::<Calendar>(), theirs) {
        (Err(_), None) => return Outcome::Same,
        (Ok(calendar), Some(theirs)) => return compare_meaning(&calendar, theirs, base),
        (Ok(_), None) if text.rsplit_once(' ').is_some_and(|(_, zone)| no_zone(zone)) => {
            return Outcome::UnknownZone;
        }
        (Ok(calendar), None) => format!("systemd refuses it, we read `{calendar}`"),
        (Err(error), Some(theirs)) => {
            format!("systemd reads `{}`, we say: {error}", theirs.normalized)
        }
    };
    Outcome::Different(difference)
}

/// Whether a word looks like a time zone that the machine's database lacks.
fn no_zone(word: &str) -> bool {
    word.contains('/')
        && word.starts_with(char::is_alphabetic)
        && !["/usr/share/zoneinfo", "/etc/zoneinfo"]
            .iter()
            .any(|database| Path::new(database).join(word).is_file())
}

/// Where we and systemd part over an accepted expression.
fn compare_meaning(calendar: &Calendar, theirs: &Verdict, base: &str) -> Outcome {
    let normalized = calendar.normalized();
    if normalized != theirs.normalized {
        return Outcome::Different(format!(
            "normalized `{normalized}`, systemd: `{}`",
            theirs.normalized
        ));
    }
    // Other zones are wall-clock time to us, and UTC in what systemd prints.
    if calendar.zone().is_some_and(|zone| zone != "UTC") {
        return Outcome::Same;
    }
    let base = NaiveDateTime::parse_from_str(base, "%Y-%m-%d %H:%M:%S").unwrap();
    let moments: Vec<NaiveDateTime> = elapses(calendar, base).take(ELAPSES).collect();
    let ours: Vec<String> = moments.iter().copied().map(shown).collect();
    if ours != theirs.elapses {
        if normalized.contains('/') && only_skips_turns(calendar, &theirs.elapses, base) {
            return Outcome::SkippedTurn;
        }
        return Outcome::Different(format!("elapses {ours:?}, systemd: {:?}", theirs.elapses));
    }
    looks_back(calendar, &moments, base).map_or(Outcome::Same, Outcome::Different)
}

/// systemd cannot look back; looking back from what it said has to lead to what it said before.
fn looks_back(
    calendar: &Calendar,
    moments: &[NaiveDateTime],
    base: NaiveDateTime,
) -> Option<String> {
    for pair in moments.windows(2) {
        if calendar.previous_before(pair[1]) != Some(pair[0]) {
            return Some(format!("before {} is not {}", pair[1], pair[0]));
        }
    }
    let &first = moments.first()?;
    let previous = calendar.previous_before(first)?;
    let adjoins = previous <= base && calendar.next_after(previous) == Some(first);
    (!adjoins).then(|| format!("before {first} comes {previous}"))
}

/// Whether systemd's elapses are ours but for some right after a day has turned.
fn only_skips_turns(calendar: &Calendar, theirs: &[String], base: NaiveDateTime) -> bool {
    let mut moment = base;
    for their in theirs {
        let Some(next) = elapses(calendar, moment).next() else {
            return false;
        };
        let Some(found) = elapses(calendar, moment)
            .take(100_000)
            .find(|&our| shown(our) == *their)
        else {
            return false;
        };
        if found != next && next.date() == moment.date() {
            return false;
        }
        moment = found;
    }
    theirs.len() == ELAPSES || calendar.next_after(moment).is_none()
}

fn elapses(calendar: &Calendar, after: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
    successors(calendar.next_after(after), |&moment| {
        calendar.next_after(moment)
    })
}

/// A moment as systemd prints it, which leaves out fractions of a second.
fn shown(moment: NaiveDateTime) -> String {
    moment.format("%a %Y-%m-%d %H:%M:%S").to_string()
}

/// Asks systemd about many expressions at once. Those it refuses have no entry in the answer.
fn ask<'a>(base: &str, texts: &'a [String]) -> HashMap<&'a str, Answer> {
    let options = [
        "calendar",
        &format!("--base-time={base}"),
        &format!("--iterations={ELAPSES}"),
        "--",
    ];
    let output = systemd_analyze(options.into_iter().chain(texts.iter().map(String::as_str)));
    // Complaints go to standard error with the text as it is, the rest to standard output in order.
    let errors = String::from_utf8(output.stderr).unwrap();
    let (mut refused, mut lost) = (HashSet::new(), HashSet::new());
    for line in errors.lines().filter(|line| !line.starts_with("Hint: ")) {
        let (start, text) = line
            .rsplit_once("': ")
            .and_then(|(complaint, _)| complaint.split_once(" '"))
            .unwrap_or_else(|| panic!("an unknown answer: {line}"));
        match start {
            "Failed to parse calendar specification" => refused.insert(text),
            "Failed to determine next elapse for" if !text.ends_with("UTC") => lost.insert(text),
            _ => panic!("an unknown answer: {line}"),
        };
    }
    let mut verdicts: Vec<Verdict> = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((label, value)) = line.trim_start().split_once(": ") else {
            continue;
        };
        if label == "Normalized form" {
            verdicts.push(Verdict {
                normalized: value.to_owned(),
                elapses: Vec::new(),
            });
        } else if (label == "Next elapse" || label.starts_with("Iter")) && value != "never" {
            let moment = value.strip_suffix(" UTC").unwrap();
            verdicts.last_mut().unwrap().elapses.push(moment.to_owned());
        }
    }
    let answered: Vec<&str> = texts
        .iter()
        .map(String::as_str)
        .filter(|text| !refused.contains(text) && !lost.contains(text))
        .collect();
    assert_eq!(answered.len(), verdicts.len(), "answers and questions");
    let mut answers: HashMap<&str, Answer> = answered
        .into_iter()
        .zip(verdicts.into_iter().map(Answer::Read))
        .collect();
    for text in texts.iter().filter(|text| lost.contains(text.as_str())) {
        answers.insert(text, Answer::Lost);
    }
    answers
}

#[test]
fn time_spans_mean_what_systemd_says() {
    if !systemd_analyze_is_there() {
        return;
    }
    let mut dice = Dice::new(0x5eed_5ba9);
    let mut texts: Vec<String> = fixed::SPANS.iter().map(|&t| t.to_owned()).collect();
    for _ in 0..500 {
        texts.push(generate::span(&mut dice));
    }
    for _ in 0..300 {
        let valid = generate::span(&mut dice);
        texts.push(generate::mutation(&mut dice, &valid));
    }
    drop_repeated(&mut texts);

    let (mut accepted, mut differences) = (0, Vec::new());
    // systemd stops at the first span it refuses, so each is asked about alone.
    for text in &texts {
        let output = systemd_analyze(["timespan", "--", text]);
        let theirs = output.status.success().then(|| {
            let answer = String::from_utf8(output.stdout).unwrap();
            answer
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("μs: ")?.parse::<u64>().ok())
                .unwrap_or_else(|| panic!("an unknown answer: {answer}"))
        });
        // Systemd's infinity is the one span that we refuse on purpose.
        let theirs = theirs.filter(|&micros| micros != u64::MAX);
        accepted += usize::from(theirs.is_some());
        let ours = text.parse::<Span>().map(|span| span.as_micros());
        if ours.as_ref().ok() != theirs.as_ref() {
            differences.push(format!("`{text}`: {ours:?}, systemd: {theirs:?}"));
        }
    }
    println!(
        "{} time spans, {accepted} accepted by systemd, {} differences",
        texts.len(),
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted > 400 && texts.len() - accepted > 100);
}

fn drop_repeated(texts: &mut Vec<String>) {
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
}

/// Whether there is something to compare with. On a build server there has to be.
fn systemd_analyze_is_there() -> bool {
    let why = match Command::new("systemd-analyze").arg("--version").output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => format!("it ended with {}", output.status),
        Err(error) => error.to_string(),
    };
    test_support::skip(&format!(
        "nothing is compared with systemd because systemd-analyze cannot be run: {why}"
    ));
    false
}

fn systemd_analyze<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_LOG_LEVEL", "info")
        .output()
        .unwrap()
}

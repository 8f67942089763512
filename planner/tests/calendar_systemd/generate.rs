//! Texts made from dice: calendar expressions, time spans, and small mistakes in them.
//!
//! Owns the shapes that are worth trying. It must not depend on anything but its seed, so that a
//! failure comes back when the test is run again.

/// A small generator of numbers (SplitMix64), so that a seed means the same texts for ever.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of a hundred cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// An expression that is valid more often than not; bounds are overstepped now and then.
pub(crate) fn expression(dice: &mut Dice) -> String {
    let mut text = match dice.below(12) {
        0 => dice.pick(&SHORTHANDS).to_owned(),
        1 => match dice.below(4) {
            0 => format!("@{}", dice.below(7_400_000_000)),
            _ => format!("@{}", dice.within(1_700_000_000, 1_900_000_000)),
        },
        2 => weekdays(dice),
        form => {
            let mut words = Vec::new();
            if dice.chance(40) {
                words.push(weekdays(dice));
            }
            if form < 8 {
                words.push(date(dice));
            }
            if form >= 8 || dice.chance(65) {
                words.push(time(dice));
            }
            words.join(dice.pick(&[" ", " ", " ", "  "]))
        }
    };
    if dice.chance(12) {
        text.push(' ');
        text.push_str(dice.pick(&ZONES));
    }
    text
}

fn weekdays(dice: &mut Dice) -> String {
    let mut parts = Vec::new();
    for _ in 0..dice.within(1, 3) {
        let first = dice.below(7);
        let low = if dice.chance(95) { first } else { 0 };
        let last = dice.within(low, 6);
        let first = weekday(dice, first);
        let last = weekday(dice, last);
        parts.push(match dice.below(10) {
            0..6 => first,
            6..9 => format!("{first}..{last}"),
            _ => format!("{first}-{last}"),
        });
    }
    let comma = if dice.chance(10) { "," } else { "" };
    parts.join(",") + comma
}

fn weekday(dice: &mut Dice, day: u64) -> String {
    let name = DAYS[usize::try_from(day).unwrap()];
    let name = if dice.chance(75) { &name[..3] } else { name };
    match dice.below(4) {
        0 => name.to_lowercase(),
        1 => name.to_uppercase(),
        _ => name.to_owned(),
    }
}

fn date(dice: &mut Dice) -> String {
    let day = match dice.chance(25) {
        true => format!("~{}", field(dice, 1, 28, false)),
        false => format!("-{}", field(dice, 1, 31, false)),
    };
    let month = field(dice, 1, 12, false);
    match dice.below(3) {
        0 => format!("{month}{day}"),
        1 => format!("*-{month}{day}"),
        _ => {
            let (low, high) = match dice.below(6) {
                0 => (0, 99),
                1 => (1970, 2199),
                _ => (2020, 2040),
            };
            format!("{}-{month}{day}", field(dice, low, high, false))
        }
    }
}

fn time(dice: &mut Dice) -> String {
    let hour = field(dice, 0, 23, false);
    let minute = field(dice, 0, 59, false);
    match dice.chance(50) {
        true => format!("{hour}:{minute}:{}", field(dice, 0, 59, true)),
        false => format!("{hour}:{minute}"),
    }
}

/// A field of an expression: `*` or a list of items.
fn field(dice: &mut Dice, low: u64, high: u64, fractions: bool) -> String {
    if dice.chance(25) {
        return "*".to_owned();
    }
    let count = match dice.below(10) {
        0..7 => 1,
        7..9 => 2,
        _ => dice.within(2, 6),
    };
    let items: Vec<String> = (0..count)
        .map(|_| item(dice, low, high, fractions))
        .collect();
    items.join(",")
}

fn item(dice: &mut Dice, low: u64, high: u64, fractions: bool) -> String {
    let high = if dice.chance(1) { high + 2 } else { high };
    let first = dice.within(low, high);
    let least = if dice.chance(97) { first } else { low };
    let last = dice.within(least, high);
    let room = match dice.below(10) {
        0 => high - low,
        1 => 40,
        2..5 => 1,
        _ => high - first,
    };
    let step = match dice.below(150) {
        0 => dice.pick(&["0", "2147", "2148", "4000000000"]).to_owned(),
        _ => number(dice, 1, room.max(1), fractions),
    };
    let start = number(dice, first, first, fractions);
    let end = number(dice, last, last, fractions);
    match dice.below(10) {
        0..5 => start,
        5..7 => format!("{start}/{step}"),
        7..9 => format!("{start}..{end}"),
        _ => format!("{start}..{end}/{step}"),
    }
}

fn number(dice: &mut Dice, low: u64, high: u64, fractions: bool) -> String {
    let whole = dice.within(low, high);
    let mut text = match dice.chance(30) {
        true => format!("{whole:02}"),
        false => whole.to_string(),
    };
    if fractions && dice.chance(20) {
        text.push('.');
        for _ in 0..dice.within(1, 9) {
            text.push_str(dice.pick(&["0", "0", "2", "4", "5", "9"]));
        }
    }
    text
}

/// A time span that is valid more often than not.
pub(crate) fn span(dice: &mut Dice) -> String {
    let mut text = dice.pick(&["", "", "", " ", "+"]).to_owned();
    for _ in 0..dice.within(1, 4) {
        let digits = match dice.below(20) {
            0 => 19,
            1..4 => dice.within(8, 18),
            _ => dice.within(1, 4),
        };
        for _ in 0..digits {
            text.push_str(&dice.below(10).to_string());
        }
        if dice.chance(30) {
            text.push('.');
            for _ in 0..dice.within(1, 14) {
                text.push_str(&dice.below(10).to_string());
            }
        }
        text.push_str(dice.pick(&["", "", " "]));
        text.push_str(dice.pick(&UNITS));
        text.push_str(dice.pick(&["", " ", " ", "\t"]));
    }
    text
}

/// A text with one to three small changes.
pub(crate) fn mutation(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..dice.within(1, 3) {
        let at = usize::try_from(dice.below(letters.len() as u64 + 1)).unwrap();
        let piece = dice.pick(&PIECES);
        let inside = usize::from(at < letters.len());
        match dice.below(4) {
            0 => letters.splice(at..at, piece.chars()).for_each(drop),
            1 => letters
                .splice(at..at + inside, piece.chars())
                .for_each(drop),
            2 => letters.drain(at..at + inside).for_each(drop),
            _ if at + 1 < letters.len() => letters.swap(at, at + 1),
            _ => letters.truncate(at / 2),
        }
    }
    letters.into_iter().collect()
}

const PIECES: [&str; 40] = [
    "0",
    "1",
    "2",
    "3",
    "5",
    "9",
    "00",
    "*",
    "-",
    "~",
    ":",
    ".",
    "..",
    ",",
    "/",
    "/2",
    " ",
    "  ",
    "@",
    "+",
    "T",
    "Z",
    "Mon",
    "Fri",
    "sun",
    ", ",
    " UTC",
    "UTC",
    " 10:00",
    "*-*-*",
    "~1",
    "é",
    "\t",
    "_",
    "x",
    "h",
    "s",
    "M",
    "min",
    "99999999999",
];

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

const UNITS: [&str; 33] = [
    "", "", "", "usec", "us", "µs", "μs", "msec", "ms", "seconds", "second", "sec", "s", "minutes",
    "minute", "min", "m", "hours", "hour", "hr", "h", "days", "day", "d", "weeks", "week", "w",
    "months", "month", "M", "years", "year", "y",
];

const SHORTHANDS: [&str; 16] = [
    "minutely",
    "hourly",
    "daily",
    "Daily",
    "weekly",
    "WEEKLY",
    "monthly",
    "yearly",
    "annually",
    "anually",
    "quarterly",
    "semiannually",
    "semi-annually",
    "biannually",
    "bi-annually",
    "fortnightly",
];

/// Zones that systemd finds in its database, and some that nobody finds.
const ZONES: [&str; 14] = [
    "UTC",
    "UTC",
    "UTC",
    "utc",
    "Utc",
    "Europe/Paris",
    "America/Argentina/Buenos_Aires",
    "Pacific/Auckland",
    "Etc/GMT+5",
    "EST5EDT",
    "Zulu",
    "Foo/Bar",
    "Europe/paris",
    "CEST",
];

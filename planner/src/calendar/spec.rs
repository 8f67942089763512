//! What a calendar expression says, field by field, and its normalized form.
//!
//! Owns the types and the form that `systemd-analyze calendar` prints. It must not read text (see
//! `parse`) or search for moments (see `next`).

use std::fmt;

use super::zone::Zone;

/// Microseconds in a second; the seconds field counts microseconds.
pub(super) const SECOND: u32 = 1_000_000;

/// The years a calendar knows, as in systemd: from the Unix epoch until time stamps with four
/// digits run into arithmetic limits.
pub(super) const YEARS: (u32, u32) = (1970, 2199);

/// A calendar expression: the moments at which a schedule elapses
/// (systemd.time(7), "Calendar events").
///
/// It speaks of civil time only. Its methods take and give dates and times as a clock on the wall
/// shows them in the expression's own time zone ([`Calendar::zone`], else the machine's). What a
/// wall clock shows twice or never, when clocks are changed, is for the caller to settle, as is
/// every conversion to real time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Calendar {
    pub(super) weekdays: Weekdays,
    pub(super) years: Values,
    pub(super) months: Values,
    /// Days of the month: from the first (`-`), or from the last one backwards (`~`).
    pub(super) days: Values,
    pub(super) days_from_end: bool,
    pub(super) hours: Values,
    pub(super) minutes: Values,
    /// In microseconds.
    pub(super) seconds: Values,
    pub(super) zone: Zone,
}

impl Calendar {
    /// The time zone that the expression names (systemd.time(7): `UTC` or a name of the IANA time
    /// zone database), or nothing when it means the machine's.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match &self.zone {
            Zone::Local => None,
            Zone::Utc => Some("UTC"),
            Zone::Named(name) => Some(name),
        }
    }

    /// The normalized form that `systemd-analyze calendar` prints (systemd.time(7), "Calendar
    /// events").
    ///
    /// For showing, not for storing: where a list of seconds holds `0/1`, systemd writes `*` for
    /// the whole list, fractions included.
    #[must_use]
    pub fn normalized(&self) -> String {
        self.to_string()
    }
}

/// Days of the week, one bit each from Monday (bit 0) to Sunday (bit 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Weekdays(pub(super) u8);

impl Weekdays {
    pub(super) const ALL: Self = Self(0b111_1111);
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

    pub(super) fn holds(self, days_from_monday: u32) -> bool {
        self.0 & (1 << days_from_monday) != 0
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut day = 0;
        let mut comma = "";
        while day < 7 {
            let run = (day..7).take_while(|&d| self.holds(d)).count();
            // Two neighbours are a list, three are a range.
            let (shown, separator) = if run > 2 {
                (run, "..")
            } else {
                (run.min(1), "")
            };
            if shown > 0 {
                let first = Self::NAMES[day as usize];
                write!(f, "{comma}{first}")?;
                comma = ",";
            }
            if shown > 1 {
                let last = Self::NAMES[day as usize + shown - 1];
                write!(f, "{separator}{last}")?;
            }
            day += shown.max(1) as u32;
        }
        Ok(())
    }
}

/// The values that one field accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Values {
    /// Every value of the field: `*`.
    Any,
    /// Any of the items, in order and each one once.
    Of(Vec<Item>),
}

/// `start`, `start/step`, `start..end` or `start..end/step`.
///
/// The order of the fields is systemd's order of the items in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item {
    pub(super) start: u32,
    /// The last value, which `start` reaches in whole steps; open when there is none.
    pub(super) end: Option<u32>,
    /// 0 for a single value.
    pub(super) step: u32,
}

impl Values {
    /// The single value.
    pub(super) fn one(value: u32) -> Self {
        Self::Of(vec![Item::single(value)])
    }

    /// The single values of a list that is in order.
    pub(super) fn list(values: &[u32]) -> Self {
        Self::Of(values.iter().copied().map(Item::single).collect())
    }
}

impl Item {
    pub(super) fn single(start: u32) -> Self {
        Self {
            start,
            end: None,
            step: 0,
        }
    }

    /// `0/1`, which the seconds field writes as `*`.
    pub(super) fn every_second() -> Self {
        Self {
            start: 0,
            end: None,
            step: SECOND,
        }
    }

    /// The item with its end reached by whole steps; a range of one value is that value.
    pub(super) fn settled(self) -> Self {
        let Some(end) = self.end else { return self };
        let reach = match self.step {
            0 => 0,
            step => end.saturating_sub(self.start) / step * step,
        };
        match reach {
            0 => Self::single(self.start),
            reach => Self {
                end: Some(self.start + reach),
                ..self
            },
        }
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weekdays != Weekdays::ALL {
            write!(f, "{} ", self.weekdays)?;
        }
        whole(f, &self.years)?;
        f.write_str("-")?;
        whole(f, &self.months)?;
        f.write_str(if self.days_from_end { "~" } else { "-" })?;
        whole(f, &self.days)?;
        f.write_str(" ")?;
        whole(f, &self.hours)?;
        f.write_str(":")?;
        whole(f, &self.minutes)?;
        f.write_str(":")?;
        fractional(f, &self.seconds)?;
        match self.zone() {
            Some(zone) => write!(f, " {zone}"),
            None => Ok(()),
        }
    }
}

/// Writes a field of whole numbers.
fn whole(f: &mut fmt::Formatter<'_>, values: &Values) -> fmt::Result {
    let Values::Of(items) = values else {
        return f.write_str("*");
    };
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{:02}", item.start)?;
        if let Some(end) = item.end {
            write!(f, "..{end:02}")?;
        }
        // A range has steps of 1 unless it says otherwise; an open item has to say it.
        if item.step > 1 || (item.step == 1 && item.end.is_none()) {
            write!(f, "/{}", item.step)?;
        }
    }
    Ok(())
}

/// Writes the field of seconds, which are held in microseconds.
fn fractional(f: &mut fmt::Formatter<'_>, values: &Values) -> fmt::Result {
    let items = match values {
        Values::Of(items) if !items.contains(&Item::every_second()) => items,
        _ => return f.write_str("*"),
    };
    let fraction = |f: &mut fmt::Formatter<'_>, value: u32| match value % SECOND {
        0 => Ok(()),
        part => write!(f, ".{part:06}"),
    };
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{:02}", item.start / SECOND)?;
        fraction(f, item.start)?;
        if let Some(end) = item.end {
            write!(f, "..{:02}", end / SECOND)?;
            fraction(f, end)?;
        }
        if item.step > 0 && (item.step != SECOND || item.end.is_none()) {
            write!(f, "/{}", item.step / SECOND)?;
            fraction(f, item.step)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_days_in_a_row_are_a_range_and_two_a_list() {
        let shown = |bits| Weekdays(bits).to_string();
        assert_eq!(shown(0b000_0011), "Mon,Tue");
        assert_eq!(shown(0b000_0111), "Mon..Wed");
        assert_eq!(shown(0b110_1111), "Mon..Thu,Sat,Sun");
        assert_eq!(shown(0b111_0101), "Mon,Wed,Fri..Sun");
    }

    #[test]
    fn a_range_ends_on_a_whole_step() {
        let range = |start, end, step| {
            let end = Some(end);
            Item { start, end, step }.settled()
        };
        assert_eq!(range(1, 4, 2).end, Some(3));
        assert_eq!(range(1, 3, 5), Item::single(1));
        assert_eq!(range(3, 3, 1), Item::single(3));
    }
}

//! What charts have in common: an axis of time, scales with round steps, and the frame around marks.

use chrono::{Datelike as _, Days, FixedOffset, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use maud::{Markup, html};

use crate::words::{Time, bytes};

/// The time that a chart shows, from left to right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeAxis {
    pub(crate) from: Time,
    pub(crate) to: Time,
}

impl TimeAxis {
    pub(crate) fn new(from: Time, to: Time) -> Self {
        let shortest = from + TimeDelta::hours(1);
        Self {
            from,
            to: to.max(shortest),
        }
    }

    /// The same with its first and last day as a whole.
    pub(crate) fn of_days(from: Time, to: Time) -> Self {
        let begin = |day: Option<NaiveDate>| midnight(day?, from.offset());
        let after = to.date_naive().checked_add_days(Days::new(1));
        Self::new(
            begin(Some(from.date_naive())).unwrap_or(from),
            begin(after).unwrap_or(to),
        )
    }

    /// The place of a day, and how wide it is.
    pub(crate) fn day(&self, day: NaiveDate) -> (f64, f64) {
        let place = |day: NaiveDate| {
            let at = midnight(day, self.from.offset());
            at.map_or(0.0, |at| self.place(at))
        };
        let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
        (place(day), place(next) - place(day))
    }

    /// The place of a moment, in percent of the width; not beyond the ends.
    pub(crate) fn place(&self, at: Time) -> f64 {
        let all = as_f64((self.to - self.from).num_seconds());
        let part = as_f64((at - self.from).num_seconds());
        (part / all * 100.0).clamp(0.0, 100.0)
    }

    /// Whether it shows a moment.
    pub(crate) fn shows(&self, at: Time) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// A few round days, each with its place and what it is called.
    fn ticks(&self) -> Vec<(f64, String)> {
        const MOST: i64 = 5;
        let days = (self.to - self.from).num_days().max(1);
        let mut ticks = Vec::new();
        let mut push = |day: NaiveDate, format: &str| {
            if let Some(at) = midnight(day, self.from.offset()).filter(|at| self.shows(*at)) {
                ticks.push((self.place(at), day.format(format).to_string()));
            }
        };
        let first = self.from.date_naive();
        if days > 75 {
            let months = u32::try_from(days / 30 / MOST + 1).unwrap_or(1);
            let mut day = first.with_day(1);
            while let Some(at) = day.filter(|at| *at <= self.to.date_naive()) {
                let format = if at.month() == 1 || days > 700 {
                    "%b %Y"
                } else {
                    "%b"
                };
                push(at, format);
                day = at.checked_add_months(Months::new(months));
            }
        } else {
            let step = u64::try_from(days / MOST + 1).unwrap_or(1);
            let mut day = Some(first);
            while let Some(at) = day.filter(|at| *at <= self.to.date_naive()) {
                push(at, "%-d %b");
                day = at.checked_add_days(Days::new(step));
            }
        }
        ticks
    }

    /// The names of the ticks, below a chart.
    pub(crate) fn labels(&self) -> Markup {
        html! {
            svg.axis width="100%" height="20" aria-hidden="true" {
                @for (place, name) in self.ticks() {
                    text x=(share(place)) y="14" text-anchor=(anchor(place)) { (name) }
                }
            }
        }
    }

    /// Lines across a chart of this height, where the ticks are.
    fn lines(&self, height: u32) -> Markup {
        html! {
            @for (place, _) in self.ticks() {
                line.grid x1=(share(place)) x2=(share(place)) y1="0" y2=(height) {}
            }
        }
    }
}

fn midnight(day: NaiveDate, zone: &FixedOffset) -> Option<Time> {
    zone.from_local_datetime(&day.and_time(NaiveTime::MIN))
        .single()
}

/// How a text stands at a place, so that it does not leave the chart.
fn anchor(place: f64) -> &'static str {
    match place {
        ..4.0 => "start",
        96.0.. => "end",
        _ => "middle",
    }
}

/// From what to what a chart reaches upwards, with round steps.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    least: f64,
    most: f64,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    /// For bytes from nothing on.
    pub(crate) fn of_bytes(most: u64) -> Self {
        Self::of_bytes_between(0, most)
    }

    /// For bytes that change little: where nothing would be seen of it else, it does not begin with nothing.
    pub(crate) fn of_some_bytes(least: u64, most: u64) -> Self {
        let spread = most - least.min(most);
        match spread < most / 4 && most > 0 {
            true => {
                let pad = (spread / 4).max(most / 200).max(1);
                Self::of_bytes_between(least.saturating_sub(pad), most.saturating_add(pad / 2))
            }
            false => Self::of_bytes_between(0, most),
        }
    }

    fn of_bytes_between(least: u64, most: u64) -> Self {
        let most = most.max(least + 4);
        let wanted = (most - least).div_ceil(4).max(1);
        // Powers of two are round in the units of bytes.
        let step = wanted.checked_next_power_of_two().unwrap_or(wanted);
        let first = least / step;
        let last = most.div_ceil(step);
        let ticks = (first..=last).map(|at| at.saturating_mul(step));
        Self {
            least: as_f64_u(first.saturating_mul(step)),
            most: as_f64_u(last.saturating_mul(step)),
            ticks: ticks.map(|at| (as_f64_u(at), round_name(at))).collect(),
        }
    }

    /// For seconds from nothing on.
    pub(crate) fn of_seconds(most: u64) -> Self {
        const STEPS: [u64; 17] = [
            1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200,
        ];
        let wanted = most.div_ceil(4).max(1);
        let step = STEPS.iter().find(|step| **step >= wanted);
        let step = step
            .copied()
            .unwrap_or_else(|| wanted.next_multiple_of(86_400));
        let last = most.div_ceil(step).max(1);
        let name = |at: u64| match at {
            0 => "0".to_owned(),
            at if at.is_multiple_of(86_400) => format!("{} d", at / 86_400),
            at if at.is_multiple_of(3600) => format!("{} h", at / 3600),
            at if at.is_multiple_of(60) => format!("{} min", at / 60),
            at => format!("{at} s"),
        };
        Self {
            least: 0.0,
            most: as_f64_u(last * step),
            ticks: (0..=last)
                .map(|at| (as_f64_u(at * step), name(at * step)))
                .collect(),
        }
    }

    /// Whether it begins with nothing.
    pub(crate) fn begins_with_nothing(&self) -> bool {
        self.least == 0.0
    }

    /// How far below the top of a chart of this height a value is.
    pub(crate) fn depth(&self, value: u64, height: u32) -> f64 {
        let part = (as_f64_u(value) - self.least) / (self.most - self.least);
        (1.0 - part.clamp(0.0, 1.0)) * f64::from(height)
    }
}

/// Round bytes without digits after the point that say nothing.
fn round_name(amount: u64) -> String {
    if amount == 0 {
        return "0".to_owned();
    }
    bytes(amount).replace(".0 ", " ")
}

/// The frame of a chart: names of the steps at its left, lines across, `marks`, and what a reader is told who
/// does not see it.
pub(crate) fn frame(
    told: &str,
    axis: &TimeAxis,
    scale: &Scale,
    height: u32,
    marks: &Markup,
) -> Markup {
    let step = |value: f64| {
        let part = (value - scale.least) / (scale.most - scale.least);
        (1.0 - part) * f64::from(height) + PAD
    };
    let tall = f64::from(height) + 2.0 * PAD;
    html! {
        div.plot {
            svg.steps width="64" height=(number(tall)) aria-hidden="true" {
                @for (value, name) in &scale.ticks {
                    text x="58" y=(number(step(*value) + 4.0)) text-anchor="end" { (name) }
                }
            }
            svg.marks width="100%" height=(number(tall)) role="img" aria-label=(told) {
                svg y=(number(PAD)) width="100%" height=(height) overflow="visible" {
                    (axis.lines(height))
                    @for (value, _) in &scale.ticks {
                        line.grid x1="0" x2="100%" y1=(number(step(*value) - PAD)) y2=(number(step(*value) - PAD)) {}
                    }
                    (marks)
                }
            }
            (axis.labels())
        }
    }
}

/// Room above and below a chart for half a letter.
const PAD: f64 = 8.0;

/// A line through points, and what is below it filled if `fills`; in percent of the width and in pixels.
pub(crate) fn curve(points: &[(f64, f64)], height: u32, class: &str, fills: bool) -> Markup {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{letter}{} {} ", number(x * 10.0), number(*y)));
    }
    let ends = points.first().zip(points.last()).filter(|_| fills);
    let area = ends.map(|(first, last)| {
        let (from, to) = (number(first.0 * 10.0), number(last.0 * 10.0));
        format!("{path}L{to} {height} L{from} {height} Z")
    });
    html! {
        svg width="100%" height=(height) viewBox={ "0 0 1000 " (height) } preserveAspectRatio="none" {
            @if let Some(area) = area { path.{ (class) "-area" } d=(area) {} }
            path.(class) d=(path.trim_end()) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// A share in percent, as an attribute.
pub(crate) fn share(place: f64) -> String {
    format!("{}%", number(place))
}

/// A number as an attribute: two digits after the point are more than a screen shows.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// A number for a place on a screen, where the last digits of a large one are not seen.
#[expect(clippy::cast_precision_loss, reason = "for places on a screen")]
pub(crate) fn as_f64(value: i64) -> f64 {
    value as f64
}

/// The same of a number that is not negative.
#[expect(clippy::cast_precision_loss, reason = "for places on a screen")]
pub(crate) fn as_f64_u(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn steps_are_round_and_few() {
        let of = |most| {
            let scale = Scale::of_bytes(most);
            names(&scale).join(", ")
        };
        assert_eq!(of(0), "0, 1 B, 2 B, 3 B, 4 B");
        assert_eq!(of(1 << 30), "0, 256 MiB, 512 MiB, 768 MiB, 1 GiB");
        assert_eq!(of(70 << 30), "0, 32 GiB, 64 GiB, 96 GiB");
        assert_eq!(of(u64::MAX), "0, 4 EiB, 8 EiB, 12 EiB, 16 EiB");
        let seconds = Scale::of_seconds(100);
        assert_eq!(names(&seconds).join(", "), "0, 30 s, 1 min, 90 s, 2 min");
        let days = Scale::of_seconds(500_000);
        assert_eq!(names(&days).first(), Some(&"0"));
    }

    #[test]
    fn what_changes_little_is_not_shown_begins_with_nothing_on() {
        let gib = 1 << 30;
        assert!(Scale::of_some_bytes(0, 10 * gib).begins_with_nothing());
        let scale = Scale::of_some_bytes(400 * gib, 412 * gib);
        assert!(!scale.begins_with_nothing());
        let depth = |value: u64| scale.depth(value, 100);
        assert!(depth(400 * gib) - depth(412 * gib) > 30.0);
        // All the same is no line at an edge.
        let flat = Scale::of_some_bytes(100 * gib, 100 * gib);
        assert!(flat.depth(100 * gib, 100) > 5.0 && flat.depth(100 * gib, 100) < 95.0);
    }

    #[test]
    fn an_axis_has_a_few_days_or_months() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let named = |from, to| {
            let axis = TimeAxis::new(at(from), at(to));
            let ticks: Vec<String> = axis.ticks().into_iter().map(|(_, name)| name).collect();
            ticks.join(" ")
        };
        assert_eq!(
            named("2025-01-01T00:00:00Z", "2025-01-08T02:00:00Z"),
            "1 Jan 3 Jan 5 Jan 7 Jan"
        );
        assert_eq!(
            named("2024-10-15T00:00:00Z", "2025-02-08T02:00:00Z"),
            "Nov Dec Jan 2025 Feb"
        );
        let axis = TimeAxis::of_days(at("2025-01-01T02:00:00Z"), at("2025-01-04T12:00:00Z"));
        assert_eq!(
            axis.day(NaiveDate::from_ymd_opt(2025, 1, 3).unwrap()),
            (50.0, 25.0)
        );
        let axis = TimeAxis::new(at("2025-01-01T00:00:00Z"), at("2025-01-03T00:00:00Z"));
        assert_eq!(number(axis.place(at("2025-01-02T00:00:00Z"))), "50");
        assert_eq!(number(axis.place(at("2031-01-02T00:00:00Z"))), "100");
    }
}

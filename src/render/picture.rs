//! Small pictures in a terminal: bars, lines of marks, and where snapshots stand in time.
//!
//! Whoever calls these has made sure that they are wanted ([`Style::draws`]); all that they show is said in
//! words as well.

use crate::style::{Style, left};

/// The heights of a column.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A piece of a bar: how large it is, and the sign that it is made of.
pub(crate) type Piece = (u64, char);

/// A bar of this many columns, of pieces that make `whole`; the rest is empty. What is not nothing is seen.
pub(crate) fn bar(pieces: &[Piece], whole: u64, columns: usize) -> String {
    let mut drawn = String::new();
    let mut room = columns;
    let mut size = 0_u64;
    for (piece, sign) in pieces {
        size = size.saturating_add(*piece);
        let end = scaled(size, whole, columns);
        let least = usize::from(*piece > 0);
        let own = end.saturating_sub(columns - room).max(least).min(room);
        drawn.extend(std::iter::repeat_n(*sign, own));
        room -= own;
    }
    drawn.extend(std::iter::repeat_n('░', room));
    drawn
}

/// How many of so many columns a part of the whole fills.
fn scaled(part: u64, whole: u64, columns: usize) -> usize {
    let columns = u128::try_from(columns).unwrap_or(0);
    let filled = u128::from(part) * columns / u128::from(whole.max(1));
    usize::try_from(filled.min(columns)).unwrap_or(0)
}

/// A column for each value, the largest one the highest; none for nothing.
pub(crate) fn columns_of(values: &[u64]) -> String {
    let most = values.iter().copied().max().unwrap_or(0);
    let height = |value: &u64| match value {
        0 => ' ',
        _ => {
            let at = scaled(*value, most, HEIGHTS.len()).saturating_sub(1);
            HEIGHTS[at.min(HEIGHTS.len() - 1)]
        }
    };
    values.iter().map(height).collect()
}

/// As many values as there are columns at most, each the largest of its share, in order.
pub(crate) fn largest_of_each(values: &[u64], columns: usize) -> Vec<u64> {
    let share = values.len().div_ceil(columns.max(1)).max(1);
    let shares = values.chunks(share);
    shares
        .filter_map(|share| share.iter().copied().max())
        .collect()
}

/// Days between now and what the ruler of an age names.
const RULER: [(i64, &str); 10] = [
    (0, "now"),
    (1, "1 d"),
    (3, "3 d"),
    (7, "1 w"),
    (14, "2 w"),
    (30, "1 m"),
    (91, "3 m"),
    (183, "6 m"),
    (365, "1 y"),
    (1826, "5 y"),
];

/// Ages from left to right, the younger the wider apart.
pub(crate) struct Ages {
    oldest: i64,
    columns: usize,
}

impl Ages {
    /// From now to this many days ago, in so many columns.
    pub(crate) fn to(oldest: i64, columns: usize) -> Self {
        Self {
            oldest: oldest.max(1),
            columns: columns.max(2),
        }
    }

    /// The column of an age in seconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of a terminal"
    )]
    pub(crate) fn column(&self, seconds: i64) -> usize {
        let days = |seconds: i64| (seconds.max(0) as f64 / 86_400.0).ln_1p();
        let share = days(seconds) / days(self.oldest * 86_400);
        let at = share * (self.columns - 1) as f64;
        (at.round() as usize).min(self.columns - 1)
    }

    /// A line with a sign at each of these ages.
    pub(crate) fn line(&self, ages: impl Iterator<Item = i64>, sign: char) -> String {
        let mut line = vec!['·'; self.columns];
        for age in ages {
            line[self.column(age)] = sign;
        }
        line.into_iter().collect()
    }

    /// The largest amount of each column.
    pub(crate) fn amounts(&self, amounts: impl Iterator<Item = (i64, u64)>) -> Vec<u64> {
        let mut columns = vec![0; self.columns];
        for (age, amount) in amounts {
            let there: &mut u64 = &mut columns[self.column(age)];
            *there = (*there).max(amount);
        }
        columns
    }

    /// The names of ages where they stand.
    pub(crate) fn ruler(&self) -> String {
        let mut line = String::new();
        for (days, name) in RULER.iter().filter(|(days, _)| *days <= self.oldest) {
            let at = self.column(days * 86_400);
            let is_free = line.is_empty() || line.chars().count() < at;
            if is_free && at + name.len() <= self.columns {
                line = left(&line, at) + name;
            }
        }
        line
    }
}

/// A dimmed label before a picture.
pub(crate) fn labelled(label: &str, columns: usize, picture: &str, style: &Style) -> String {
    let label = style.dim(left(label, columns));
    format!("{label}{}\n", picture.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_each_piece_and_never_more_than_the_whole() {
        assert_eq!(bar(&[(50, '█'), (25, '▓')], 100, 8), "████▓▓░░");
        assert_eq!(bar(&[(1, '█'), (1, '▓')], 1_000_000, 4), "█▓░░");
        assert_eq!(bar(&[(200, '█'), (5, '▓')], 100, 4), "████");
        assert_eq!(bar(&[(0, '█')], 0, 3), "░░░");
        assert_eq!(bar(&[(u64::MAX, '█'), (u64::MAX, '▓')], u64::MAX, 3), "███");
    }

    #[test]
    fn columns_are_as_high_as_their_values() {
        assert_eq!(columns_of(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(columns_of(&[]), "");
        assert_eq!(columns_of(&[1, u64::MAX]), "▁█");
        assert_eq!(largest_of_each(&[1, 5, 2, 3, 9], 2), [5, 9]);
        assert_eq!(largest_of_each(&[1, 2], 60), [1, 2]);
    }

    #[test]
    fn what_is_young_stands_apart_and_what_is_old_together() {
        let ages = Ages::to(365, 61);
        let day = |days: i64| ages.column(days * 86_400);
        assert_eq!((day(0), day(365), day(10_000)), (0, 60, 60));
        assert!(day(1) - day(0) > day(8) - day(7));
        assert!((0..30).all(|days| day(days) <= day(days + 1)));
        assert_eq!(ages.column(-5), 0);
        let ruler = ages.ruler();
        assert!(ruler.starts_with("now"), "{ruler}");
        assert!(ruler.contains("1 w") && ruler.contains("6 m"), "{ruler}");
        assert!(ruler.chars().count() <= 61);
        let line = ages.line([0, 365 * 86_400].into_iter(), '●');
        assert!(line.starts_with("●·") && line.ends_with("·●"), "{line}");
    }
}

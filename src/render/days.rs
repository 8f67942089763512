//! How the last days went: a mark for each.

use planner::status::{Day, DayMark};

use super::page::unbroken;
use crate::style::{Drawing, Style};

/// A mark for each of the last days, and what the marks mean; nothing of no days, or where nothing is drawn.
pub(super) fn describe_days(days: &[Day], style: &Style) -> Option<String> {
    let first = days.first().filter(|_| style.drawing != Drawing::Nothing)?;
    let marks: String = days.iter().map(|day| mark(day.mark, style)).collect();
    let mut met = [
        (DayMark::Ok, "ok"),
        (DayMark::Warning, "warning"),
        (DayMark::Failed, "failed"),
        (DayMark::None, "none"),
    ]
    .to_vec();
    met.retain(|(one, _)| days.iter().any(|day| day.mark == *one));
    let legend: Vec<String> = met
        .iter()
        .map(|(one, word)| unbroken(&format!("{} {word}", mark(*one, style))))
        .collect();
    Some(format!(
        "{marks} from {} to today: {}",
        first.date,
        legend.join(", ")
    ))
}

/// The mark of a day; letters are as plain without colour.
fn mark(mark: DayMark, style: &Style) -> String {
    let signs = style.draws();
    match mark {
        DayMark::Ok => style.green(if signs { "✓" } else { "o" }),
        DayMark::Warning => style.yellow(if signs { "!" } else { "w" }),
        DayMark::Failed => style.red(if signs { "✗" } else { "F" }),
        DayMark::None => style.dim(if signs { "·" } else { "-" }),
    }
}

//! How the backups of a machine went over a period: as one HTML page, as a mail and as plain text.
//!
//! Pure functions from [`PeriodReport`], which holds all that is shown, to text. Nothing here looks for anything
//! or decides what is well. The page needs nothing from elsewhere and no script: charts are inline SVG whose
//! horizontal places are percentages, so that shapes stretch with the page and letters do not; what a chart
//! shows stands in a table below it as well.
//!
//! Whatever comes from outside, such as names of folders, passes [`words::safe`] and the escaping of `maud`.

mod calendar;
mod duration;
mod findings;
mod folders;
mod mail;
mod page;
mod plot;
mod proof;
mod retention;
mod room;
mod sizes;
mod squares;
mod text;
mod tiles;
mod words;

pub use mail::{mail_html, mail_subject};
pub use page::html_page;
pub use schema::output::period_report::PeriodReport;
pub use text::plain_text;

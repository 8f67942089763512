//! Validation of a config: the bytes of `config.json` in, a `Config` or every fault out.
//!
//! Owns the order of the passes (text, schema, serde, rules) and the order of the faults. Reads no
//! file and judges nothing that needs the machine: whether a path exists is asked at plan time.

mod calendars;
mod destinations;
mod fault;
mod finding;
mod json;
mod metrics;
mod names;
mod notices;
mod patterns;
mod place;
mod rules;
mod shape;
mod sources;
mod trial;
mod walk;

use std::sync::LazyLock;

use schema::Config;

pub use calendars::never_again;
pub use fault::Fault;
use finding::RuleFinding;
use json::Node;
use names::Key;
pub(crate) use patterns::oddity;
use place::Located;
use shape::Shape;
pub(crate) use sources::inside;
pub use sources::nested;
pub use trial::{TRIAL, check_config_in};

/// A config that may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The config, defaults filled in.
    pub config: Config,
    /// What is allowed and probably not meant, in document order.
    pub warnings: Vec<Fault>,
    /// What may be meant and mostly is not, in document order: for who checks the config.
    pub remarks: Vec<Fault>,
}

/// What a config may contain; it follows from the types and never changes.
static KNOWN: LazyLock<(Shape, Vec<Key>)> = LazyLock::new(|| {
    let shape = shape::of_config();
    let keys = names::all_keys(&shape);
    (shape, keys)
});

/// Reads a config and reports every fault at once, in document order.
///
/// Rules about several options run also when others are faulty; a rule that looks at a faulty
/// option is silent, so that no fault is only the echo of another.
///
/// # Errors
///
/// All faults of the config; never an empty list.
pub fn check_config(bytes: &[u8]) -> Result<Checked, Vec<Fault>> {
    let document = json::parse(bytes).map_err(|fault| vec![*fault])?;
    let (shape, keys) = &*KNOWN;

    let (clean, mut located) = walk::walk(&document, shape, keys);
    let tainted: Vec<String> = located.iter().filter_map(|l| l.taints.clone()).collect();
    let (mut warnings, mut remarks) = (Vec::new(), Vec::new());
    let config = match clean.map(serde_json::from_value::<Config>) {
        Some(Ok(config)) if located.len() <= walk::MOST_FAULTS => {
            located.extend(place_all(rules::faults(&config), &document, &tainted));
            warnings = place_all(rules::warnings(&config), &document, &tainted);
            remarks = place_all(rules::remarks(&config), &document, &tainted);
            Some(config)
        }
        // The schema and the types disagree; say what serde says rather than nothing.
        Some(Err(error)) if located.is_empty() => {
            located.push(Located {
                at: Vec::new(),
                taints: None,
                fault: Fault::new("", format!("not accepted: {error}"))
                    .hint("mend the value that this names".to_owned()),
            });
            None
        }
        _ => None,
    };

    match config {
        Some(config) if located.is_empty() => Ok(Checked {
            config,
            warnings: in_order(warnings),
            remarks: in_order(remarks),
        }),
        _ => Err(in_order(located)),
    }
}

/// The list as a person reads it: one paragraph a fault.
#[must_use]
pub fn render(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// Gives each finding its place and value, and drops those that look at a faulty option.
fn place_all(findings: Vec<RuleFinding>, document: &Node, tainted: &[String]) -> Vec<Located> {
    findings
        .into_iter()
        .filter(|finding| !finding.involves(|path| tainted.iter().any(|t| place::related(t, path))))
        .map(|finding| {
            let mut fault = finding.into_fault();
            let (at, node) = place::locate(document, &fault.path);
            fault.found = node.map(json::compact);
            Located {
                at,
                taints: None,
                fault,
            }
        })
        .take(walk::MOST_FAULTS + 1)
        .collect()
}

/// In document order, and cut where nobody would read on.
fn in_order(mut located: Vec<Located>) -> Vec<Fault> {
    located.sort_by(|a, b| a.at.cmp(&b.at));
    let too_many = located.len() > walk::MOST_FAULTS;
    let faults = located.into_iter().map(|located| located.fault);
    let mut faults: Vec<Fault> = faults.take(walk::MOST_FAULTS).collect();
    if too_many {
        let problem = "too many faults, the rest is not listed";
        let hint = "is this the right file? if so, mend these and check again";
        faults.push(Fault::new("", problem).hint(hint.to_owned()));
    }
    faults
}

#[cfg(test)]
mod destinations_tests;
#[cfg(test)]
mod notices_tests;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod tests;

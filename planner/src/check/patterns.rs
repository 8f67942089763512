//! Rules about `local.excludePatterns`.
//!
//! The meaning of a pattern is `schema::pattern`'s; here stands only which one is not valid.

use schema::Config;
use schema::pattern::Pattern;

use super::finding::RuleFinding;

/// Patterns that rsync would not take as an exclude.
pub(super) fn invalid(config: &Config) -> Vec<RuleFinding> {
    let patterns = config.local.exclude_patterns.iter().enumerate();
    patterns
        .filter_map(|(index, text)| Some((index, text.parse::<Pattern>().err()?)))
        .map(|(index, error)| {
            RuleFinding::new(format!("local.excludePatterns[{index}]"), error.to_string())
                .expected("a pattern such as \"*.tmp\" or \"/cache/\"")
                .hint("write `local.excludePatterns` with a valid pattern here, or remove this one")
        })
        .collect()
}

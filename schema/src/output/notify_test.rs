//! What `backup notify-test --json` prints.

use schemars::JsonSchema;
use serde::Serialize;

use crate::journal::NotifiedChannel;

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// How each configured channel took a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct NotifyTest(pub Vec<TestedChannel>);

/// How one channel took a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestedChannel {
    /// Format of this document.
    pub format_version: u32,
    /// What came of it.
    #[serde(flatten)]
    pub result: NotifiedChannel,
}

impl From<&[NotifiedChannel]> for NotifyTest {
    fn from(results: &[NotifiedChannel]) -> Self {
        let tested = |result: &NotifiedChannel| TestedChannel {
            format_version: FORMAT_VERSION,
            result: result.clone(),
        };
        Self(results.iter().map(tested).collect())
    }
}

//! shim
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
/// shim
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExpireReason {
    /// x
    A,
}
/// shim
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeepReason {
    /// x
    A,
}

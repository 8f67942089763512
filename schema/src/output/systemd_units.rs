//! What `backup systemd-units --json` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The text of each unit and rule by the name of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-format-version" = 1))]
pub struct UnitFiles(pub BTreeMap<String, String>);

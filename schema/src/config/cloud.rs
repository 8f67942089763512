//! `cloud.*` and `protonDrive.*`: copies through rclone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AbsolutePath, MaxDelete};
use crate::duration::Span;

/// Copies of the newest good snapshot through rclone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cloud {
    /// Whether cloud copies are made.
    pub enable: bool,
    /// Where to; `proton-drive` is the rclone remote `proton:`.
    pub provider: Provider,
    /// With `custom`: any rclone remote, `name:` or `name:bucket`.
    pub remote: Option<String>,
    /// Folder on the remote; the host's folder is below it.
    pub remote_path: String,
    /// What happens to files that are on the remote only.
    pub sync_mode: SyncMode,
    /// Age in days at which remote history folders go, once the clocks of runs on three days agree.
    pub keep_history_days: u32,
    /// Most files that one sync may take away: a percentage ("5%") or a count. More stays until a
    /// person agrees; what is new or changed is uploaded all the same.
    pub max_delete: MaxDelete,
    /// rclone's `--bwlimit`, for example "10M".
    pub bandwidth_limit: Option<String>,
    /// The rclone configuration; must not be readable by others.
    pub config_file: Option<AbsolutePath>,
    /// Longest time an upload may take.
    pub timeout: Span,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            enable: false,
            provider: Provider::ProtonDrive,
            remote: None,
            remote_path: "Backups".to_owned(),
            sync_mode: SyncMode::Sync,
            keep_history_days: 90,
            max_delete: MaxDelete::new("5%"),
            bandwidth_limit: None,
            config_file: None,
            timeout: Span::hours(6),
        }
    }
}

/// A cloud provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// The rclone remote `proton:`.
    ProtonDrive,
    /// The remote named by `cloud.remote`.
    Custom,
}

/// What a cloud copy does with files that are on one side only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyncMode {
    /// The remote becomes the snapshot; what that removes goes to a dated history folder.
    Sync,
    /// Nothing is removed from the remote.
    Copy,
    /// As `sync`, and the snapshot's local space is given back once the upload was verified.
    Move,
}

/// Proton Drive as the cloud provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProtonDrive {
    /// Whether Proton Drive's credentials are set up for the cloud copy.
    pub enable: bool,
}

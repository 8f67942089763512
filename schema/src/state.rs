//! What a machine says that it keeps: `state.json`, which stands beside the configuration.
//!
//! The NixOS module writes it (`nixos/state/`); elsewhere a person may.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::AbsolutePath, inventory::DatabaseKind};

/// Version of the file's format.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the file, beside the configuration.
pub const FILE_NAME: &str = "state.json";

/// What a machine says that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateTable {
    /// Format of this file.
    pub version: u32,
    /// Whether the paths were added to the sources when the file was made (`state.enable`).
    pub enabled: bool,
    /// The folder that databases are written out to.
    pub dump_folder: AbsolutePath,
    /// The paths, sorted.
    pub paths: Vec<StatePath>,
}

/// A path that something of the machine keeps its state in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatePath {
    /// The path.
    pub path: AbsolutePath,
    /// What kind of state it is.
    pub kind: StateKind,
    /// The options that say it, such as `services.gitea.stateDir`.
    pub from: Vec<String>,
    /// A link that leads to it, by which people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<AbsolutePath>,
    /// Where else the same is stored, because it is mounted from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<AbsolutePath>,
    /// The database that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<StateDatabase>,
    /// The path of `state.ignore` that it is known and left out by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<AbsolutePath>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateDatabase {
    /// What keeps it.
    pub engine: DatabaseKind,
    /// The file that it is written out to before a backup; none where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<AbsolutePath>,
}

/// What kind of state a path has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// Of a service.
    Service,
    /// A database.
    Database,
    /// The home of a person.
    Home,
    /// Kept where the root file system is not.
    Persistence,
    /// Of a container.
    Container,
    /// Certificates.
    Certificates,
    /// Keys of the machine.
    Keys,
    /// Of the system itself.
    System,
    /// Of a service of Clan's.
    Clan,
}

impl StateKind {
    /// Its name, as documents and people have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Database => "database",
            Self::Home => "home",
            Self::Persistence => "persistence",
            Self::Container => "container",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
            Self::System => "system",
            Self::Clan => "clan",
        }
    }
}

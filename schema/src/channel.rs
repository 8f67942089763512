//! The ways to tell people of a run: what a configuration asks for, and what a plan says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::AbsolutePath;

/// One way to tell people. Secrets are files that are read when they are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "channel",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Channel {
    /// Each logged-in graphical session.
    Desktop,
    /// A mail through the machine's sendmail.
    Email {
        /// Address that it goes to.
        to: String,
        /// Address that it comes from.
        from: String,
    },
    /// A message to an ntfy topic.
    Ntfy {
        /// Address of the server.
        url: String,
        /// The topic.
        topic: String,
        /// File that holds the access token; refused if others can read it.
        token_file: Option<AbsolutePath>,
    },
    /// A POST of the report as JSON.
    Webhook {
        /// Address that gets it.
        url: String,
        /// File with one `Name: value` header a line; refused if others can read it.
        headers_file: Option<AbsolutePath>,
    },
    /// A ping of a dead man's switch.
    Healthcheck {
        /// Address of the switch; `/fail` is added to its path after a failure.
        url: String,
    },
    /// An executable that gets the report on standard input.
    Command {
        /// The executable.
        program: AbsolutePath,
    },
}

impl Channel {
    /// The key of the configuration that asks for it.
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self {
            Self::Desktop => "notifications.desktop",
            Self::Email { .. } => "notifications.email",
            Self::Ntfy { .. } => "notifications.ntfy",
            Self::Webhook { .. } => "notifications.webhook",
            Self::Healthcheck { .. } => "notifications.healthcheck",
            Self::Command { .. } => "notifications.command",
        }
    }

    /// In a few words, without what may be a secret: of a web address the host only.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Desktop => "desktop sessions".to_owned(),
            Self::Email { to, .. } => format!("mail to {to}"),
            Self::Ntfy { url, topic, .. } => format!("ntfy topic {topic} at {}", host_of(url)),
            Self::Webhook { url, .. } => format!("webhook at {}", host_of(url)),
            Self::Healthcheck { url } => format!("healthcheck at {}", host_of(url)),
            Self::Command { program } => program.to_string(),
        }
    }
}

/// Host and port of a web address: its path may be a secret.
#[must_use]
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        /// File that holds the topic instead; refused if others can read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic_file: Option<AbsolutePath>,
        /// File that holds the access token; refused if others can read it.
        token_file: Option<AbsolutePath>,
    },
    /// A POST of the report as JSON.
    Webhook {
        /// Address that gets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// File that holds the address instead; refused if others can read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_file: Option<AbsolutePath>,
        /// File with one `Name: value` header a line; refused if others can read it.
        headers_file: Option<AbsolutePath>,
    },
    /// A ping of a dead man's switch.
    Healthcheck {
        /// Address of the switch; `/fail` is added to its path after a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// File that holds the address instead; refused if others can read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_file: Option<AbsolutePath>,
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

    /// In a few words, without what may be a secret: of a web address the host only, and nothing of
    /// one that is in a file, or of a topic, which is all that it takes to read it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Desktop => "desktop sessions".to_owned(),
            Self::Email { to, .. } => format!("mail to {to}"),
            Self::Ntfy { url, .. } => format!("ntfy topic at {}", host_of(url)),
            Self::Webhook { url, url_file, .. } => {
                format!("webhook {}", place_of(url.as_deref(), url_file.as_ref()))
            }
            Self::Healthcheck { url, url_file } => {
                healthcheck_name(url.as_deref(), url_file.as_ref())
            }
            Self::Command { program } => program.to_string(),
        }
    }
}

/// The name of a dead man's switch: by the host, or by the file that holds its address.
#[must_use]
pub fn healthcheck_name(url: Option<&str>, url_file: Option<&AbsolutePath>) -> String {
    format!("healthcheck {}", place_of(url, url_file))
}

/// Where an address leads, as far as everybody may know it.
fn place_of(url: Option<&str>, url_file: Option<&AbsolutePath>) -> String {
    match (url, url_file) {
        (_, Some(file)) => format!("at the address in {file}"),
        (Some(url), None) => format!("at {}", host_of(url)),
        (None, None) => "without an address".to_owned(),
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

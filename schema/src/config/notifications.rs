//! `notifications.*` and `monitoring.*`: whom to tell, and how health is watched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AbsolutePath, CalendarText, Subset};
use crate::{channel::Channel, duration::Span};

/// An executable that gets the report on standard input.
pub type Command = AbsolutePath;

/// Whom to tell, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notifications {
    /// Whether anyone is told of a run's result.
    pub enable: bool,
    /// Tell of complete backups.
    pub on_success: bool,
    /// Tell of failed, refused and incomplete backups.
    pub on_failure: bool,
    /// Tell each logged-in graphical session.
    pub desktop: bool,
    /// Tell by mail, through the machine's sendmail.
    pub email: Option<Email>,
    /// Tell an ntfy topic.
    pub ntfy: Option<Ntfy>,
    /// POST the report as JSON.
    pub webhook: Option<Webhook>,
    /// Ping a dead man's switch at start, success and failure.
    pub healthcheck: Option<Healthcheck>,
    /// Executable that gets the report on standard input.
    pub command: Option<Command>,
}

impl Notifications {
    /// The channels that are asked for, in one order; none where `enable` is off.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        if !self.enable {
            return Vec::new();
        }
        let desktop = self.desktop.then_some(Channel::Desktop);
        let email = self.email.clone();
        let ntfy = self.ntfy.clone();
        let webhook = self.webhook.clone();
        let healthcheck = self.healthcheck.clone();
        let command = self.command.clone();
        desktop
            .into_iter()
            .chain(email.map(|Email { to, from }| Channel::Email { to, from }))
            .chain(ntfy.map(|ntfy| Channel::Ntfy {
                url: ntfy.url,
                topic: ntfy.topic,
                token_file: ntfy.token_file,
            }))
            .chain(webhook.map(|webhook| Channel::Webhook {
                url: webhook.url,
                headers_file: webhook.headers_file,
            }))
            .chain(healthcheck.map(|Healthcheck { url }| Channel::Healthcheck { url }))
            .chain(command.map(|program| Channel::Command { program }))
            .collect()
    }
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            enable: false,
            on_success: false,
            on_failure: true,
            desktop: true,
            email: None,
            ntfy: None,
            webhook: None,
            healthcheck: None,
            command: None,
        }
    }
}

/// A mail's two addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// Address that the mail goes to.
    pub to: String,
    /// Address that the mail comes from.
    pub from: String,
}

/// An ntfy topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ntfy {
    /// Address of the server.
    pub url: String,
    /// Topic to publish to.
    pub topic: String,
    /// File that holds the access token.
    #[serde(default)]
    pub token_file: Option<AbsolutePath>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Address that gets the POST.
    pub url: String,
    /// File with one `Name: value` header a line.
    #[serde(default)]
    pub headers_file: Option<AbsolutePath>,
}

/// A dead man's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Healthcheck {
    /// Address to ping.
    pub url: String,
}

/// Health checks, logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Monitoring {
    /// Whether health checks run by themselves.
    pub enable: bool,
    /// How often health checks run, as a systemd calendar expression.
    pub health_check_interval: CalendarText,
    /// Folder of the log files.
    pub log_path: AbsolutePath,
    /// Oldest acceptable last good backup; null is twice the schedule's interval.
    pub max_age: Option<Span>,
    /// Share of the stored data, `n/t`, that each health check reads and compares.
    pub verify_subset: Option<Subset>,
    /// Prometheus textfile-collector output.
    pub prometheus_file: Option<AbsolutePath>,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            enable: true,
            health_check_interval: CalendarText::new("weekly"),
            log_path: AbsolutePath::new("/var/log/backup"),
            max_age: None,
            verify_subset: Some(Subset::new(1, 30)),
            prometheus_file: None,
        }
    }
}

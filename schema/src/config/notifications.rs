//! `notifications.*` and `monitoring.*`: whom to tell, and how health is watched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AbsolutePath, CalendarText, Drill, Subset};
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
    /// How often a report over the time since the last one comes by mail (`email`): how the backups went, with
    /// charts in an attached page. It is sent by the first health check or backup of a week or a month, and
    /// tried again by the next if that fails.
    // Left out where it is not set, so that plans of configurations without it stay what they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub report: Option<ReportPeriod>,
}

/// How often a report comes by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportPeriod {
    /// In each week, which begins as `local.weekStartsOn` says.
    Weekly,
    /// In each month.
    Monthly,
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
                topic_file: ntfy.topic_file,
                token_file: ntfy.token_file,
            }))
            .chain(webhook.map(|webhook| Channel::Webhook {
                url: webhook.url,
                url_file: webhook.url_file,
                headers_file: webhook.headers_file,
            }))
            .chain(
                healthcheck
                    .map(|Healthcheck { url, url_file }| Channel::Healthcheck { url, url_file }),
            )
            .chain(command.map(|program| Channel::Command { program }))
            .collect()
    }
}

impl Notifications {
    /// The files that hold secrets of the channels that are asked for, each with its option.
    #[must_use]
    pub fn secret_files(&self) -> Vec<(&'static str, &AbsolutePath)> {
        if !self.enable {
            return Vec::new();
        }
        let ntfy = self.ntfy.as_ref();
        let webhook = self.webhook.as_ref();
        let healthcheck = self.healthcheck.as_ref();
        let files = [
            (
                "notifications.ntfy.topicFile",
                ntfy.and_then(|channel| channel.topic_file.as_ref()),
            ),
            (
                "notifications.ntfy.tokenFile",
                ntfy.and_then(|channel| channel.token_file.as_ref()),
            ),
            (
                "notifications.webhook.urlFile",
                webhook.and_then(|channel| channel.url_file.as_ref()),
            ),
            (
                "notifications.webhook.headersFile",
                webhook.and_then(|channel| channel.headers_file.as_ref()),
            ),
            (
                "notifications.healthcheck.urlFile",
                healthcheck.and_then(|channel| channel.url_file.as_ref()),
            ),
        ];
        let files = files.into_iter();
        files
            .filter_map(|(option, file)| Some((option, file?)))
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
            report: None,
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
    /// Topic to publish to: whoever knows it can read what is published there, unless the server asks
    /// for a password. See `topicFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub topic: Option<String>,
    /// File that holds the topic, which is then read from it when it is needed and stands nowhere
    /// else; instead of `topic`. It must belong to root or the user that runs the backup, and nobody
    /// else may be able to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub topic_file: Option<AbsolutePath>,
    /// File that holds the access token.
    #[serde(default)]
    pub token_file: Option<AbsolutePath>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Address that gets the POST. Plans and the configuration hold it; for one that is a secret see
    /// `urlFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub url: Option<String>,
    /// File that holds the address, which is then read from it when it is needed and stands nowhere
    /// else; instead of `url`. It must belong to root or the user that runs the backup, and nobody
    /// else may be able to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub url_file: Option<AbsolutePath>,
    /// File with one `Name: value` header a line.
    #[serde(default)]
    pub headers_file: Option<AbsolutePath>,
}

/// A dead man's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Healthcheck {
    /// Address to ping. Plans and the configuration hold it; for one that is a secret see `urlFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub url: Option<String>,
    /// File that holds the address, which is then read from it when it is needed and stands nowhere
    /// else; instead of `url`. It must belong to root or the user that runs the backup, and nobody
    /// else may be able to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub url_file: Option<AbsolutePath>,
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
    /// Trial restores.
    pub drill: Drill,
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
            drill: Drill::default(),
        }
    }
}

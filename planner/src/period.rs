//! What a report over a period concludes: the verdict and its line, and what a person should know, the gravest
//! first.
//!
//! Owns nothing of its own: status and health say it, here it is put together.

use std::cmp::Reverse;

use schema::{
    Finding, Severity,
    health::{Health, HealthVerdict},
    output::status::{BackupStatus, StatusVerdict},
};

/// What a report concludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// In one word: the worse of what status and health say.
    pub verdict: HealthVerdict,
    /// In one line.
    pub summary: String,
    /// What ends what it says; none where all is well.
    pub remedy: Option<String>,
    /// What was noticed, the gravest first; of several destinations each with its name.
    pub findings: Vec<Finding>,
}

/// Concludes from how things stand, from a health check, where there was one, and from whether all could be looked
/// at: nothing is well as long as it could not.
#[must_use]
pub fn conclude(status: &BackupStatus, health: Option<&Health>, saw_all: bool) -> Conclusion {
    let findings = all_findings(status, health);
    let by_status = match status.verdict {
        StatusVerdict::Ok => HealthVerdict::Ok,
        StatusVerdict::Warning => HealthVerdict::Warning,
        StatusVerdict::NoBackup => HealthVerdict::Error,
    };
    let by_health = health.map_or(HealthVerdict::Ok, |health| health.verdict);
    let gravest = findings.first().filter(|_| by_health > by_status);
    let (summary, remedy) = match gravest {
        Some(finding) => (finding.message.clone(), finding.hint.clone()),
        None => (status.summary.clone(), status.remedy.clone()),
    };
    Conclusion {
        verdict: match by_status.max(by_health) {
            HealthVerdict::Ok if !saw_all => HealthVerdict::Warning,
            verdict => verdict,
        },
        summary,
        remedy,
        findings,
    }
}

/// All findings, each once: of a health check, which judges, before those of the status.
fn all_findings(status: &BackupStatus, health: Option<&Health>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        let is_known =
            |one: &Finding| (&one.code, &one.message) == (&finding.code, &finding.message);
        if !all.iter().any(is_known) {
            all.push(finding);
        }
    };
    if let Some(health) = health {
        health.findings.iter().cloned().for_each(&mut add);
        for (name, own) in &health.destinations {
            let own = own.findings.iter().cloned();
            own.map(|finding| finding.named(name)).for_each(&mut add);
        }
    }
    status.findings.iter().cloned().for_each(&mut add);
    for (name, own) in &status.destinations {
        for finding in &own.findings {
            // The base has no name in a health check.
            let is_of_base = |health: &Health| health.findings.contains(finding);
            if !health.is_some_and(is_of_base) {
                add(finding.clone().named(name));
            }
        }
    }
    all.sort_by_key(|finding| Reverse(rank(finding.severity)));
    all
}

/// What waits is no worse than a warning.
fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Note => 0,
        Severity::Deferral => 1,
        Severity::Warning => 2,
        Severity::Refusal => 3,
        Severity::Error => 4,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(verdict: &str, findings: &[Finding]) -> BackupStatus {
        serde_json::from_value(json!({
            "format_version": 1,
            "verdict": verdict,
            "summary": "last backup 5 hours ago",
            "host": "atlas",
            "now": "2025-03-05T12:00:00+01:00",
            "destination": null,
            "last_good": null,
            "next_run_at": null,
            "late_since": null,
            "by_tier": {},
            "snapshots": 0,
            "suspect": [],
            "unfinished": null,
            "last_run": null,
            "running": false,
            "findings": findings,
        }))
        .unwrap()
    }

    fn health(verdict: &str, findings: &[Finding]) -> Health {
        serde_json::from_value(json!({
            "format_version": 1,
            "host": "atlas",
            "checked_at": "2025-03-05T12:00:00+01:00",
            "verdict": verdict,
            "last_good": null,
            "space": null,
            "verified": null,
            "cloud": null,
            "findings": findings,
        }))
        .unwrap()
    }

    #[test]
    fn the_worse_of_status_and_health_is_the_verdict() {
        let full =
            Finding::new(Severity::Error, "space-low", "the disk is full").hint("a larger one");
        let note = Finding::new(Severity::Note, "n", "a note");
        let worse = conclude(
            &status("ok", std::slice::from_ref(&note)),
            Some(&health("error", std::slice::from_ref(&full))),
            true,
        );
        assert_eq!(worse.verdict, HealthVerdict::Error);
        assert_eq!(worse.summary, "the disk is full");
        assert_eq!(worse.remedy.as_deref(), Some("a larger one"));
        assert_eq!(worse.findings, [full, note]);
        let well = conclude(&status("ok", &[]), Some(&health("ok", &[])), true);
        assert_eq!(well.verdict, HealthVerdict::Ok);
        assert_eq!(well.summary, "last backup 5 hours ago");
        let dim = conclude(&status("ok", &[]), Some(&health("ok", &[])), false);
        assert_eq!(dim.verdict, HealthVerdict::Warning);
        let none = conclude(
            &status("no-backup", &[]),
            Some(&health("warning", &[])),
            false,
        );
        assert_eq!(none.verdict, HealthVerdict::Error);
    }

    #[test]
    fn what_both_say_is_told_once() {
        let full = Finding::new(Severity::Error, "space-low", "the disk is full");
        let refused = Finding {
            severity: Severity::Refusal,
            ..full.clone()
        };
        let told = conclude(
            &status("warning", &[refused]),
            Some(&health("error", &[full])),
            true,
        );
        assert_eq!(told.findings.len(), 1);
        assert_eq!(told.findings[0].severity, Severity::Error);
    }
}

//! What a person should look at first, or that all is well: the verdict of a status.
//!
//! Owns the order in which concerns go before each other. Their words are the command line's.

use schema::{Finding, Severity, health::HealthVerdict};

use crate::findings::code;

/// How things stand, as far as the verdict depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The destination, where local snapshots are enabled.
    pub destination: Option<DestinationStanding>,
    /// Whether the last good backup is complete; none if there is no good one.
    pub last_good_is_complete: Option<bool>,
    /// Whether a backup is overdue.
    pub is_late: bool,
    /// Whether a run was begun and not ended.
    pub is_unfinished: bool,
    /// What the last runs left undone, the gravest first.
    pub troubles: &'a [String],
    /// Snapshots that nobody has accepted.
    pub suspect_snapshots: u64,
    /// Stored files that are known to be damaged.
    pub damaged_files: u64,
    /// Snapshots whose record is damaged.
    pub damaged_records: u64,
    /// What was noticed.
    pub findings: &'a [Finding],
    /// What of the last health check still stands; none if there was none.
    pub last_check: Option<HealthVerdict>,
}

/// How a destination stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationStanding {
    /// Whether it is there, and mounted where that is asked for.
    pub is_ready: bool,
    /// Whether it is one that this machine backs up to, or may become its first.
    pub is_ours: bool,
}

/// What a situation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assessment<'a> {
    /// There is no good backup.
    NoBackup,
    /// A person should look at this first.
    Concern(Concern<'a>),
    /// All is well.
    Well,
}

/// What a person should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern<'a> {
    /// Another destination than this machine's is mounted; the refusal says which.
    ForeignDestination(&'a Finding),
    /// A backup is overdue.
    Overdue,
    /// A run left something undone.
    Undone(&'a str),
    /// So many snapshots are suspect.
    SuspectSnapshots(u64),
    /// So many stored files are damaged.
    DamagedFiles(u64),
    /// So many snapshots have a damaged record.
    DamagedRecords(u64),
    /// Somebody changed so many snapshots, manifest and record included.
    ChangedSnapshots(u64),
    /// So many snapshots have a damaged manifest.
    DamagedManifests(u64),
    /// A run was begun and not ended.
    UnfinishedRun,
    /// The next run would be refused.
    Refusal(&'a Finding),
    /// The destination is not there, or not mounted.
    AbsentDestination,
    /// The last good backup was sealed with listed errors.
    IncompleteBackup,
    /// Something was noticed.
    Warning(&'a Finding),
    /// The last health check found something that still stands.
    HealthCheck,
}

/// Assesses a situation: whether there is a backup, and what a person should look at first.
#[must_use]
pub fn assess<'a>(situation: &Situation<'a>) -> Assessment<'a> {
    // Of another disk it says nothing that there is no backup on it.
    if let Some(refusal) = foreign_destination(situation) {
        return Assessment::Concern(Concern::ForeignDestination(refusal));
    }
    let Some(is_complete) = situation.last_good_is_complete else {
        return Assessment::NoBackup;
    };
    first_concern(situation, is_complete).map_or(Assessment::Well, Assessment::Concern)
}

/// The refusal that says that what is mounted is another's, if it is.
fn foreign_destination<'a>(situation: &Situation<'a>) -> Option<&'a Finding> {
    let found = situation.destination?;
    let is_foreign = found.is_ready && !found.is_ours;
    is_foreign.then(|| first_of(situation, Severity::Refusal))?
}

/// What goes before everything else, where there is a good backup.
fn first_concern<'a>(situation: &Situation<'a>, is_complete: bool) -> Option<Concern<'a>> {
    let counted = |count: u64, concern: fn(u64) -> Concern<'a>| (count > 0).then(|| concern(count));
    let is_absent = situation.destination.is_some_and(|found| !found.is_ready);
    let undone = situation.troubles.first();
    let checked = situation.last_check;
    situation
        .is_late
        .then_some(Concern::Overdue)
        .or_else(|| undone.map(|undone| Concern::Undone(undone)))
        .or_else(|| counted(situation.suspect_snapshots, Concern::SuspectSnapshots))
        .or_else(|| counted(situation.damaged_files, Concern::DamagedFiles))
        .or_else(|| counted(situation.damaged_records, Concern::DamagedRecords))
        .or_else(|| {
            let changed = of_code(situation.findings, code::SNAPSHOT_MANIFEST_CHANGED);
            counted(changed, Concern::ChangedSnapshots)
        })
        .or_else(|| {
            let damaged = of_code(situation.findings, code::SNAPSHOT_MANIFEST_DAMAGED);
            counted(damaged, Concern::DamagedManifests)
        })
        .or_else(|| situation.is_unfinished.then_some(Concern::UnfinishedRun))
        .or_else(|| first_of(situation, Severity::Refusal).map(Concern::Refusal))
        .or_else(|| is_absent.then_some(Concern::AbsentDestination))
        .or_else(|| (!is_complete).then_some(Concern::IncompleteBackup))
        .or_else(|| first_of(situation, Severity::Warning).map(Concern::Warning))
        .or_else(|| {
            let found = checked.is_some_and(|verdict| verdict != HealthVerdict::Ok);
            found.then_some(Concern::HealthCheck)
        })
}

fn of_code(findings: &[Finding], code: &str) -> u64 {
    findings.iter().filter(|one| one.code == code).count() as u64
}

fn first_of<'a>(situation: &Situation<'a>, severity: Severity) -> Option<&'a Finding> {
    let mut findings = situation.findings.iter();
    findings.find(|finding| finding.severity == severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: DestinationStanding = DestinationStanding {
        is_ready: true,
        is_ours: true,
    };

    const WELL: Situation<'_> = Situation {
        destination: Some(READY),
        last_good_is_complete: Some(true),
        is_late: false,
        is_unfinished: false,
        troubles: &[],
        suspect_snapshots: 0,
        damaged_files: 0,
        damaged_records: 0,
        findings: &[],
        last_check: Some(HealthVerdict::Ok),
    };

    #[test]
    fn all_is_well_where_nothing_is_to_be_looked_at() {
        assert_eq!(assess(&WELL), Assessment::Well);
        let note = [Finding::new(Severity::Note, "n", "m")];
        let noted = Situation {
            findings: &note,
            last_check: None,
            ..WELL
        };
        assert_eq!(assess(&noted), Assessment::Well);
    }

    #[test]
    fn without_a_good_backup_nothing_else_counts() {
        let none = Situation {
            last_good_is_complete: None,
            is_late: true,
            damaged_files: 3,
            ..WELL
        };
        assert_eq!(assess(&none), Assessment::NoBackup);
    }

    #[test]
    fn another_disk_says_nothing_of_whether_there_is_a_backup() {
        let refusal = [Finding::new(Severity::Refusal, "destination-unknown", "m")];
        let foreign = Situation {
            destination: Some(DestinationStanding {
                is_ours: false,
                ..READY
            }),
            last_good_is_complete: None,
            findings: &refusal,
            ..WELL
        };
        let expected = Assessment::Concern(Concern::ForeignDestination(&refusal[0]));
        assert_eq!(assess(&foreign), expected);
        let absent = Situation {
            destination: Some(DestinationStanding {
                is_ready: false,
                is_ours: false,
            }),
            ..foreign
        };
        assert_eq!(assess(&absent), Assessment::NoBackup);
    }

    #[test]
    fn concerns_go_before_each_other_in_a_fixed_order() {
        let troubles = ["the last run failed".to_owned()];
        let findings = [
            Finding::new(Severity::Warning, "w", "m"),
            Finding::new(Severity::Note, code::SNAPSHOT_MANIFEST_DAMAGED, "m"),
            Finding::new(Severity::Refusal, "r", "m"),
            Finding::new(Severity::Note, code::SNAPSHOT_MANIFEST_CHANGED, "m"),
        ];
        let mut situation = Situation {
            destination: Some(DestinationStanding {
                is_ready: false,
                is_ours: true,
            }),
            last_good_is_complete: Some(false),
            is_late: true,
            is_unfinished: true,
            troubles: &troubles,
            suspect_snapshots: 1,
            damaged_files: 2,
            damaged_records: 3,
            findings: &findings,
            last_check: Some(HealthVerdict::Warning),
        };
        let mut order = Vec::new();
        // Each time the first one is put right.
        while let Assessment::Concern(concern) = assess(&situation) {
            order.push(concern);
            match concern {
                Concern::Overdue => situation.is_late = false,
                Concern::Undone(_) => situation.troubles = &[],
                Concern::SuspectSnapshots(_) => situation.suspect_snapshots = 0,
                Concern::DamagedFiles(_) => situation.damaged_files = 0,
                Concern::DamagedRecords(_) => situation.damaged_records = 0,
                Concern::ChangedSnapshots(_) => situation.findings = &findings[..3],
                Concern::DamagedManifests(_) => situation.findings = &[],
                Concern::UnfinishedRun => {
                    situation.is_unfinished = false;
                    situation.findings = &findings[2..3];
                }
                Concern::Refusal(_) => situation.findings = &findings[..1],
                Concern::AbsentDestination => situation.destination = Some(READY),
                Concern::IncompleteBackup => situation.last_good_is_complete = Some(true),
                Concern::Warning(_) => situation.findings = &[],
                Concern::HealthCheck => situation.last_check = None,
                Concern::ForeignDestination(_) => panic!("it is ours"),
            }
        }
        assert_eq!(
            order,
            [
                Concern::Overdue,
                Concern::Undone("the last run failed"),
                Concern::SuspectSnapshots(1),
                Concern::DamagedFiles(2),
                Concern::DamagedRecords(3),
                Concern::ChangedSnapshots(1),
                Concern::DamagedManifests(1),
                Concern::UnfinishedRun,
                Concern::Refusal(&findings[2]),
                Concern::AbsentDestination,
                Concern::IncompleteBackup,
                Concern::Warning(&findings[0]),
                Concern::HealthCheck,
            ]
        );
    }
}

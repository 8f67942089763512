//! The codes of all findings: stable names that programs may match on.
//!
//! A code is never reused for something else. New findings get a new one.
#![expect(missing_docs, reason = "the names say it")]

use schema::{Finding, Severity, plan::Part};

/// The part of a run that a finding is about, for who looks into that part's log; `main` is the one
/// without which there is no backup. What keeps the run from being made is about that one, whatever
/// it is; of the rest what is no more than a note is the run's.
#[must_use]
pub fn part_of(finding: &Finding, main: Part) -> Part {
    let is_of_cloud = |code: &str| code.starts_with("cloud-") || code.starts_with("rclone-");
    match finding.severity {
        Severity::Note => Part::Coordinator,
        Severity::Refusal | Severity::Deferral => main,
        _ if is_of_cloud(&finding.code) => Part::Cloud,
        _ if finding.code.starts_with("state-") || finding.code == SECRET_NOT_USED => {
            Part::Coordinator
        }
        Severity::Warning | Severity::Error => main,
    }
}

// Deferrals, and refusals that may be configured as such.
pub const ON_BATTERY: &str = "on-battery";
pub const DESTINATION_NOT_MOUNTED: &str = "destination-not-mounted";

// Refusals about the destination.
/// One of several cannot be looked at, or its sources cannot.
pub const DESTINATION_UNSEEN: &str = "destination-unseen";
pub const DESTINATION_READ_ONLY: &str = "destination-read-only";
pub const DESTINATION_RECORD_UNREADABLE: &str = "destination-record-unreadable";
pub const DESTINATION_RECORD_REBUILT: &str = "destination-record-rebuilt";
pub const DESTINATION_TOO_NEW: &str = "destination-too-new";
pub const DESTINATION_OF_ANOTHER_HOST: &str = "destination-of-another-host";
pub const DESTINATION_OF_ANOTHER_MACHINE: &str = "destination-of-another-machine";
pub const NOTHING_TO_TAKE_OVER: &str = "nothing-to-take-over";
pub const DESTINATION_OF_OLD_NAME: &str = "destination-of-old-name";
/// One disk stands under two names.
pub const DESTINATION_TWICE: &str = "destination-twice";
pub const DESTINATION_UNKNOWN: &str = "destination-unknown";
pub const WRONG_FILE_SYSTEM: &str = "wrong-file-system";
pub const NO_TIER: &str = "no-tier";
pub const NO_HARD_LINKS: &str = "no-hard-links";
pub const INSUFFICIENT_SPACE: &str = "insufficient-space";
pub const INSUFFICIENT_INODES: &str = "insufficient-inodes";

// Refusals about the sources.
pub const NOTHING_TO_BACK_UP: &str = "nothing-to-back-up";
pub const SOURCE_TWICE: &str = "source-twice";
pub const SOURCE_INSIDE_SOURCE: &str = "source-inside-source";
pub const SOURCE_OVERLAPS_DESTINATION: &str = "source-overlaps-destination";

// Refusals about rsync.
pub const RSYNC_MISSING: &str = "rsync-missing";
pub const RSYNC_TOO_OLD: &str = "rsync-too-old";

// Refusals about what others could change.
pub const UNTRUSTED_FILE: &str = "untrusted-file";

// What drills come to.
pub const DRILL_DONE: &str = "drill-done";
pub const DRILL_FAILED: &str = "drill-failed";
pub const DRILL_OVERDUE: &str = "drill-overdue";

// Refusals about what the plan is made from.
pub const INVENTORY_TOO_NEW: &str = "inventory-too-new";
pub const INVENTORY_OF_ANOTHER_CONFIG: &str = "inventory-of-another-config";

// Refusals of a saved plan.
pub const PLAN_ALTERED: &str = "plan-altered";
pub const PLAN_NOT_OF_CONFIG: &str = "plan-not-of-config";
pub const PLAN_TOO_NEW: &str = "plan-too-new";
pub const PLAN_TOO_OLD: &str = "plan-too-old";
pub const PLAN_OF_ANOTHER_HOST: &str = "plan-of-another-host";
pub const CONFIG_CHANGED: &str = "config-changed";
pub const DESTINATION_CHANGED: &str = "destination-changed";
pub const SNAPSHOTS_CHANGED: &str = "snapshots-changed";

// Warnings.
pub const SOURCE_MISSING: &str = "source-missing";
pub const SOURCE_UNREADABLE: &str = "source-unreadable";
pub const SOURCE_EMPTY: &str = "source-empty";
pub const SOURCE_NOT_MOUNTED: &str = "source-not-mounted";
pub const ENTRIES_UNREADABLE: &str = "entries-unreadable";
pub const DATA_PASSED_OVER: &str = schema::health::DATA_PASSED_OVER;
pub const FILES_OF_HOLES: &str = "files-of-holes";
pub const ENTRIES_NOT_HELD: &str = "entries-not-held";
pub const SNAPSHOT_IN_THE_FUTURE: &str = "snapshot-in-the-future";
pub const SUSPECT_SNAPSHOT: &str = "suspect-snapshot";
pub const DELETIONS_NEED_APPROVAL: &str = "deletions-need-approval";
pub const SNAPSHOT_STAYS: &str = "snapshot-stays";
pub const DELETIONS_WITHHELD: &str = "deletions-withheld";

// Of health checks.
pub const HEALTH_CHECKED: &str = "health-checked";
pub const REPORT_UNSENT: &str = "report-unsent";
pub const DESTINATION_UNREADABLE: &str = "destination-unreadable";
pub const NO_GOOD_BACKUP: &str = "no-good-backup";
pub const BACKUP_TOO_OLD: &str = "backup-too-old";
pub const NO_TIMER: &str = "no-timer";
pub const NO_AGE_LIMIT: &str = "no-age-limit";
pub const LAST_BACKUP_INCOMPLETE: &str = "last-backup-incomplete";
pub const SPACE_LOW: &str = "space-low";
pub const SPACE_ENDS_SOON: &str = "space-ends-soon";
pub const LAYOUT_NOT_AS_WANTED: &str = "layout-not-as-wanted";
pub const TRASH_NOT_EMPTIED: &str = "trash-not-emptied";
pub const SNAPSHOT_LOST: &str = "snapshot-lost";
pub const RUN_UNFINISHED: &str = "run-unfinished";
pub const LAST_RUN_FAILED: &str = "last-run-failed";
pub const NOBODY_WAS_TOLD: &str = "nobody-was-told";
pub const CLOCK_WENT_BACK: &str = "clock-went-back";
pub const NEVER_ELAPSES: &str = "never-elapses";
pub const VERIFY_FOUND_DAMAGE: &str = "verify-found-damage";
pub const VERIFY_FAILED: &str = "verify-failed";
pub const COPY_NOT_READ_BACK: &str = "copy-not-read-back";
pub const VERIFY_PUT_OFF: &str = "verify-put-off";
pub const VERIFY_IS_OFF: &str = "verify-is-off";
pub const CLOUD_COPY_TOO_OLD: &str = "cloud-copy-too-old";
pub const CLOUD_NEVER_COPIED: &str = "cloud-never-copied";
pub const CLOUD_UNREACHABLE: &str = "cloud-unreachable";
pub const CLOUD_DELETIONS_WITHHELD: &str = "cloud-deletions-withheld";
pub const CLOUD_COPY_INCOMPLETE: &str = "cloud-copy-incomplete";
pub const UPLOAD_FROM_SOURCES: &str = "upload-from-sources";
pub const NOTHING_TO_UPLOAD: &str = "nothing-to-upload";
pub const CLOUD_REMOTE_UNKNOWN: &str = "cloud-remote-unknown";
pub const CLOUD_HISTORY_HELD_BACK: &str = "cloud-history-held-back";
pub const USERS_CANNOT_READ: &str = "users-cannot-read";
pub const SECRET_NOT_USED: &str = "secret-not-used";
pub const RCLONE_MISSING: &str = "rclone-missing";
pub const RCLONE_TOO_OLD: &str = "rclone-too-old";
pub const RCLONE_HAS_KNOWN_FAULTS: &str = "rclone-has-known-faults";

// Notes.
pub const USER_VIEW_LEFT: &str = "user-view-left";
pub const SOURCE_NOT_YET_THERE: &str = "source-not-yet-there";
pub const OPTIONAL_SOURCE_NOT_THERE: &str = "optional-source-not-there";
pub const DESTINATION_NOT_YET_THERE: &str = "destination-not-yet-there";
pub const NOTHING_ENABLED: &str = "nothing-enabled";
pub const ONLY_ONE_PART: &str = "only-one-part";
pub const FIRST_SNAPSHOT: &str = "first-snapshot";
pub const RSYNC_HAS_KNOWN_FAULTS: &str = "rsync-has-known-faults";
pub const FULL_COPIES: &str = "full-copies";
pub const KEPT_IN_MANIFEST_ONLY: &str = "kept-in-manifest-only";
pub const NO_TIER_LINKS: &str = "no-tier-links";
pub const NAMES_STORED_OTHERWISE: &str = "names-stored-otherwise";
pub const NAMES_LIMITED: &str = "names-limited";
pub const FILES_LIMITED: &str = "files-limited";
pub const NAMES_MAY_COLLIDE: &str = "names-may-collide";
pub const DESTINATION_LEFT_OUT: &str = "destination-left-out";
/// Exclude patterns that leave nothing out.
pub const PATTERNS_WITHOUT_EFFECT: &str = "patterns-without-effect";
pub const MOUNT_PASSED_OVER: &str = "mount-passed-over";
pub const DATABASES_AS_FILES: &str = "databases-as-files";
pub const HOLES_TAKE_LONG: &str = "holes-take-long";
pub const COSTS_MOST: &str = "costs-most";
pub const IMMUTABLE_ENTRIES: &str = "immutable-entries";
pub const UNMANAGED_FOLDERS: &str = "unmanaged-folders";
pub const RECORDS_CLEARED: &str = "records-cleared";
pub const REMOVAL_RESUMED: &str = "removal-resumed";
pub const PARTIAL_CONTINUED: &str = "partial-continued";
pub const PARTIAL_DISCARDED: &str = "partial-discarded";
pub const SNAPSHOT_RECORD_DAMAGED: &str = "snapshot-record-damaged";
pub const SNAPSHOT_MANIFEST_DAMAGED: &str = "snapshot-manifest-damaged";
/// A snapshot's manifest and record are not those that this machine sealed.
pub const SNAPSHOT_MANIFEST_CHANGED: &str = "snapshot-manifest-changed";
/// The copies in the cloud that another machine made are this one's from now on.
pub const COPIES_TAKEN_OVER: &str = "copies-taken-over";
/// Digests of manifests are kept from now on, of snapshots of which none were.
pub const MANIFESTS_TAKEN_OVER: &str = "manifests-taken-over";
pub const STATE_FILE_DAMAGED: &str = "state-file-damaged";
pub const STATE_UNWRITABLE: &str = "state-unwritable";
pub const IN_THE_WAY: &str = "in-the-way";
pub const SNAPSHOT_MARKS_DAMAGED: &str = "snapshot-marks-damaged";
pub const ROTATION_RECORD_DAMAGED: &str = "rotation-record-damaged";
pub const DAMAGED_FILES: &str = "damaged-files";
/// The folder of a snapshot cannot be opened, so that no new one is linked to it.
pub const SNAPSHOT_UNREADABLE: &str = "snapshot-unreadable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_run_from_being_made_is_about_the_part_that_makes_the_backup() {
        let part = |severity, code| part_of(&Finding::new(severity, code, "m"), Part::Local);
        for severity in [Severity::Refusal, Severity::Deferral] {
            for code in [
                DESTINATION_NOT_MOUNTED,
                UNTRUSTED_FILE,
                RCLONE_MISSING,
                ON_BATTERY,
            ] {
                assert_eq!(part(severity, code), Part::Local, "{code}");
            }
        }
        assert_eq!(part(Severity::Warning, SOURCE_MISSING), Part::Local);
        assert_eq!(
            part(Severity::Warning, CLOUD_HISTORY_HELD_BACK),
            Part::Cloud
        );
        assert_eq!(part(Severity::Warning, STATE_UNWRITABLE), Part::Coordinator);
        assert_eq!(part(Severity::Note, FIRST_SNAPSHOT), Part::Coordinator);
    }
}

//! That others could change what a run would start or be led by: programs of the configuration, and the
//! configuration of rclone, which names programs too.
//!
//! Whether anybody could is found out by the executor. Here is which files count, and for which runs.

use schema::{
    Config, Finding, Inventory, config::AbsolutePath, inventory::UntrustedFile, plan::Part,
};

use super::{code, finding::warning, refusal};

const PRE_SCRIPT: &str = "preBackupScript";
const POST_SCRIPT: &str = "postBackupScript";
const COMMAND: &str = "notifications.command";
const RCLONE: &str = "cloud.configFile";

/// The files of a configuration that decide what is run, each with the option that names it.
#[must_use]
pub fn deciding_files(config: &Config) -> Vec<(&'static str, AbsolutePath)> {
    let told = config.notifications.enable;
    let copied = config.cloud.enable;
    let all = [
        (PRE_SCRIPT, config.pre_backup_script.as_ref()),
        (POST_SCRIPT, config.post_backup_script.as_ref()),
        (
            COMMAND,
            config.notifications.command.as_ref().filter(|_| told),
        ),
        (RCLONE, config.cloud.config_file.as_ref().filter(|_| copied)),
    ];
    let named = all.into_iter();
    named
        .filter_map(|(option, path)| Some((option, path?.clone())))
        .collect()
}

/// One refusal for each file that is not to be trusted.
#[must_use]
pub fn untrusted_files(inventory: &Inventory) -> Vec<Finding> {
    inventory.untrusted.iter().map(describe_file).collect()
}

/// The same for what the steps of a part start; all of it where a run is whole.
pub(super) fn of_part(inventory: &Inventory, only: Option<Part>) -> Vec<Finding> {
    let all = inventory.untrusted.iter();
    let counts = |file: &&UntrustedFile| match only {
        None => true,
        Some(Part::Cloud) => file.option == RCLONE,
        Some(Part::Coordinator) => file.option != RCLONE,
        Some(Part::Local) => false,
    };
    all.filter(counts).map(describe_file).collect()
}

/// Whether a program is one that is not started because others could change it.
pub(crate) fn is_untrusted(inventory: &Inventory, program: &AbsolutePath) -> bool {
    let mut all = inventory.untrusted.iter();
    all.any(|file| file.path == program.as_str())
}

fn describe_file(file: &UntrustedFile) -> Finding {
    let UntrustedFile {
        option,
        path,
        because,
        hint,
    } = file;
    let message = format!("{path} ({option}) is not to be trusted, and not used: {because}");
    // A local backup never waits for the cloud; its own step refuses.
    let finding = if option == RCLONE {
        let message = format!("{message}, so nothing is copied to the cloud");
        warning(code::UNTRUSTED_FILE, message)
    } else {
        refusal(code::UNTRUSTED_FILE, message)
    };
    finding.hint(hint.clone())
}

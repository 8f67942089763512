//! What is wrong with a configuration, as the document that `--json` prints.

use planner::check::Fault;
use schema::{
    inventory::UntrustedFile,
    output::check::{ConfigFault, ConfigFaults, FORMAT_VERSION},
};

/// The document of these faults.
pub(crate) fn config_faults(faults: &[Fault]) -> ConfigFaults {
    let fault = |fault: &Fault| ConfigFault {
        format_version: FORMAT_VERSION,
        path: fault.path.clone(),
        problem: fault.problem.clone(),
        found: fault.found.clone(),
        expected: fault.expected.clone(),
        nearest: fault.nearest.clone(),
        hint: fault.hint.clone(),
    };
    ConfigFaults(faults.iter().map(fault).collect())
}

/// That others could change a file that decides what is run.
pub(crate) fn untrusted_fault(file: &UntrustedFile) -> ConfigFault {
    ConfigFault {
        format_version: FORMAT_VERSION,
        path: file.option.clone(),
        problem: format!("not to be trusted: {}", file.because),
        found: Some(format!("{:?}", file.path)),
        expected: String::new(),
        nearest: None,
        hint: Some(file.hint.clone()),
    }
}

//! What is wrong with a configuration, as the document that `--json` prints.

use planner::check::Fault;
use schema::output::check::{ConfigFault, ConfigFaults, FORMAT_VERSION};

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

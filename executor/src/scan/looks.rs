//! What the steps of one run share of the looks at the sources.

use schema::{Plan, plan::Action};

use super::SharedScan;
use crate::{destination::host_inodes, state_dir::StateDir};

/// What the looks at the sources share that the steps of one run make, where nothing was found before.
#[derive(Debug, Default)]
pub struct Looks {
    /// What was met once, for all snapshots of the run.
    pub(crate) scans: SharedScan,
    run: Option<Run>,
    left_out: Option<Vec<(u64, u64)>>,
    /// The id of the last step that makes a snapshot.
    last: Option<String>,
}

/// A run whose configuration says what is left out.
#[derive(Debug)]
struct Run {
    state: StateDir,
    id: String,
    host: String,
}

impl Looks {
    /// Those of the steps of a plan.
    pub(crate) fn new(state: &StateDir, plan: &Plan) -> Self {
        let steps = plan.steps.iter();
        let mut snapshots = steps.filter(|step| matches!(step.action, Action::Snapshot(_)));
        let last = snapshots.next_back().map(|step| step.id.clone());
        Self {
            scans: SharedScan::new(snapshots.next().is_some()),
            run: Some(Run {
                state: state.clone(),
                id: plan.run_id.clone(),
                host: plan.host.clone(),
            }),
            left_out: None,
            last,
        }
    }

    /// A step begins: after the last one that makes a snapshot nobody asks any more.
    pub(crate) fn begin(&mut self, step: &str) {
        if self.last.as_deref() == Some(step) {
            self.scans.end();
        }
    }

    /// The inodes that no walk enters, whatever the destination is, where there are several.
    pub(crate) fn left_out(&mut self) -> &[(u64, u64)] {
        let run = self.run.as_ref();
        self.left_out.get_or_insert_with(|| {
            run.map(|run| inodes_left_out(&run.state, &run.id, &run.host))
                .unwrap_or_default()
        })
    }
}

/// The folders of all destinations of a run, also of those that it is not for, where there are several.
pub(crate) fn inodes_left_out(state: &StateDir, run_id: &str, host: &str) -> Vec<(u64, u64)> {
    let config = state.config_of(run_id);
    let Some(config) = config.filter(|config| !config.destinations.is_empty()) else {
        return Vec::new();
    };
    host_inodes(&config, config.hostname.as_deref().unwrap_or(host))
}

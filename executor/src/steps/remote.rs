//! The remote with history of a step: rclone as it is called for it, and what is kept of it here.

use std::time::Instant;

use schema::plan::RemoteCall;

use crate::{
    cloud::{
        memory::RemoteCache,
        rclone::{self, CopyPlace, Credentials, Rclone},
        remote_history::HistoryRemote,
    },
    error::Result,
    event::Context,
    state_dir::StateDir,
};

/// Works with the remote of a step, where so many entries are expected.
pub(super) fn with_remote<T>(
    state: &StateDir,
    name: &str,
    (call, entries): (&RemoteCall, u64),
    context: Context<'_>,
    work: impl FnOnce(HistoryRemote<'_>) -> Result<T>,
) -> Result<T> {
    let (program, config_file) = (call.program.as_str(), call.config_file.as_ref());
    if let Some(file) = config_file {
        rclone::check_config(file)?;
    }
    let cache = RemoteCache::open_or_new(state, &call.remote)?;
    let credentials = Credentials::prepare(program, config_file, &cache, CopyPlace::Cache)?;
    let limit = call.timeout.as_duration();
    let rclone = Rclone {
        program,
        options: &call.options,
        credentials: &credentials,
        step: name,
        until: Instant::now()
            .checked_add(limit)
            .map(|until| (until, call.timeout.to_string())),
        stall: rclone::longest_stall(Some(limit)),
        most_listed: rclone::listing_limit(entries),
        context,
    };
    let done = work(HistoryRemote {
        rclone: &rclone,
        cache: &cache,
        remote: &call.remote,
        host: &call.folder,
    });
    credentials.keep(name, context);
    done.map_err(|error| rclone::with_rclone_hint(error, program, config_file, &call.remote))
}

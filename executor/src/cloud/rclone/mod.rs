//! rclone: which one there is, how it is called, what it says and what its end means.

mod call;
mod conceal;
mod credentials;
mod ini;
mod installed;
mod log;

pub use call::{Rclone, RcloneExit, listing_limit, longest_stall};
pub use credentials::{CopyPlace, Credentials, default_config};
pub(crate) use installed::clean_environment;
pub use installed::{check_config, find_rclone, has_remote, list_remotes, with_rclone_hint};
pub use log::FileFaults;

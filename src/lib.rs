//! Hard-link snapshots with a plan that can be read before anything is deleted, as a library.
//!
//! An [`Engine`] has a verb for each thing that a front end may want: it takes a typed request and
//! gives a typed outcome, and meanwhile it tells an [`Observer`] what happens. It prints nothing,
//! ends no process and knows no command line; the program `backup` is one of its callers.
//!
//! # Example
//!
//! A folder is backed up to another one, and a file of it restored. Both are in one temporary folder, so
//! that no drive is needed (`requireMount` is false).
//!
//! ```
//! use std::fs;
//!
//! use backup::{
//!     Engine, Silent,
//!     engine::{ApplyOutcome, ApplyRequest, RestoreRequest, RunOutcome, check_config_text},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let place = folder.path().canonicalize()?;
//! let (source, drive) = (place.join("documents"), place.join("drive"));
//! fs::create_dir(&source)?;
//! fs::create_dir(&drive)?;
//! fs::write(source.join("letter.txt"), "Dear Ann")?;
//!
//! // The same keys as in /etc/backup/config.json, and the same checks.
//! let config = check_config_text(&format!(
//!     r#"{{
//!         "version": 1,
//!         "hostname": "example",
//!         "local": {{
//!             "enable": true,
//!             "mountPoint": "{}",
//!             "requireMount": false,
//!             "useRsync": false,
//!             "minSpaceGB": 0,
//!             "sources": ["{}"]
//!         }}
//!     }}"#,
//!     drive.display(),
//!     source.display(),
//! ))?;
//! let engine = Engine::open(config, place.join("state"));
//!
//! // Nothing is told while it works; `Silent` is an observer that looks away.
//! let outcome = engine.apply(&ApplyRequest::default(), &Silent)?;
//! let ApplyOutcome::Run(RunOutcome::Ended(report)) = outcome else {
//!     panic!("{outcome:?}");
//! };
//! let snapshot = report.snapshot.expect("a snapshot was made");
//! assert!(snapshot.complete);
//!
//! let listing = engine.list(&Silent)?;
//! assert_eq!(listing.list.snapshots.len(), 1);
//! assert_eq!(listing.list.snapshots[0].id, snapshot.id);
//!
//! // What a restore does is planned and can be looked at before it is done.
//! let target = place.join("restored.txt");
//! let prepared = engine.prepare_restore(
//!     &RestoreRequest::new("latest", source.join("letter.txt"), &target),
//!     &Silent,
//! )?;
//! assert!(!prepared.would_replace());
//! engine.restore(prepared, &Silent)?;
//! assert_eq!(fs::read_to_string(target)?, "Dear Ann");
//! # Ok(())
//! # }
//! ```
//!
//! The words of its requests and outcomes are [`schema`]'s, its decisions [`planner`]'s, its effects
//! [`executor`]'s.

pub mod engine;

pub use {executor, planner, schema};

pub use engine::{Engine, Notice, Observer};
pub use executor::{Error, ErrorKind, Result, event::Silent};

//! Snapshots, files and their versions in a terminal.
//!
//! Owns what is seen, what keys do, and who waits for whom. What there is to be seen a [`Source`] tells, asked
//! by threads, so that no disk and no network keeps anybody from leaving. What is to be done is an [`Action`],
//! which whoever calls [`run()`] has done: nothing is read from or written to a disk here.

mod action;
mod app;
mod areas;
mod compare;
mod data;
mod destinations;
mod dialog;
mod draw;
mod draw_over;
mod draw_panes;
mod input;
mod keys;
mod lanes;
mod mouse;
mod request;
mod rows;
mod run;
mod search;
mod theme;
mod viewer;

pub use self::{
    action::{Action, Target},
    data::{
        Cancel, Destination, Fault, Folder, FoundPath, Item, Overview, Read, Snapshot, Source,
        Standing, Version, Versions,
    },
    run::{End, Options, leave_screen, run},
};

#[cfg(test)]
mod screens;

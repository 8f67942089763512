//! What the tests of the built program share: a laboratory with sources and a destination, the program
//! run in it, tools of the system, things that are mounted and unmounted again, random numbers.
//!
//! Owns no expectation of the program: what must be so is said in the tests.

mod evidence;
mod files;
mod format;
mod http_proxy;
mod json_schema;
mod kept;
mod lab;
mod many;
mod mounts;
mod output;
mod pages;
mod random;
mod release;
mod terminal;
mod tools;
mod wait;

pub use self::{
    evidence::keep_evidence,
    files::{
        contents_below, entry_names, everything_below, flip_byte, flip_byte_unseen, read_json,
    },
    format::{check_with_example, list_with_example, read_by_format_page, restore_with_example},
    http_proxy::{Fate, HttpProxy, Request},
    json_schema::{DOCUMENTS, WITHOUT_DOCUMENT, check_output, differences, read_schema},
    kept::must_be_kept,
    lab::{Lab, id_of},
    mounts::{Mounted, is_mounted, make_ext4, why_nothing_can_be_mounted},
    output::{Ran, run_command, wait_for_child},
    pages::{Block, Page, commands_in, read_pages},
    random::Random,
    release::{debian_files, make_release, write_release_assets},
    terminal::Terminal,
    tools::{can_trace, is_installed, is_missing, run_tool, skip},
    wait::{PATIENCE, is_alive, wait_for, wait_in_time},
};

//! The built program as a user runs it: arguments in, exit code, output and files out.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr
)]

mod adopt;
mod adopt_tools;
mod basis;
mod bounded;
mod by_hand;
mod cloud;
mod cloud_away;
mod cloud_changes;
mod cloud_credentials;
mod cloud_live;
mod cloud_names;
mod cloud_patterns;
mod completions;
mod damage;
mod damage_table;
mod databases;
mod dependencies;
mod diff;
mod drill;
mod dry_run;
mod due;
mod exclude;
mod find;
mod format;
mod gone;
mod health;
mod health_cloud;
mod help;
mod in_the_way;
mod interrupted;
mod lab;
mod laws;
mod layout;
mod logs;
mod machines;
mod manifests;
mod manual;
mod many_days;
mod many_snapshots;
mod metrics;
mod mounted;
mod mounting_script;
mod naming;
mod notify;
mod options;
mod ordinary_user;
mod output;
mod outputs;
mod outside_text;
mod overview;
mod packages;
mod pages;
mod parts;
mod pictures;
mod planted;
mod records;
mod repair;
mod restore;
mod restore_many;
mod rsync;
mod safety;
mod saved_plans;
mod schemas;
mod screens;
mod scripts;
mod segments;
mod setup;
mod state;
mod state_files;
mod suspicion;
mod tags;
mod tampered;
mod threads;
mod trust;
mod typed;
mod user_view;
mod validity;
mod verify;
mod walked;
mod what_if;

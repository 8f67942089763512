//! The built program as a user runs it: arguments in, exit code, output and files out.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod adopt;
mod cloud;
mod damage;
mod diff;
mod due;
mod find;
mod health;
mod health_cloud;
mod help;
mod interrupted;
mod lab;
mod layout;
mod logs;
mod manual;
mod many_days;
mod metrics;
mod mounted;
mod notify;
mod options;
mod ordinary_user;
mod overview;
mod parts;
mod records;
mod repair;
mod restore;
mod restore_many;
mod rsync;
mod safety;
mod saved_plans;
mod schemas;
mod scripts;
mod suspicion;
mod validity;
mod verify;
mod what_if;

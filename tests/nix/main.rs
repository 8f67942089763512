//! The NixOS module as NixOS evaluates it, held against the program.
//!
//! Needs `nix-instantiate` (./test brings it). What needs nixpkgs takes it from `HWC_NIXPKGS`, else
//! from `<nixpkgs>`, and never downloads it: a tree with `nixos/` serves all tests, one with only
//! `lib/` those of options, types and assertions. Where the tree is old, `HWC_NIXPKGS_LIB` may name
//! a newer `lib`. Without nixpkgs the pure parts are evaluated, and what a full evaluation once gave
//! is compared ([`golden`]).

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod bare_units;
mod examples;
mod flake;
mod golden;
mod home_manager;
mod lab;
mod options;
mod overrides;
mod providers;
mod pure;
mod restricted;
mod rules;
mod state;
mod syntax;
mod system;
mod units;

//! `status`, `list` and `simulate`: what there is and what will be.

use crate::lab::{Lab, id_of};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

#[test]
fn looking_works_before_anything_was_backed_up() {
    let lab = Lab::new();
    for verb in ["status", "list", "simulate"] {
        lab.at(FIRST, &[verb]).expect(0);
        lab.at(FIRST, &[verb, "--json"]).expect(0).json();
    }
    assert!(!lab.path("state").exists());
}

#[test]
fn the_list_has_every_snapshot() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let listed = lab.at(SECOND, &["list"]).expect(0);
    for id in [id_of(FIRST), id_of(SECOND)] {
        assert!(listed.stdout.contains(&id), "{listed}");
    }
}

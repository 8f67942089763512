//! What `local.excludePatterns` leave out, and what is told of patterns that leave nothing out.

use serde_json::json;

use crate::lab::{Lab, finding_codes, is_installed, skip};

const NIGHT: &str = "2025-01-16T02:00:00Z";
const WITHOUT_EFFECT: &str = "patterns-without-effect";

#[test]
fn a_full_path_is_left_out_by_both_engines_whatever_the_source_is() {
    for use_rsync in [false, true] {
        if use_rsync && !is_installed("rsync") {
            return skip(
                "a_full_path_is_left_out_by_both_engines_whatever_the_source_is because rsync is not \
                 installed",
            );
        }
        // The sources, and what they have besides the letter: `/vm` is anchored at each of them.
        let sources: [(&[&str], &[&str]); 2] =
            [(&["home"], &["home/ann/vm/image"]), (&["home/ann"], &[])];
        for (sources, also) in sources {
            let mut lab = Lab::new();
            for file in [
                "ann/.cache2/object",
                "ann/Downloads/big",
                "ann/vm/image",
                "bob/.cache2/object",
            ] {
                lab.write(&format!("home/{file}"), "large\n");
            }
            lab.set("local.useRsync", use_rsync);
            let paths: Vec<String> = sources.iter().map(|source| lab.text(source)).collect();
            lab.set("local.sources", paths);
            lab.set(
                "local.excludePatterns",
                json!([
                    lab.text("home/*/.cache2"),
                    lab.text("home/ann/Downloads/"),
                    "/vm"
                ]),
            );
            let plan = lab.at(NIGHT, &["--json", "plan"]).expect(0).json();
            let codes = finding_codes(&plan["findings"]);
            // Where there is no `vm` in a source itself, that is told.
            assert_eq!(
                codes.contains(&WITHOUT_EFFECT),
                !also.is_empty(),
                "{codes:?}"
            );
            lab.backup(NIGHT);
            let there = |file: &str| lab.inside("latest", file).exists();
            assert!(there("home/ann/letter.txt"));
            for file in ["home/ann/.cache2", "home/bob/.cache2", "home/ann/Downloads"] {
                assert!(!there(file), "{file} of {sources:?}, rsync {use_rsync}");
            }
            let anchored = "home/ann/vm/image";
            assert_eq!(there(anchored), also.contains(&anchored), "{sources:?}");
        }
    }
}

#[test]
fn a_pattern_that_leaves_nothing_out_is_told() {
    let mut lab = Lab::new();
    lab.write("home/ann/a.iso", "large\n");
    lab.set(
        "local.excludePatterns",
        json!([".cache", "*.iso", "~/Downloads", "/srv/films", "*.bak"]),
    );
    let check = lab.run(&["check"]).expect(0);
    check
        .says("local.excludePatterns[2]")
        .says("no home folder takes its place");
    let plan = lab.at(NIGHT, &["plan"]).expect(0);
    let plan = plan
        .says("`~/Downloads` (`~` is a character like any other here")
        .says("`/srv/films`")
        .says("`*.bak` of local.excludePatterns leave nothing out");
    assert!(
        !plan.all().contains("`*.iso`") && !plan.all().contains("`.cache`"),
        "{plan}"
    );
    // Said once: with every command only `check`'s warnings would come.
    assert!(!plan.all().contains("warning:"), "{plan}");
    // What is in a source that is not there nobody knows.
    lab.set("local.sources", json!([lab.text("home"), lab.text("gone")]));
    let plan = lab.at(NIGHT, &["--json", "plan"]).expect(0).json();
    let codes = finding_codes(&plan["findings"]);
    assert!(!codes.contains(&WITHOUT_EFFECT), "{codes:?}");
}

//! `docs/options.md`: every key of the configuration, written from its JSON Schema.

use std::{fs, path::Path};

use planner::check::check_config;
use schema::options_page::{EXAMPLES, options_page};
use serde_json::Value;

const HEAD: &str = "\
# Options

Every key of `config.json`, with type, default, meaning and an example. The NixOS option of a key is the same
name below `hwc.system.services.backup` (`version` and `hostname` are the module's). Unknown keys
are errors; `backup check` says which one was meant. `backup schema` prints the JSON Schema that this
page is written from: `BLESS=1 cargo test --test cli options` renews it.
";

#[test]
fn the_page_of_options_is_what_the_schema_says() {
    let page = [HEAD, &options_page()].concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    if std::env::var_os("BLESS").is_some_and(|set| set == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{} is stale\nhint: BLESS=1 cargo test --test cli options, then look at the difference",
        path.display()
    );
}

#[test]
fn the_examples_of_all_keys_are_valid_configurations() {
    let examples: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
    for example in examples {
        let checked = check_config(example.to_string().as_bytes()).unwrap();
        assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    }
}

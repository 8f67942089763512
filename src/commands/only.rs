//! `--only NAME...`: names of destinations that a person types.

use anyhow::Result;
use schema::{Config, config::DestinationName};

use crate::exit::invalid_input;

/// Refuses names of which there is no destination, or one that is not used. `local` and `cloud` are always
/// there; what it means that one of them is off is the plan's to say.
pub(crate) fn check_names(names: &[DestinationName], config: &Config) -> Result<()> {
    let known = |name: &DestinationName| {
        name.is_predefined() || config.destinations.get(name).is_some_and(|one| one.enable)
    };
    let Some(unknown) = names.iter().find(|name| !known(name)) else {
        return Ok(());
    };
    if config.destinations.contains_key(unknown) {
        return Err(invalid_input(
            format!("destinations.{unknown}.enable is false: nothing is backed up there"),
            format!("set destinations.{unknown}.enable to true"),
        ));
    }
    let all: Vec<String> = config.names().iter().map(ToString::to_string).collect();
    let all = match all.is_empty() {
        true => "local, cloud".to_owned(),
        false => all.join(", "),
    };
    Err(invalid_input(
        format!("there is no destination {unknown}"),
        format!("name one of: {all}"),
    ))
}

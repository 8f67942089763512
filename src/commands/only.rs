//! `--only NAME...` and `--destination NAME`: names of destinations that a person types.

use anyhow::Result;
use schema::{Config, config::DestinationName};

use crate::exit::invalid_input;

/// Refuses names of which there is no destination, or one that is not used. Where there are `local` and `cloud`
/// alone, what it means that one of them is off is the plan's to say.
pub(crate) fn check_names(names: &[DestinationName], config: &Config) -> Result<()> {
    let is_off = |name: &DestinationName| {
        let is_for_the_plan = name.is_predefined() && config.destinations.is_empty();
        !is_for_the_plan && !config.names().contains(name)
    };
    match names.iter().find(|name| is_off(name)) {
        Some(name) => Err(refuse_unused(name, config)),
        None => Ok(()),
    }
}

/// Refuses the name of what is no disk, or not used, and another place that is asked for beside it.
pub(crate) fn check_named(
    name: &DestinationName,
    asks_cloud: Option<&str>,
    config: &Config,
) -> Result<()> {
    if let Some(asks) = asks_cloud {
        return Err(invalid_input(
            format!("--destination {name} and {asks} name two places"),
            format!("leave one of them out; {asks} means the copies of `local` in the cloud"),
        ));
    }
    if name.as_str() == DestinationName::CLOUD {
        return Err(invalid_input(
            "--destination cloud: copies in the cloud are no disk",
            "`backup restore --from cloud` and `backup verify --cloud` work on them",
        ));
    }
    let is_local = name.is_predefined();
    match is_local || config.names().contains(name) {
        true => Ok(()),
        false => Err(refuse_unused(name, config)),
    }
}

fn refuse_unused(name: &DestinationName, config: &Config) -> anyhow::Error {
    let key = match (name.is_predefined(), config.destinations.contains_key(name)) {
        (true, _) => Some(format!("{name}.enable")),
        (false, true) => Some(format!("destinations.{name}.enable")),
        (false, false) => None,
    };
    if let Some(key) = key {
        return invalid_input(
            format!("{key} is false: nothing is backed up there"),
            format!("set {key} to true"),
        );
    }
    let all: Vec<String> = config.names().iter().map(ToString::to_string).collect();
    let all = match all.is_empty() {
        true => "local, cloud".to_owned(),
        false => all.join(", "),
    };
    invalid_input(
        format!("there is no destination {name}"),
        format!("name one of: {all}"),
    )
}

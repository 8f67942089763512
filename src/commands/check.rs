//! `check`: validates a configuration.

use anyhow::Result;
use backup::engine::check_config;

use crate::{cli::Check, exit, out::Out, render, settings::Settings, style::shown};

/// Validates a configuration and says so.
pub(crate) fn check_config_file(arguments: &Check, settings: &Settings, out: &Out) -> Result<u8> {
    let path = arguments.file.as_ref().unwrap_or(&settings.config_path);
    let checked = check_config(path, &settings.state_dir);
    let checked = checked.map_err(|fault| settings.explain_fault(path, fault, out))?;
    if settings.json {
        out.print_json(&render::check::config_faults(&checked.warnings));
        return Ok(exit::DONE);
    }
    for warning in &checked.warnings {
        out.print_unless_quiet(&format!("warning: {warning}"));
    }
    if let Some(missing) = &checked.no_credentials {
        out.print_line_unless_quiet(&format!("warning: {missing}"));
    }
    if let Some(found) = &checked.databases {
        out.print_line_unless_quiet(&format!("note: {}", found.message));
        if let Some(hint) = &found.hint {
            out.print_line_unless_quiet(&format!("  hint: {hint}"));
        }
    }
    if !settings.quiet {
        out.print_data(&format!("{}: valid", shown(path)));
    }
    Ok(exit::DONE)
}

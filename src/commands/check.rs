//! `check`: validates a configuration.

use anyhow::Result;
use backup::engine::check_config;
use chrono::Local;
use schema::inventory::UntrustedFile;

use crate::{
    cli::Check,
    exit,
    out::Out,
    render,
    settings::Settings,
    style::{printable, shown},
};

/// Validates a configuration and says so.
pub(crate) fn check_config_file(arguments: &Check, settings: &Settings, out: &Out) -> Result<u8> {
    let path = arguments.file.as_ref().unwrap_or(&settings.config_path);
    let checked = check_config(path, &settings.state_dir);
    let checked = checked.map_err(|fault| settings.explain_fault(path, fault, out))?;
    let code = if checked.untrusted.is_empty() {
        exit::DONE
    } else {
        exit::REFUSED
    };
    if settings.json {
        let mut faults = render::check::config_faults(&checked.warnings);
        let untrusted = checked.untrusted.iter();
        faults
            .0
            .extend(untrusted.map(render::check::untrusted_fault));
        out.print_json(&faults);
        return Ok(code);
    }
    for warning in &checked.warnings {
        out.print_unless_quiet(&render::hint::pasted(&format!("warning: {warning}")));
    }
    for secret in &checked.unsafe_secrets {
        let (because, hint) = (&secret.because, &secret.hint);
        out.print_unless_quiet(&format!("warning: {because}: it is not used"));
        out.print_line_unless_quiet(&render::hint::line(2, hint));
    }
    let missing = [&checked.no_credentials, &checked.no_container];
    for missing in missing.into_iter().flatten() {
        out.print_line_unless_quiet(&format!("warning: {missing}"));
    }
    if let Some(found) = &checked.databases {
        out.print_line_unless_quiet(&format!("note: {}", found.message));
        if let Some(hint) = &found.hint {
            out.print_line_unless_quiet(&render::hint::line(2, hint));
        }
    }
    tell_untrusted(&checked.untrusted, settings, out);
    if !settings.quiet && code == exit::DONE {
        out.print_data(&format!("{}: valid", shown(path)));
        for line in planner::copies::copies_lines(&checked.copies, Local::now().fixed_offset()) {
            out.print_data(&printable(&line));
        }
    }
    Ok(code)
}

/// Says what a run would be refused for.
fn tell_untrusted(untrusted: &[UntrustedFile], settings: &Settings, out: &Out) {
    for file in untrusted {
        let UntrustedFile {
            option,
            path,
            because,
            hint,
        } = file;
        let message = format!("{path} ({option}) is not to be trusted: {because}");
        let style = &settings.error_style;
        out.print_message(&render::messages::error_lines(&message, Some(hint), style));
    }
}

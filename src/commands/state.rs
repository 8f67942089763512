//! `state`: what this machine says that it keeps, and how each of it is backed up.

use anyhow::Result;

use crate::{cli::State, exit, out::Out, render, settings::Settings};

/// Shows the table. What is in no backup, and need be, is exit code 3.
pub(crate) fn show_state(arguments: &State, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let file = settings
        .config_path
        .with_file_name(schema::state::FILE_NAME);
    let mut report = engine.state_table(&file)?;
    if arguments.missing {
        report.paths.retain(|row| row.standing.is_lost());
    }
    if settings.json {
        out.print_json(&report);
    } else {
        out.print_data(&render::state::state_page(
            &report,
            arguments.missing,
            settings.verbose,
            &settings.style,
        ));
    }
    Ok(if report.missing == 0 {
        exit::DONE
    } else {
        exit::INCOMPLETE
    })
}

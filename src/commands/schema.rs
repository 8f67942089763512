//! `schema`: prints the JSON Schema of a format: of a file, or of what a verb prints.

use anyhow::Result;
use schema::output;
use schemars::schema_for;

use crate::{
    cli::{Format, Schema},
    exit,
    out::Out,
};

/// Prints the schema.
pub(crate) fn print_schema(arguments: &Schema, out: &Out) -> Result<u8> {
    out.print_json(&schema_of(arguments.format));
    Ok(exit::DONE)
}

fn schema_of(format: Format) -> schemars::Schema {
    match format {
        Format::Config => schema_for!(schema::Config),
        Format::Plan => schema_for!(schema::Plan),
        Format::Inventory => schema_for!(schema::Inventory),
        Format::Report => schema_for!(schema::Report),
        Format::Health => schema_for!(schema::health::Health),
        Format::Drill => schema_for!(schema::drill::Drill),
        Format::DrillPlan => schema_for!(schema::drill::DrillPlan),
        Format::Verification => schema_for!(schema::verify::Verification),
        Format::Status => schema_for!(output::status::BackupStatus),
        Format::List => schema_for!(output::list::SnapshotList),
        Format::Find => schema_for!(output::find::FoundPaths),
        Format::Diff => schema_for!(output::diff::SnapshotDiff),
        Format::PeriodReport => schema_for!(output::period_report::PeriodReport),
        Format::Simulate => schema_for!(output::simulate::Simulation),
        Format::State => schema_for!(output::state::StateReport),
        Format::StateTable => schema_for!(schema::state::StateTable),
        Format::Check => schema_for!(output::check::ConfigFaults),
        Format::Restore => schema_for!(output::restore::RestorePreview),
        Format::Adopt => schema_for!(output::adopt::AdoptPreview),
        Format::NotifyTest => schema_for!(output::notify_test::NotifyTest),
        Format::Setup => schema_for!(output::setup::SetupOutcome),
        Format::SystemdUnits => schema_for!(output::systemd_units::UnitFiles),
        Format::CloudList => schema_for!(output::cloud::CloudSnapshotList),
        Format::CloudVerification => schema_for!(output::cloud::CloudVerification),
        Format::Progress => schema_for!(output::progress::ProgressLine<'_>),
    }
}

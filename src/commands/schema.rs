//! `schema`: prints the JSON Schema of a file format.

use anyhow::Result;
use schemars::schema_for;

use crate::{
    cli::{Format, Schema},
    exit,
    out::Out,
};

/// Prints the schema.
pub(crate) fn run(arguments: &Schema, out: &Out) -> Result<u8> {
    out.data_json(&of(arguments.format));
    Ok(exit::DONE)
}

fn of(format: Format) -> schemars::Schema {
    match format {
        Format::Config => schema_for!(schema::Config),
        Format::Plan => schema_for!(schema::Plan),
        Format::Inventory => schema_for!(schema::Inventory),
        Format::Report => schema_for!(schema::Report),
        Format::Health => schema_for!(schema::health::Health),
        Format::Verification => schema_for!(schema::verify::Verification),
    }
}

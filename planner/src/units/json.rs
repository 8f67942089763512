//! The templates as the file that the NixOS module reads, a line for each key, for people to review.

use serde_json::json;

use super::{
    disk_templates, remote_templates,
    template::UnitTemplate,
    timers::{POWER, WHEN_POWER_COUNTS},
    unit_templates,
    user::user_services,
};

/// The text of `nixos/units.json`.
#[must_use]
pub fn templates_as_json() -> String {
    let as_json = |units: &[UnitTemplate]| {
        let units: Vec<String> = units.iter().map(unit_as_json).collect();
        units.join(",\n")
    };
    let (units, of_user) = (as_json(&unit_templates()), as_json(&user_services()));
    let of_disk = as_json(&disk_templates());
    let [service, _] = remote_templates();
    let of_remote = as_json(&[service]);
    let rule = json!({ "when": WHEN_POWER_COUNTS, "text": POWER });
    format!(
        "{{\n  \"units\": {{\n{units}\n  }},\n  \"diskUnits\": {{\n{of_disk}\n  }},\n  \"remoteUnits\": {{\n{of_remote}\n  }},\n  \"userUnits\": {{\n{of_user}\n  }},\n  \"udevRule\": {rule}\n}}\n"
    )
}

fn unit_as_json(unit: &UnitTemplate) -> String {
    let mut parts = vec![format!("      \"when\": {}", json!(unit.when))];
    for (name, lines) in unit.sections() {
        if lines.is_empty() {
            continue;
        }
        let lines = lines.iter().map(|line| format!("        {}", json!(line)));
        let lines: Vec<String> = lines.collect();
        parts.push(format!(
            "      \"{name}\": [\n{}\n      ]",
            lines.join(",\n")
        ));
    }
    format!("    \"{}\": {{\n{}\n    }}", unit.name, parts.join(",\n"))
}

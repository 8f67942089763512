//! Rules about `monitoring.prometheusFile`.

use schema::Config;

use super::finding::{RuleFinding, finding_if};

/// A name that the collector of text files passes over: it reads what ends in `.prom`
/// (node_exporter, textfile collector).
pub(super) fn name(config: &Config) -> Vec<RuleFinding> {
    let file = config.monitoring.prometheus_file.as_ref();
    let unread = file.is_some_and(|file| {
        let end = file.as_path().extension();
        end.is_none_or(|end| end != "prom")
    });
    finding_if(unread, || {
        RuleFinding::new(
            "monitoring.prometheusFile",
            "its name does not end in `.prom`, and the collector of text files reads no other",
        )
        .expected("a path such as \"/var/lib/node_exporter/backup.prom\"")
        .hint("set `monitoring.prometheusFile` to a path that ends in .prom")
    })
}

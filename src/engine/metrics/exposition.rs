//! Prometheus' text format (exposition format 0.0.4): gauges with labels, each metric once with its samples.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use schema::outside::one_line;

/// A text in the making. What the samples of one metric are of may differ; they stand together.
#[derive(Default)]
pub(super) struct Page {
    /// Each metric with its samples: its name, what it is, and a line for each sample.
    metrics: Vec<(String, String, String)>,
    /// The name of the destination that is told of, where there are several.
    pub(super) destination: Option<String>,
}

impl Page {
    /// What a metric is; its samples follow.
    pub(super) fn add_header(&mut self, name: &str, help: &str) {
        if !self.metrics.iter().any(|(known, ..)| known == name) {
            self.metrics
                .push((name.to_owned(), help.to_owned(), String::new()));
        }
    }

    pub(super) fn add_sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let mut metrics = self.metrics.iter_mut();
        let Some((.., samples)) = metrics.find(|(known, ..)| known == name) else {
            return;
        };
        let destination = self.destination.as_deref();
        let destination = destination.map(|destination| ("destination", destination));
        samples.push_str(name);
        let all = destination.iter().chain(labels);
        for (at, (label, text)) in all.enumerate() {
            let text = one_line(text).replace('\\', r"\\").replace('"', "\\\"");
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(samples, "{open}{label}=\"{text}\"");
        }
        let has_labels = destination.is_some() || !labels.is_empty();
        let close = if has_labels { "}" } else { "" };
        let _ = writeln!(samples, "{close} {value}");
    }

    pub(super) fn into_text(self) -> String {
        let mut text = String::new();
        let has_samples = |(.., samples): &&(String, String, String)| !samples.is_empty();
        for (name, help, samples) in self.metrics.iter().filter(has_samples) {
            let help = help.replace('\\', r"\\").replace('\n', r"\n");
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{samples}");
        }
        text
    }

    /// A metric of one sample.
    pub(super) fn add_metric(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: &str,
    ) {
        self.add_header(name, help);
        self.add_sample(name, labels, value);
    }

    /// Metrics of one sample each: name, help and value.
    pub(super) fn add_amounts(&mut self, labels: &[(&str, &str)], amounts: &[(&str, &str, u64)]) {
        for (name, help, value) in amounts {
            self.add_metric(name, help, labels, &value.to_string());
        }
    }

    /// A moment, where there is one.
    pub(super) fn add_time(&mut self, name: &str, help: &str, at: Option<DateTime<FixedOffset>>) {
        if let Some(at) = at {
            self.add_metric(name, help, &[], &at.timestamp().to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together_and_texts_of_unknown_origin_break_no_line() {
        let mut page = Page::default();
        page.add_metric("m", "a\\b\nc", &[("path", "/a\"b\\c\nd"), ("x", "y")], "1");
        page.add_metric("n", "n", &[], "2");
        page.destination = Some("usb".to_owned());
        page.add_metric("m", "a", &[("x", "y")], "3");
        page.add_metric("n", "n", &[], "4");
        let expected = "# HELP m a\\\\b\\nc\n# TYPE m gauge\n\
                        m{path=\"/a\\\"b\\\\c\\\\012d\",x=\"y\"} 1\n\
                        m{destination=\"usb\",x=\"y\"} 3\n\
                        # HELP n n\n# TYPE n gauge\nn 2\nn{destination=\"usb\"} 4\n";
        assert_eq!(page.into_text(), expected);
    }
}

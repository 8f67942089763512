//! shim
pub(crate) mod amount {
    pub(crate) fn bytes(n: u64) -> String {
        format!("{n} B")
    }
    pub(crate) fn count(n: u64) -> String {
        n.to_string()
    }
    pub(crate) fn plural(n: u64, a: &str, b: &str) -> String {
        format!("{n} {}", if n == 1 { a } else { b })
    }
    pub(crate) fn span(d: std::time::Duration) -> String {
        format!("{d:.2?}")
    }
}
pub(crate) mod plan {
    use crate::style::Style;
    pub(crate) fn plan(p: &schema::Plan, _: &schema::Inventory, _: &Style) -> String {
        format!("{:#?}", p.totals)
    }
}
pub(crate) mod report {
    use crate::style::Style;
    pub(crate) fn report(p: &schema::Report, _: &str, _: &Style) -> String {
        serde_json::to_string_pretty(p).unwrap_or_default()
    }
    pub(crate) fn finding(f: &schema::Finding, _: &Style) -> String {
        format!("{}", f.message)
    }
    pub(crate) fn error(m: &str, h: Option<&str>, _: &Style) -> String {
        format!("error: {m}\n  hint: {h:?}")
    }
}
pub(crate) mod simulate {
    use crate::style::Style;
    pub(crate) fn simulate(
        d: &[planner::retention::simulate::SimulatedDay],
        _: &planner::retention::Policy,
        _: &Style,
    ) -> String {
        format!("{}", d.len())
    }
}
pub(crate) mod list {
    use crate::style::Style;
    #[derive(serde::Serialize)]
    pub(crate) struct ListView(Vec<String>);
    impl ListView {
        pub(crate) fn new(
            d: &schema::inventory::DestinationState,
            _: chrono::DateTime<chrono::FixedOffset>,
        ) -> Self {
            Self(
                d.snapshots
                    .iter()
                    .map(|s| format!("{}/{}", s.home, s.record.id))
                    .collect(),
            )
        }
    }
    pub(crate) fn list(v: &ListView, _: &Style) -> String {
        v.0.join("\n")
    }
}
pub(crate) mod status {
    use crate::style::Style;
    #[derive(serde::Serialize)]
    pub(crate) struct StatusView(String);
    impl StatusView {
        pub(crate) fn new(
            h: &str,
            _: &schema::Config,
            _: Option<&schema::inventory::DestinationState>,
            _: Option<schema::Report>,
            _: Option<String>,
            _: bool,
            _: chrono::DateTime<chrono::FixedOffset>,
        ) -> Self {
            Self(h.into())
        }
    }
    pub(crate) fn render(v: &StatusView, _: &Style) -> String {
        v.0.clone()
    }
}

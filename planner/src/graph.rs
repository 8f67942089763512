//! The plan as a graph: whether it is sound, and how to draw it.
//!
//! Owns everything that looks at steps as nodes and at `needs` and `after` as edges. It must not
//! know what a step does, except for the line of text under its name.

use std::{collections::HashMap, fmt::Write as _};

use petgraph::{
    algo::toposort,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef as _,
};
use schema::{
    Plan,
    plan::{Action, Channel, ExpireStep, RemoteMarkStep, Step, UploadStep, healthcheck_name},
};

/// Why one step comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The later one needs its success.
    Needs,
    /// The later one only waits for its end.
    After,
}

/// Checks that names are unique and known, that nothing waits for itself, and that each step
/// stands after all that it needs or waits for.
///
/// # Errors
///
/// A sentence that names the first step at fault.
pub fn check_graph(steps: &[Step]) -> Result<(), String> {
    let graph = graph(steps)?;
    if let Err(cycle) = toposort(&graph, None) {
        return Err(format!(
            "step `{}` waits for itself",
            graph[cycle.node_id()].id
        ));
    }
    // Nodes are added in the order of the steps, so an index is a place in the list.
    match graph
        .edge_references()
        .find(|edge| edge.source() > edge.target())
    {
        Some(edge) => Err(format!(
            "step `{}` stands before `{}`, which it waits for",
            graph[edge.target()].id,
            graph[edge.source()].id,
        )),
        None => Ok(()),
    }
}

fn graph(steps: &[Step]) -> Result<DiGraph<&Step, Why>, String> {
    let mut graph = DiGraph::new();
    let mut nodes: HashMap<&str, NodeIndex> = HashMap::new();
    for step in steps {
        let node = graph.add_node(step);
        if nodes.insert(&step.id, node).is_some() {
            return Err(format!("two steps are called `{}`", step.id));
        }
    }
    for step in steps {
        let needs = step.needs.iter().map(|name| (name, Why::Needs));
        let after = step.after.iter().map(|name| (name, Why::After));
        for (name, why) in needs.chain(after) {
            let before = nodes.get(name.as_str()).ok_or_else(|| {
                format!("step `{}` waits for `{name}`, which is no step", step.id)
            })?;
            graph.add_edge(*before, nodes[step.id.as_str()], why);
        }
    }
    Ok(graph)
}

/// The plan in Graphviz' language; a dashed edge waits without needing.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    for step in &plan.steps {
        let label = match detail(&step.action) {
            Some(detail) => format!("{}\\n{}", quoted(&step.id), quoted(&detail)),
            None => quoted(&step.id),
        };
        let _ = writeln!(text, "  \"{}\" [label=\"{label}\"];", quoted(&step.id));
    }
    for (from, to, why) in edges(plan) {
        let style = match why {
            Why::Needs => "",
            Why::After => " [style=dashed]",
        };
        let _ = writeln!(text, "  \"{}\" -> \"{}\"{style};", quoted(from), quoted(to));
    }
    text.push_str("}\n");
    text
}

/// The plan in Mermaid's language; a dotted edge waits without needing.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart LR\n");
    for step in &plan.steps {
        let detail = detail(&step.action).map_or_else(String::new, |text| format!("<br/>{text}"));
        let label = format!("{}{detail}", step.id).replace('"', "&quot;");
        let _ = writeln!(text, "  {}[\"{label}\"]", step.id);
    }
    for (from, to, why) in edges(plan) {
        let arrow = match why {
            Why::Needs => "-->",
            Why::After => "-.->",
        };
        let _ = writeln!(text, "  {from} {arrow} {to}");
    }
    text
}

/// The edges of a sound plan; of one that is not, none.
fn edges(plan: &Plan) -> Vec<(&str, &str, Why)> {
    let graph = graph(&plan.steps).unwrap_or_default();
    graph
        .edge_references()
        .map(|edge| {
            let [from, to] = [edge.source(), edge.target()].map(|node| graph[node].id.as_str());
            (from, to, *edge.weight())
        })
        .collect()
}

/// What a step does, in a few words.
fn detail(action: &Action) -> Option<String> {
    match action {
        Action::PreScript(step) | Action::PostScript(step) => Some(step.program.to_string()),
        Action::DestinationCheck(step) => Some(format!("{}/{}", step.mount_point, step.folder)),
        Action::Snapshot(step) => Some(step.id.to_string()),
        Action::Rotate(step) => match step.on_complete.deletions.len() {
            0 => None,
            1 => Some("1 deletion".to_owned()),
            many => Some(format!("{many} deletions")),
        },
        Action::CloudSync(step) => Some(step.remote.clone()),
        Action::Upload(UploadStep { call, .. })
        | Action::Expire(ExpireStep { call, .. })
        | Action::RemoteMark(RemoteMarkStep { call, .. }) => Some(call.remote.clone()),
        Action::Announce(step) => Some(healthcheck_name(
            step.url.as_deref(),
            step.url_file.as_ref(),
        )),
        Action::Notify(step) => {
            let names: Vec<String> = step.channels.iter().map(Channel::name).collect();
            Some(names.join(", "))
        }
        Action::Restore(step) => Some(step.target.clone()),
        Action::PlanAgain | Action::SpaceCheck(_) | Action::Mark(_) => None,
        Action::Delete(step) => Some(format!("{} to delete", step.rotation.deletions.len())),
        Action::Adopt(step) => Some(format!("{} to adopt", step.trees.len())),
        Action::Repair(step) => {
            let all = step.files.len() + step.records.len();
            Some(format!("{all} to make anew"))
        }
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use schema::{
        config::{AbsolutePath, OnPreBackupFailure},
        duration::Span,
        plan::ScriptStep,
    };

    use super::*;

    fn step(id: &str, needs: &[&str], after: &[&str]) -> Step {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Step {
            id: id.to_owned(),
            needs: owned(needs),
            after: owned(after),
            action: Action::PreScript(ScriptStep {
                program: AbsolutePath::new("/bin/true"),
                timeout: Span::hours(1),
                on_failure: OnPreBackupFailure::Abort,
            }),
            of: None,
        }
    }

    #[test]
    fn a_sound_list_passes_and_each_fault_is_named() {
        let [a, b] = [step("a", &[], &[]), step("b", &["a"], &[])];
        assert_eq!(check_graph(&[]), Ok(()));
        assert_eq!(check_graph(&[a.clone(), b.clone()]), Ok(()));
        for (steps, fault) in [
            (vec![a.clone(), a.clone()], "two steps are called `a`"),
            (vec![b.clone()], "step `b` waits for `a`, which is no step"),
            (vec![b, a], "step `b` stands before `a`, which it waits for"),
            (vec![step("c", &[], &["c"])], "step `c` waits for itself"),
        ] {
            assert_eq!(check_graph(&steps), Err(fault.to_owned()));
        }
        let circle = [step("a", &["b"], &[]), step("b", &[], &["a"])];
        assert!(
            check_graph(&circle)
                .unwrap_err()
                .ends_with("waits for itself")
        );
    }
}

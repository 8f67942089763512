//! The plan linter: checks a plan by the laws before its first effect.
//!
//! Owns no decision. It asks three things of every plan, whoever made it: that no step touches what a
//! law protects, that each step has what it needs before it, and that each path is inside its root. All
//! of it follows from the plan and the inventory alone, without the planner's own code, so that a fault
//! of the planner is found here and not on the disk.

mod chains;
mod drill;
mod layout;
mod order;
mod paths;
mod protection;
mod standing;

use schema::{
    Finding, Inventory, Plan, Severity, config::DestinationName, inventory::DestinationState,
    plan::Step,
};

pub use self::drill::check_drill;
use self::standing::Standing;

/// Code of a step that has not what it needs before it.
pub const OUT_OF_ORDER: &str = "plan-out-of-order";
/// Code of a step that would delete, overwrite or use what a law protects.
pub const TOUCHES_PROTECTED: &str = "plan-touches-protected";
/// Code of a path that leads out of its root.
pub const PATH_OUTSIDE: &str = "plan-path-outside";

/// What a new or saved plan does against the laws, as refusals that name the step and the path; none
/// for a plan that may begin. `inventory` is what it is about to run on.
#[must_use]
pub fn check(plan: &Plan, inventory: &Inventory) -> Vec<Finding> {
    of_each(plan, inventory, |plan, inventory| {
        check_with(plan, &Standing::of_inventory(plan, inventory))
    })
}

/// The same for a plan that was saved, and is about to run on the destination that it was made for.
#[must_use]
pub fn check_saved(plan: &Plan, inventory: &Inventory) -> Vec<Finding> {
    of_each(plan, inventory, |plan, inventory| {
        check_with(plan, &Standing::of_saved(plan, inventory))
    })
}

/// What breaks the bounds between the destinations of a plan.
#[must_use]
pub fn check_bounds(plan: &Plan) -> Vec<Finding> {
    let mut broken = Broken::default();
    chains::check(plan, &mut broken);
    broken.findings
}

/// What is found of a plan for one destination; of one for several by that of each, and of what is between
/// them.
fn of_each(
    plan: &Plan,
    inventory: &Inventory,
    check: impl Fn(&Plan, &Inventory) -> Vec<Finding>,
) -> Vec<Finding> {
    if !plan.is_of_several() {
        return check(plan, inventory);
    }
    let mut findings = check_bounds(plan);
    let base = DestinationName::new(DestinationName::LOCAL);
    for name in [&base].into_iter().chain(plan.chains.keys()) {
        let Some(chain) = plan.chain(name) else {
            continue;
        };
        let own = check(&chain, &inventory.view(name)).into_iter();
        findings.extend(own.map(|finding| Finding {
            message: match name.is_predefined() {
                true => finding.message,
                false => format!("{name}: {}", finding.message),
            },
            ..finding
        }));
    }
    findings
}

/// The same for a plan that was begun and interrupted: what it deleted, moved or made already is not
/// held against it. `destination` is as it is now, so that what a person pinned meanwhile stays. Of a plan
/// for several destinations the chain of this one is to be given ([`Plan::chain`]).
#[must_use]
pub fn check_continued(plan: &Plan, destination: &DestinationState) -> Vec<Finding> {
    let standing = Standing::of_continued(plan, destination);
    check_with(plan, &standing)
}

fn check_with(plan: &Plan, standing: &Standing<'_>) -> Vec<Finding> {
    let mut broken = Broken::default();
    order::check(plan, &mut broken);
    paths::check(plan, standing, &mut broken);
    layout::check(plan, standing, &mut broken);
    protection::check(plan, standing, &mut broken);
    broken.findings
}

/// What was found so far.
#[derive(Default)]
struct Broken {
    findings: Vec<Finding>,
}

impl Broken {
    /// Records that a step breaks a rule; `what` follows the step's name in the sentence.
    fn step(&mut self, code: &str, step: &Step, what: impl AsRef<str>) {
        self.plan(code, format!("step `{}` {}", step.id, what.as_ref()));
    }

    /// Records that the plan as a whole breaks a rule.
    fn plan(&mut self, code: &str, message: impl Into<String>) {
        let finding = Finding::new(Severity::Refusal, code, message);
        self.findings.push(finding.hint(
            "nothing was changed; this is a fault of the program that made the plan: please report \
             it with what `backup plan --json` prints",
        ));
    }
}

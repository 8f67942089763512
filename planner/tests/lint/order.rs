//! Each step has what it needs before it.

use super::*;

#[test]
fn each_step_has_what_it_needs_before_it() {
    let world = nights().set("postBackupScript", json!("/run/after"));
    let unmet = |kind: &'static str| move |plan: &mut Plan| step(plan, kind).needs.clear();
    fires(
        &world,
        unmet("snapshot"),
        OUT_OF_ORDER,
        "`snapshot` does not need a space-check",
    );
    fires(
        &world,
        unmet("rotate"),
        OUT_OF_ORDER,
        "`rotate` does not need a snapshot",
    );
    fires(
        &world,
        unmet("space-check"),
        OUT_OF_ORDER,
        "need a destination-check",
    );
    let late = |plan: &mut Plan| step(plan, "post-script").after.clear();
    fires(&world, late, OUT_OF_ORDER, "whose result it tells");
    let unknown = |plan: &mut Plan| step(plan, "rotate").needs.push("nothing".to_owned());
    fires(
        &world,
        unknown,
        OUT_OF_ORDER,
        "`nothing`, which is no step of the plan",
    );
    let swapped = |plan: &mut Plan| plan.steps.swap(2, 3);
    fires(
        &world,
        swapped,
        OUT_OF_ORDER,
        "which does not stand before it",
    );
    let itself = |plan: &mut Plan| step(plan, "rotate").after.push("rotate".to_owned());
    fires(&world, itself, OUT_OF_ORDER, "`rotate` waits for `rotate`");
    let twins = |plan: &mut Plan| plan.steps[1].id = plan.steps[0].id.clone();
    fires(&world, twins, OUT_OF_ORDER, "has the name of another step");
    let part = |plan: &mut Plan| plan.only = Some(schema::plan::Part::Local);
    fires(
        &world,
        part,
        OUT_OF_ORDER,
        "`post-script` is no step of the part local",
    );
    let refusal = |plan: &mut Plan| {
        let finding = schema::Finding::new(Severity::Refusal, "no-tier", "no");
        plan.findings.push(finding);
    };
    fires(
        &world,
        refusal,
        OUT_OF_ORDER,
        "is in a plan that is refused",
    );
    let scripted = world.set("preBackupScript", json!("/run/before"));
    let unmet = |plan: &mut Plan| step(plan, "destination-check").needs.clear();
    fires(&scripted, unmet, OUT_OF_ORDER, "does not need a pre-script");
    let mark = Action::Mark(MarkStep::Pin {
        id: id("2025-01-16_02-00-00"),
    });
    let mut plan = planner::plan_maintenance(&scripted.config(), &scripted.inventory, Some(mark));
    assert_eq!(lint::check(&plan, &scripted.inventory), []);
    plan.steps.remove(0);
    refused(
        &scripted,
        &plan,
        OUT_OF_ORDER,
        "does not need a destination-check",
    );
}

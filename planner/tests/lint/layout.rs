//! Nothing is made, moved or linked over what is there, and only leftovers are reclaimed.

use super::*;

#[test]
fn nothing_moves_onto_or_links_over_what_is_not_ours() {
    let old = "2025-01-16_02-00-00";
    let world = nights().unmanaged(Tier::Weekly, old);
    let moves = |plan: &mut Plan| {
        rotation(plan).moves.push(Move {
            id: id(old),
            from: Tier::Daily,
            to: Tier::Weekly,
        });
    };
    fires(
        &world,
        moves,
        TOUCHES_PROTECTED,
        "to weekly, where something else stands",
    );
    let links = |plan: &mut Plan| {
        rotation(plan).links.push(Link {
            tier: Tier::Weekly,
            id: id(old),
            target: format!("../daily/{old}"),
        });
    };
    fires(
        &world,
        links,
        TOUCHES_PROTECTED,
        "would link weekly/2025-01-16_02-00-00, where",
    );
    let world = nights();
    let from_nowhere = |plan: &mut Plan| {
        rotation(plan).moves.push(Move {
            id: id("2020-01-01_02-00-00"),
            from: Tier::Daily,
            to: Tier::Weekly,
        });
    };
    fires(
        &world,
        from_nowhere,
        TOUCHES_PROTECTED,
        "which is no snapshot",
    );
    let unlink = |plan: &mut Plan| {
        rotation(plan).unlinks.push(Unlink {
            tier: Tier::Daily,
            id: id(old),
            reason: "not wanted".to_owned(),
        });
    };
    fires(&world, unlink, TOUCHES_PROTECTED, "which is no link");
    for target in [
        "/etc",
        "../../etc",
        "../weekly/2025-01-16_02-00-00",
        "daily/2025-01-16_02-00-00",
    ] {
        let link = |plan: &mut Plan| {
            rotation(plan).links.push(Link {
                tier: Tier::Yearly,
                id: id(old),
                target: target.to_owned(),
            });
        };
        fires(&world, link, PATH_OUTSIDE, "which it is not");
    }
    for latest in ["/", "../x/2025-01-16_02-00-00", "daily/2020-01-01_02-00-00"] {
        let point = |plan: &mut Plan| rotation(plan).latest = Some(latest.to_owned());
        fires(&world, point, PATH_OUTSIDE, "would point `latest`");
    }
}

#[test]
fn a_snapshot_gets_a_free_name_and_starts_from_what_can_be_read() {
    let world = nights();
    let old = "2025-01-16_02-00-00";
    let snapshot =
        |plan: &mut Plan, change: &dyn Fn(&mut schema::plan::SnapshotStep)| match &mut step(
            plan, "snapshot",
        )
        .action
        {
            Action::Snapshot(snapshot) => change(snapshot),
            other => panic!("{other:?}"),
        };
    let taken = |plan: &mut Plan| snapshot(plan, &|one| one.id = id(old));
    fires(&world, taken, TOUCHES_PROTECTED, "which is there already");
    let others = nights().unmanaged(Tier::Daily, "2025-01-01_02-00-00");
    let taken = |plan: &mut Plan| snapshot(plan, &|one| one.id = id("2025-01-01_02-00-00"));
    fires(
        &others,
        taken,
        TOUCHES_PROTECTED,
        "where something else stands",
    );
    let elsewhere = |plan: &mut Plan| {
        let home = Tier::Yearly;
        snapshot(plan, &|one| one.basis = Some(Basis { id: id(old), home }));
    };
    fires(
        &world,
        elsewhere,
        TOUCHES_PROTECTED,
        "which is no snapshot that can be read",
    );
    let continued = |plan: &mut Plan| snapshot(plan, &|one| one.continue_from = Some(id(old)));
    fires(
        &world,
        continued,
        TOUCHES_PROTECTED,
        "which is no unfinished snapshot",
    );
    let source = |plan: &mut Plan| {
        snapshot(plan, &|one| {
            one.sources[0].path = schema::config::AbsolutePath::new("/etc")
        });
    };
    fires(
        &world,
        source,
        PATH_OUTSIDE,
        "which is not a source that was surveyed",
    );
    let above = |plan: &mut Plan| {
        let path = schema::config::AbsolutePath::new("/home/../etc");
        snapshot(plan, &|one| one.sources[0].path = path.clone());
    };
    fires(
        &world,
        above,
        PATH_OUTSIDE,
        "which is not an absolute path of a source",
    );
}

#[test]
fn only_leftovers_are_reclaimed() {
    let (stands, continued) = ("2025-01-16_02-00-00", "2025-01-17_01-00-00");
    let world = nights().partial(continued, 1, 1);
    let check =
        |plan: &mut Plan, change: &dyn Fn(&mut schema::plan::SpaceCheckStep)| match &mut step(
            plan,
            "space-check",
        )
        .action
        {
            Action::SpaceCheck(check) => change(check),
            other => panic!("{other:?}"),
        };
    let discard = |name: &str| DiscardPartial {
        id: id(name),
        frees: 0,
        reason: "old".to_owned(),
    };
    let own = |plan: &mut Plan| check(plan, &|one| one.discard_partial = vec![discard(continued)]);
    fires(
        &world,
        own,
        TOUCHES_PROTECTED,
        "which the new snapshot continues",
    );
    let other = |plan: &mut Plan| check(plan, &|one| one.discard_partial = vec![discard(stands)]);
    fires(
        &world,
        other,
        TOUCHES_PROTECTED,
        "which is no unfinished snapshot",
    );
    let trash = |plan: &mut Plan| check(plan, &|one| one.empty_trash = vec![id(stands)]);
    fires(&world, trash, TOUCHES_PROTECTED, "which nothing began");
    let record = |plan: &mut Plan| check(plan, &|one| one.clear_records = vec![id(stands)]);
    fires(&world, record, TOUCHES_PROTECTED, "which is not lost");
}

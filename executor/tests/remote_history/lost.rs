//! What goes with snapshots that are let go or taken away is told beforehand: exactly, or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use executor::cloud::{
    memory::RemoteCache,
    remote_history::{find_lost, known_content},
};
use schema::{Digest, SnapshotId, plan::Lost, remote_history::RemoteContent};

use crate::{
    expire::see_three_times,
    lab::{HOST, Lab, dir, id},
};

const DAYS: u32 = 6;

/// The contents of a day: each of forty is there on about a third of all days.
fn contents(day: u32) -> BTreeSet<u8> {
    let is_there = |one: &u8| Digest::of(format!("{one} {day}").as_bytes()).0[0].is_multiple_of(3);
    (0..40).filter(is_there).collect()
}

fn size(content: u8) -> u64 {
    u64::from(content) + 1
}

fn six_days(test: &str) -> Option<Lab> {
    let lab = Lab::new(test)?;
    for day in 1..=DAYS {
        lab.write(day, "home/day", format!("{day:200}"));
        for content in contents(day) {
            let text = vec![content; usize::from(content) + 1];
            lab.write(day, format!("home/{content}"), &text);
            // One content is one, whatever its names.
            lab.write(day, format!("home/again-{content}"), &text);
        }
        lab.upload(day);
    }
    Some(lab)
}

fn found(lab: &Lab, let_go: &[u32], taken: &[u32]) -> BTreeMap<SnapshotId, Lost> {
    let memory = lab.with(|remote| remote.memory());
    let path = lab.path(&lab.cache);
    let cache = RemoteCache::of(dir(&path), path.to_str().unwrap().to_owned());
    let content: RemoteContent = known_content(&cache, &memory);
    let ids = |days: &[u32]| days.iter().map(|day| id(*day)).collect::<Vec<_>>();
    let (let_go, taken) = (ids(let_go), ids(taken));
    let lost = find_lost(&cache, HOST, &content, &let_go, &taken, &lab.stop).unwrap();
    lost.into_iter().map(|one| (one.id, one.lost)).collect()
}

/// The same, by asking of each content who has it.
fn expected(expired: &[u32], let_go: &[u32], taken: &[u32]) -> BTreeMap<SnapshotId, Lost> {
    // A day's own file has its text besides.
    let own = Lost {
        files: Some(1),
        bytes: 200,
        at_least: false,
    };
    let all = let_go.iter().chain(taken);
    let mut lost: BTreeMap<SnapshotId, Lost> = all.map(|day| (id(*day), own)).collect();
    for content in 0..40 {
        let has = |day: &&u32| contents(**day).contains(&content);
        let days: Vec<u32> = (1..=DAYS).collect();
        let stays = |day: &&u32| !expired.contains(day) && !let_go.contains(day);
        if days.iter().filter(stays).any(|day| has(&day)) {
            continue;
        }
        let others = expired.iter().filter(|day| !taken.contains(day));
        let last = let_go.iter().rfind(has).or_else(|| {
            let is_held = others.clone().any(|day| has(&day));
            taken.iter().rfind(|day| !is_held && has(day))
        });
        if let Some(last) = last {
            let one = Lost {
                files: Some(1),
                bytes: size(content),
                at_least: false,
            };
            let sum = Lost::sum([lost[&id(*last)], one]);
            lost.insert(id(*last), sum);
        }
    }
    lost
}

#[test]
fn what_goes_with_snapshots_is_what_no_other_has_that_stays() {
    let Some(lab) = six_days("what_goes_with_snapshots") else {
        return;
    };
    for let_go in [&[1][..], &[4], &[1, 2], &[2, 1], &[1, 2, 3, 4, 5], &[]] {
        assert_eq!(
            found(&lab, let_go, &[]),
            expected(&[], let_go, &[]),
            "{let_go:?}"
        );
    }
    lab.expire(&[1, 2, 3], &[]).unwrap();
    let gone = &[1, 2, 3];
    for (let_go, taken) in [
        (&[][..], &[1][..]),
        (&[], &[1, 2]),
        (&[], &[1, 2, 3]),
        (&[4], &[1]),
        (&[5, 4], &[3, 1]),
        (&[4], &[]),
    ] {
        let expected = expected(gone, let_go, taken);
        assert_eq!(found(&lab, let_go, taken), expected, "{let_go:?} {taken:?}");
    }
    // And that is what is taken away then.
    for day in [1, 2] {
        see_three_times(&lab, day);
    }
    let told = Lost::sum(found(&lab, &[], &[1, 2]).into_values());
    let size_there = || -> u64 {
        let files = walkdir::WalkDir::new(lab.far("objects")).into_iter();
        let files = files.map(|one| one.unwrap().metadata().unwrap());
        files
            .filter(fs::Metadata::is_file)
            .map(|one| one.len())
            .sum()
    };
    let before = size_there();
    lab.calls();
    lab.expire(&[], &[1, 2]).unwrap();
    assert_eq!(before - size_there(), told.bytes);
    // The manifests of what was let go here are still here.
    let brings = |call: &&String| call.starts_with("copy") && call.contains("/manifests");
    assert_eq!(lab.calls().iter().find(brings), None);
}

#[test]
fn what_hangs_on_a_manifest_that_is_not_here_is_not_known() {
    let Some(lab) = six_days("what_hangs_on_a_manifest") else {
        return;
    };
    lab.expire(&[1, 2, 3], &[]).unwrap();
    let aside = lab.path(&lab.cache).join("expired");
    let kept = |day: u32| {
        let of = format!("destination/{HOST}/.backup/snapshots/{}", id(day));
        lab.path(&lab.cache).join(of).join("manifest.mtree.zst")
    };
    // What another one needs that was let go: nobody knows what only those have that are taken away.
    fs::remove_file(aside.join(format!("{}.mtree.zst", id(3)))).unwrap();
    let lost = found(&lab, &[4], &[1, 2]);
    assert_eq!(lost, expected(&[1, 2, 3], &[4], &[]));
    // Of those that go each has its own.
    fs::write(aside.join(format!("{}.mtree.zst", id(1))), "damaged").unwrap();
    let lost = found(&lab, &[], &[1, 2, 3]);
    assert_eq!(lost.keys().copied().collect::<Vec<_>>(), [id(2)]);
    // What stays may have all of it.
    fs::remove_file(kept(6)).unwrap();
    assert_eq!(found(&lab, &[4], &[2]), BTreeMap::new());
    assert_eq!(found(&lab, &[], &[]), BTreeMap::new());
}

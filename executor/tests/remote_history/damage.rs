//! Objects and records that are not what they should be.

use std::fs;

use executor::cloud::{remote_history::Compared, verify::Share};
use schema::journal::Status;

use crate::lab::{Lab, id};

fn fill(lab: &Lab, day: u32) {
    for number in 0..20 {
        lab.write(day, format!("home/{number}"), format!("paper {number}\n"));
    }
}

#[test]
fn a_damaged_object_is_found_named_and_put_again() {
    let Some(lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    let sealed = lab.seal(1);
    lab.upload_sealed(1, &sealed).unwrap();
    fs::write(lab.object("paper 3\n"), "PAPER 3\n").unwrap();
    fs::write(lab.object("paper 5\n"), "short").unwrap();
    fs::remove_file(lab.object("paper 7\n")).unwrap();
    // Sizes alone tell of two.
    assert_eq!(lab.verify(Share::None).damage_count, 2);
    let found = lab.verify(Share::All);
    let told: Vec<_> = found
        .damage
        .iter()
        .map(|one| (one.path.as_str(), one.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "/home/3",
                "its content is not what was uploaded (in 2025-03-01_02-00-00)"
            ),
            (
                "/home/5",
                "5 bytes, and 8 were uploaded (in 2025-03-01_02-00-00)"
            ),
            ("/home/7", "missing (in 2025-03-01_02-00-00)"),
        ]
    );
    assert_eq!((found.damage_count, found.files), (3, 20));
    // The snapshot is there: the next upload puts these, and nothing else.
    let healed = lab.upload_sealed(1, &sealed).unwrap();
    assert_eq!((healed.is_new, healed.objects), (false, 3));
    assert_eq!(healed.outcome.status, Status::Succeeded);
    assert_eq!(lab.verify(Share::All).damage_count, 0);
    lab.calls();
    lab.upload_sealed(1, &sealed).unwrap();
    assert_eq!(lab.calls().len(), 1);
}

#[test]
fn all_shares_together_find_what_one_look_at_all_finds() {
    let Some(lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    for number in [2, 4, 11, 17] {
        fs::write(
            lab.object(format!("paper {number}\n")),
            vec![b'?'; format!("paper {number}\n").len()],
        )
        .unwrap();
    }
    let shares: Vec<_> = (1..=5)
        .map(|part| lab.verify(Share::Part { part, of: 5 }))
        .collect();
    assert_eq!(shares.iter().map(|found| found.files).sum::<u64>(), 20);
    assert_eq!(
        shares.iter().map(|found| found.damage_count).sum::<u64>(),
        4
    );
    let known = fs::read_to_string(lab.path("cache/damaged.list")).unwrap();
    assert_eq!(known.lines().count(), 4);
}

#[test]
fn of_one_snapshot_its_own_contents_are_compared_and_what_is_known_of_others_stays_known() {
    let Some(lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fill(&lab, 2);
    lab.write(2, "home/more", "more\n");
    lab.upload(2);
    for content in ["paper 3\n", "more\n"] {
        fs::write(lab.object(content), vec![b'?'; content.len()]).unwrap();
    }
    let of = |day| lab.verify_of(Compared::Snapshot(id(day)), Share::All);
    let first = of(1);
    assert_eq!((first.id, first.files, first.damage_count), (id(1), 20, 1));
    assert!(
        first.damage[0]
            .message
            .ends_with(&format!("(in {})", id(1)))
    );
    let second = of(2);
    assert_eq!((second.files, second.damage_count), (21, 2));
    // What only the second has is not forgotten when the first is looked at again.
    of(1);
    let known = fs::read_to_string(lab.path("cache/damaged.list")).unwrap();
    assert_eq!(known.lines().count(), 2);
    // Both come back with the next upload.
    fill(&lab, 3);
    lab.write(3, "home/more", "more\n");
    lab.upload(3);
    assert_eq!(of(2).damage_count, 0);
}

#[test]
fn what_is_damaged_and_not_on_the_disk_any_more_is_told() {
    let Some(lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fs::remove_file(lab.object("paper 3\n")).unwrap();
    lab.verify(Share::All);
    lab.write(2, "home/new", "new\n");
    let uploaded = lab.upload(2);
    assert_eq!(
        (uploaded.objects, uploaded.outcome.status),
        (1, Status::Incomplete)
    );
    assert!(
        uploaded
            .outcome
            .message
            .contains("1 content of earlier snapshots there is damaged")
    );
}

#[test]
fn a_damaged_record_or_manifest_counts_for_nothing_and_is_told() {
    let Some(mut lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fill(&lab, 2);
    lab.write(2, "home/more", "more\n");
    let sealed = lab.seal(2);
    lab.upload_sealed(2, &sealed).unwrap();
    let record = lab.far(&format!("records/{}.json", id(1)));
    let text = fs::read_to_string(&record)
        .unwrap()
        .replace("\"complete\": true", "\"complete\": 1   ");
    fs::write(&record, text).unwrap();
    let manifest = lab.far(&format!("manifests/{}.mtree.zst", id(2)));
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    lab.cache = "new".to_owned();
    let known = lab.known();
    assert!(known.records.is_empty());
    assert_eq!(known.damaged, [id(1), id(2)]);
    // The snapshot that is on the disk is made whole again; of the other it is told.
    let uploaded = lab.upload_sealed(2, &sealed).unwrap();
    assert_eq!((uploaded.is_new, uploaded.objects), (true, 21));
    assert_eq!(uploaded.outcome.status, Status::Incomplete);
    assert!(
        uploaded
            .outcome
            .message
            .contains("record or manifest of 1 snapshot there is damaged")
    );
    let known = lab.known();
    assert_eq!(known.records.keys().copied().collect::<Vec<_>>(), [id(2)]);
    assert_eq!(lab.verify(Share::All).damage_count, 0);
}

#[test]
fn a_remote_that_was_emptied_is_filled_again_and_told_once() {
    let Some(lab) = Lab::new("damage") else {
        return;
    };
    fill(&lab, 1);
    let sealed = lab.seal(1);
    lab.upload_sealed(1, &sealed).unwrap();
    fs::remove_dir_all(lab.far("")).unwrap();
    let again = lab.upload_sealed(1, &sealed).unwrap();
    assert_eq!((again.is_new, again.objects), (true, 20));
    fs::remove_dir_all(lab.far("")).unwrap();
    fill(&lab, 2);
    let other = lab.upload(2);
    assert_eq!(
        (other.objects, other.outcome.status),
        (20, Status::Incomplete)
    );
    assert!(
        other
            .outcome
            .message
            .contains("can not be found there any more"),
        "{:?}",
        other.outcome
    );
    fill(&lab, 3);
    assert_eq!(lab.upload(3).outcome.status, Status::Succeeded);
}

//! Facts about the sources: what is there, where it really is, and what it held before.

use schema::inventory::{
    Cost, DataPassedOver, DatabaseKind, Databases, HollowFile, Presence, SourceState,
};
use serde_json::json;

use super::{
    super::world::{World, place, source},
    Scenario,
};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

fn data(path: &str, mounted: Option<(&str, &str, &str)>) -> DataPassedOver {
    DataPassedOver {
        path: path.to_owned(),
        file_system: mounted.map(|(kind, ..)| kind.to_owned()),
        device: mounted.map_or("0:52", |(_, device, _)| device).to_owned(),
        within: mounted.map(|(.., within)| within.to_owned()),
    }
}

fn databases(kind: DatabaseKind, count: u64, example: &str) -> Databases {
    Databases {
        kind,
        count,
        example: example.to_owned(),
    }
}

fn bob_costs_most(home: &mut SourceState) {
    home.costs_most = Some(Cost {
        path: "/home/bob".to_owned(),
        user: "bob".to_owned(),
        bytes: 900 << 20,
    });
}

pub(crate) fn all() -> Vec<Scenario> {
    let new = || World::new(NIGHT);
    // Four nights, so that the fifth has something to delete.
    let nights = || World::nightly("2025-01-13", 4);
    let missing = |world: World| {
        world.source(|home| {
            home.presence = Presence::Missing;
            home.place = None;
            home.scan = Default::default();
        })
    };
    let etc = || source("/etc/nixos", "8:2", 12);
    vec![
        (
            "a-bind-mounted-source-inside-another-is-refused",
            new().add_source({
                let mut photos = source("/srv/photos", "8:2", 77);
                photos.place = place("8:2", 77, "/home/ann/photos");
                photos.mounted = true;
                photos
            }),
        ),
        (
            "a-source-under-two-names-is-refused",
            new().add_source({
                let mut home = source("/srv/home", "8:2", 11);
                home.place = place("8:2", 11, "/home");
                home
            }),
        ),
        (
            "names-that-begin-alike-are-not-inside-each-other",
            new().add_source(source("/home2", "8:2", 13)),
        ),
        (
            "a-destination-inside-a-source-is-left-out",
            new()
                .set("local.requireMount", json!(false))
                .destination(|found| {
                    found.mounted = false;
                    found.place = place("8:2", 90, "/home/ann/backup");
                }),
        ),
        (
            "a-source-on-the-destination-is-refused",
            new().source(|home| home.place = place("8:17", 5000, "/home")),
        ),
        (
            "a-missing-source-makes-the-run-incomplete",
            nights().add_source({
                let mut gone = etc();
                gone.presence = Presence::Missing;
                gone.place = None;
                gone.scan = Default::default();
                gone
            }),
        ),
        (
            "nothing-is-deleted-when-a-source-vanished",
            missing(nights()).add_source(etc()),
        ),
        (
            "an-emptied-source-will-be-suspect",
            nights().source(|home| {
                home.scan = Default::default();
                home.scan.entries = 1;
                home.scan.folders = 1;
            }),
        ),
        (
            "nothing-is-backed-up-when-every-source-is-missing",
            missing(nights()),
        ),
        (
            "an-unreadable-source-is-told-with-its-reason",
            new().add_source(etc()).source(|home| {
                home.presence = Presence::Unreadable {
                    because: "Permission denied (os error 13)".to_owned(),
                };
                home.place = None;
                home.scan = Default::default();
            }),
        ),
        ("a-source-that-is-no-longer-mounted-is-told", {
            let mut world = new();
            world.inventory.sources[0].mounted = true;
            world.run();
            world.next_night();
            world.source(|home| home.mounted = false)
        }),
        (
            "mounts-below-a-source-are-passed-over",
            new().source(|home| {
                home.mounts_passed_over = ["ann/nas", "ben/phone"].map(str::to_owned).into();
            }),
        ),
        (
            "data-on-another-file-system-below-a-source-stays-a-warning",
            new()
                .source(|home| {
                    home.mounts_passed_over = ["ann/film", "ann/mail", "ben/nas", "ben/old", "tmp"]
                        .map(str::to_owned)
                        .into();
                    home.data_passed_over = vec![
                        data("ann/film", Some(("ext4", "8:33", "/"))),
                        // A nested subvolume, which is no mount.
                        data("ann/mail", None),
                        // Stored as `/srv/old`, and the drive of the backup itself.
                        data("ben/old", Some(("ext4", "8:2", "/srv/old"))),
                        data("tmp", Some(("ext4", "8:17", "/"))),
                    ];
                })
                .add_source(source("/srv", "8:2", 14)),
        ),
        (
            "databases-that-are-copied-as-files-are-one-note",
            new()
                .source(|home| {
                    home.databases = vec![
                        databases(DatabaseKind::Sqlite, 3, "ann/.mozilla/places.sqlite"),
                        databases(DatabaseKind::Mysql, 1, "ben/mysql"),
                    ];
                })
                .add_source({
                    let mut cluster = source("/var/lib/postgresql/17/main", "8:2", 15);
                    cluster.databases = vec![
                        databases(DatabaseKind::Sqlite, 1, "a.db"),
                        databases(DatabaseKind::Postgresql, 1, ""),
                    ];
                    cluster
                }),
        ),
        (
            "databases-are-no-note-where-a-script-runs-before",
            new()
                .set("preBackupScript", json!("/etc/backup/dump"))
                .source(|home| home.databases = vec![databases(DatabaseKind::Sqlite, 1, "a.db")]),
        ),
        (
            "sources-on-other-file-systems-may-be-inside-each-other",
            new()
                .add_source(source("/home/ann", "8:33", 2))
                .add_source({
                    let mut mail = source("/home/ben/mail", "8:2", 256);
                    mail.place.as_mut().unwrap().subvolume = Some("0:51".to_owned());
                    mail
                }),
        ),
        (
            "the-root-may-be-a-source",
            new().set("local.sources", json!(["/"])).source(|root| {
                root.path = schema::config::AbsolutePath::new("/");
                root.place = place("8:2", 2, "/");
                root.mounts_passed_over = ["dev", "mnt/backup", "proc", "run", "sys"]
                    .map(str::to_owned)
                    .into();
                root.data_passed_over = vec![data("mnt/backup", Some(("ext4", "8:17", "/")))];
            }),
        ),
        ("unreadable-entries-are-counted", {
            let mut world = new().source(|home| {
                home.scan.unreadable = 5;
                home.unreadable = ["ann/a", "ann/b", "ben/c", "ben/d", "ben/e"]
                    .map(str::to_owned)
                    .into();
            });
            world.inventory.privileged = false;
            world
        }),
        (
            "files-of-holes-are-left-out-and-told",
            new().set("local.maxHolesGB", json!(200)).source(|home| {
                let file = |path: &str, holes: u64, left_out: bool| HollowFile {
                    path: path.to_owned(),
                    bytes: holes,
                    holes,
                    user: "bob".to_owned(),
                    left_out,
                };
                home.scan.hollow = 1;
                home.hollow = vec![
                    file("bob/bomb", 15 << 40, true),
                    file("bob/image", 100 << 30, false),
                ];
            }),
        ),
        ("who-costs-most-is-named", new().source(bob_costs_most)),
        (
            "a-full-disk-names-who-costs-most",
            new()
                .source(bob_costs_most)
                .destination(|found| found.free_bytes = 9 << 30),
        ),
        (
            "changed-sources-scale-the-suspicion",
            World::nightly("2025-01-13", 1).snapshot("2025-01-13_02-00-00", |one| {
                let mut etc = one.record.sources[0].clone();
                etc.path = schema::config::AbsolutePath::new("/etc/nixos");
                etc.entries = 300;
                one.record.sources.push(etc);
                one.record.totals.entries = 1300;
            }),
        ),
        (
            "what-a-new-exclude-pattern-leaves-out-is-not-missed",
            World::nightly("2025-01-13", 1).set("local.excludePatterns", json!([".cache"])),
        ),
        (
            "a-handful-of-files-is-never-suspect",
            World::nightly("2025-01-13", 1).snapshot("2025-01-13_02-00-00", |one| {
                one.record.totals.entries = 19;
                one.record.totals.files = 19;
            }),
        ),
    ]
}

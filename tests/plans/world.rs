//! A machine with a destination, for plan fixtures: config and inventory that live through runs.
//!
//! Owns the smallest believable values and what a run does to a destination. It checks nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, FixedOffset, TimeDelta};
use planner::{Options, Wanted};
use schema::{
    Config, Digest, Inventory, Plan, SnapshotId, Tier,
    config::{AbsolutePath, DestinationName},
    inventory::{
        DestinationState, Leftover, OtherDestination, Power, Presence, ResolvedLocation,
        SnapshotState, SourceScan, SourceState, TierLink, Unmanaged,
    },
    plan::Action,
    record::{
        Capabilities, DestinationRecord, Engine, RotationRecord, SnapshotMarks, SnapshotRecord,
        SnapshotTotals, SourceRecord,
    },
};
use serde_json::{Value, json};

/// One GiB.
pub(crate) const GIB: u64 = 1 << 30;

/// The id of the destination that the machine knows.
pub(crate) const KNOWN: &str = "6f1d1c1e-0c3b-8a55-9d0a-3f5c2f1b7a10";

/// What ext4 can hold.
pub(crate) const EXT4: Capabilities = Capabilities::all();

/// A config as the user writes it, and what the machine looks like.
#[derive(Clone)]
pub(crate) struct World {
    /// `config.json`.
    pub(crate) config: Value,
    /// `inventory.json`.
    pub(crate) inventory: Inventory,
    /// What is asked for besides.
    pub(crate) options: Options,
    /// The destinations that are wanted, all where none is named, and whether nothing but them is.
    pub(crate) wanted: Wanted,
}

/// A time, as RFC 3339 has it.
pub(crate) fn time(text: &str) -> DateTime<FixedOffset> {
    text.parse().unwrap()
}

/// A snapshot id.
pub(crate) fn id(text: &str) -> SnapshotId {
    text.parse().unwrap()
}

/// A path within a file system.
pub(crate) fn place(device: &str, inode: u64, within: &str) -> Option<ResolvedLocation> {
    Some(ResolvedLocation {
        device: device.to_owned(),
        inode,
        within: within.to_owned(),
        subvolume: None,
    })
}

fn leftover(id: SnapshotId, bytes: u64, entries: u64) -> Leftover {
    Leftover {
        id,
        bytes,
        entries,
        stuck: 0,
    }
}

/// A source with some files, one in ten of them new.
pub(crate) fn source(path: &str, device: &str, inode: u64) -> SourceState {
    SourceState {
        hollow: Vec::new(),
        costs_most: None,
        left_out: None,
        path: AbsolutePath::new(path),
        presence: Presence::Present,
        place: place(device, inode, path),
        mounted: false,
        is_distant: false,
        scan: SourceScan {
            entries: 1000,
            files: 800,
            folders: 190,
            bytes: 10 * GIB,
            new_files: 80,
            new_bytes: GIB,
            new_inodes: 80,
            unreadable: 0,
            excluded: 0,
            ..SourceScan::default()
        },
        mounts_passed_over: vec![],
        data_passed_over: vec![],
        unreadable: vec![],
        not_held: vec![],
        renamed: vec![],
        databases: vec![],
    }
}

impl World {
    /// A machine whose known destination is mounted and has no snapshot yet.
    pub(crate) fn new(now: &str) -> Self {
        Self {
            config: json!({
                "local": {
                    "enable": true,
                    "useRsync": false,
                    "keepLast": 0, "keepDaily": 3, "keepWeekly": 2, "keepMonthly": 2,
                    "sources": ["/home"],
                    "excludePatterns": [],
                },
            }),
            inventory: Inventory {
                fault: None,
                format_version: 1,
                taken_at: time(now),
                host: "atlas".to_owned(),
                privileged: true,
                power: Power::Ac,
                machine: None,
                known_destinations: vec![KNOWN.to_owned()],
                destination: Some(DestinationState {
                    mount_point: AbsolutePath::new("/mnt/backup"),
                    present: true,
                    absent_because: None,
                    absent_code: None,
                    mounted: true,
                    read_only: false,
                    place: place("8:17", 2, "/"),
                    file_system: Some("ext4".to_owned()),
                    file_system_uuid: Some("0a6f6e1c-7d58-4c5e-9a55-2d3f8f3f6d11".to_owned()),
                    free_bytes: 500 * GIB,
                    total_bytes: 1000 * GIB,
                    free_inodes: Some(60_000_000),
                    record: Some(DestinationRecord {
                        format_version: 1,
                        id: KNOWN.to_owned(),
                        host: "atlas".to_owned(),
                        machine: None,
                        created_at: time("2024-01-01T12:00:00+01:00"),
                        capabilities: EXT4,
                    }),
                    beside: vec![],
                    record_fault: None,
                    record_fault_code: None,
                    recognized_id: None,
                    expected_capabilities: None,
                    snapshots: vec![],
                    unmanaged: vec![],
                    links: vec![],
                    latest: None,
                    partial: vec![],
                    trash: vec![],
                    lost: vec![],
                    rotation: None,
                    rotation_fault: None,
                    damaged: vec![],
                    in_the_way: vec![],
                    user_view: None,
                }),
                rsync: None,
                cloud: None,
                state_faults: vec![],
                state_unwritable: None,
                untrusted: vec![],
                unmatched_patterns: Vec::new(),
                gone: None,
                unusable_secrets: Vec::new(),
                sources: vec![source("/home", "8:2", 11)],
                others: BTreeMap::new(),
            },
            options: Options::default(),
            wanted: Wanted::default(),
        }
    }

    /// A machine with a snapshot of each of these nights, now at the night after them.
    pub(crate) fn nightly(first: &str, nights: u64) -> Self {
        let first = format!("{first}T02:00:00+01:00");
        let mut world = Self::new(&first);
        for _ in 0..nights {
            world.run();
            world.next_night();
        }
        world
    }

    /// Sets a key of the config.
    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        let path = format!("/{}", key.replace('.', "/"));
        let (above, name) = path.rsplit_once('/').unwrap();
        if self.config.pointer(above).is_none() {
            self.config[above.trim_start_matches('/')] = json!({});
        }
        self.config.pointer_mut(above).unwrap()[name] = value;
        self
    }

    /// Sets the time.
    pub(crate) fn at(mut self, now: &str) -> Self {
        self.inventory.taken_at = time(now);
        self
    }

    /// Changes the destination.
    pub(crate) fn destination(mut self, change: impl FnOnce(&mut DestinationState)) -> Self {
        change(self.inventory.destination.as_mut().unwrap());
        self
    }

    /// Changes the first source.
    pub(crate) fn source(mut self, change: impl FnOnce(&mut SourceState)) -> Self {
        change(&mut self.inventory.sources[0]);
        self
    }

    /// Gives each snapshot the place in the order in which they were made.
    pub(crate) fn numbered(self) -> Self {
        self.destination(|found| {
            for (at, one) in found.snapshots.iter_mut().enumerate() {
                one.record.sequence = at as u64 + 1;
            }
        })
    }

    /// Adds a source to config and machine.
    pub(crate) fn add_source(mut self, source: SourceState) -> Self {
        let sources = self.config["local"]["sources"].as_array_mut().unwrap();
        sources.push(json!(source.path));
        self.inventory.sources.push(source);
        self
    }

    /// Changes the record and marks of a snapshot.
    pub(crate) fn snapshot(self, id: &str, change: impl FnOnce(&mut SnapshotState)) -> Self {
        let id = self::id(id);
        self.destination(|found| {
            let mut all = found.snapshots.iter_mut();
            change(all.find(|one| one.record.id == id).unwrap());
        })
    }

    /// Adds an unfinished snapshot.
    pub(crate) fn partial(self, id: &str, bytes: u64, entries: u64) -> Self {
        let id = self::id(id);
        self.destination(|found| found.partial.push(leftover(id, bytes, entries)))
    }

    /// Adds a snapshot whose removal was begun.
    pub(crate) fn trash(self, id: &str, bytes: u64, entries: u64) -> Self {
        let id = self::id(id);
        self.destination(|found| found.trash.push(leftover(id, bytes, entries)))
    }

    /// Adds a folder that the program did not make.
    pub(crate) fn unmanaged(self, tier: Tier, name: &str) -> Self {
        let name = name.to_owned();
        self.destination(|found| {
            let record_fault = None;
            found.unmanaged.push(Unmanaged {
                tier,
                name,
                record_fault,
            });
        })
    }

    /// Adds a snapshot whose record is damaged.
    pub(crate) fn record_damaged(self, tier: Tier, id: &str) -> Self {
        self.unmanaged(tier, id).destination(|found| {
            let last = found.unmanaged.last_mut().unwrap();
            last.record_fault = Some("cannot read snapshot.json: EOF".to_owned());
        })
    }

    /// Adds a link to a tier.
    pub(crate) fn link(self, tier: Tier, id: &str, target: &str) -> Self {
        let (id, target) = (self::id(id), target.to_owned());
        self.destination(|found| found.links.push(TierLink { tier, id, target }))
    }

    /// The config as the program reads it.
    pub(crate) fn config(&self) -> Config {
        serde_json::from_value(self.config.clone()).unwrap()
    }

    /// The plan.
    pub(crate) fn plan(&self) -> Plan {
        planner::plan_all(&self.config(), &self.inventory, &self.options, &self.wanted)
    }

    /// Adds a disk by its name, which is the one of that other machine, with what is found for it.
    pub(crate) fn add_disk(mut self, name: &str, config: Value, other: Self) -> Self {
        let mount_point = format!("/mnt/{name}");
        let mut disk = json!({ "type": "disk", "mountPoint": mount_point, "useRsync": false,
            "keepLast": 0, "keepDaily": 3, "keepWeekly": 2, "keepMonthly": 2 });
        for (key, value) in config.as_object().unwrap() {
            disk[key] = value.clone();
        }
        if self.config["destinations"].is_null() {
            self.config["destinations"] = json!({});
        }
        self.config["destinations"][name] = disk;
        let mut found = other.inventory.into_other();
        let id = format!("{name}-{KNOWN}");
        found.known_destinations = vec![id.clone()];
        let destination = found.destination.as_mut().unwrap();
        destination.mount_point = AbsolutePath::new(&mount_point);
        destination.place = place(&format!("9:{}", name.len()), 2, "/");
        destination.file_system_uuid = None;
        destination.record.as_mut().unwrap().id = id;
        self.inventory
            .others
            .insert(DestinationName::new(name), found);
        self
    }

    /// Adds a remote with history by its name, to which these snapshots were uploaded.
    pub(crate) fn add_remote(mut self, name: &str, config: Value, uploaded: &[&str]) -> Self {
        let mut remote = json!({ "type": "remote", "remote": format!("{name}:") });
        for (key, value) in config.as_object().unwrap() {
            remote[key] = value.clone();
        }
        if self.config["destinations"].is_null() {
            self.config["destinations"] = json!({});
        }
        self.config["destinations"][name] = remote;
        let cloud = json!({
            "rclone": { "version": "1.75.2", "fault": null },
            "memory": { "last": null, "uploaded": uploaded, "history": [], "attempt": 0 },
            "pending": null,
            "configured": true,
        });
        let found = OtherDestination {
            cloud: Some(serde_json::from_value(cloud).unwrap()),
            ..OtherDestination::default()
        };
        self.inventory
            .others
            .insert(DestinationName::new(name), found);
        self
    }

    /// Changes what is found of a named destination.
    pub(crate) fn other(mut self, name: &str, change: impl FnOnce(&mut OtherDestination)) -> Self {
        let name = DestinationName::new(name);
        change(self.inventory.others.get_mut(&name).unwrap());
        self
    }

    /// Asks for these destinations, `alone` for nothing besides.
    pub(crate) fn choose(mut self, names: &[&str], alone: bool) -> Self {
        let names = names.iter().copied().map(DestinationName::new);
        self.wanted = Wanted {
            names: names.collect(),
            alone,
        };
        self
    }

    /// One day later, at the same time of day.
    pub(crate) fn next_night(&mut self) {
        self.inventory.taken_at = self.inventory.taken_at + Days::new(1);
    }

    /// Does to the destination what the plan says, with a complete snapshot.
    pub(crate) fn run(&mut self) {
        let plan = self.plan();
        let sources = self.inventory.sources.clone();
        let found = self.inventory.destination.as_mut().unwrap();
        for step in &plan.steps {
            match &step.action {
                Action::Snapshot(step) => {
                    let basis = step.basis.as_ref().map(|basis| {
                        let mut all = found.snapshots.iter();
                        &all.find(|one| one.record.id == basis.id).unwrap().record
                    });
                    // Each run drops a tenth of what older ones stored, and at last all of it.
                    let stored_by = basis.into_iter().flat_map(|basis| &basis.stored_by);
                    let stored_by = stored_by.map(|(id, bytes)| (*id, bytes / 10 * 9));
                    let stored_by = stored_by.filter(|(_, bytes)| *bytes > GIB / 2);
                    let sealed_at = step.started_at + TimeDelta::minutes(5);
                    found.snapshots.push(SnapshotState {
                        home: Tier::Daily,
                        record: SnapshotRecord {
                            format_version: 1,
                            id: step.id,
                            host: plan.host.clone(),
                            run_id: format!("{}-00000000", step.id),
                            started_at: step.started_at,
                            sealed_at,
                            day: step.day,
                            sequence: 0,
                            read: None,
                            complete: true,
                            suspect: vec![],
                            suspect_since: None,
                            basis: basis.map(|basis| basis.id),
                            line_from: None,
                            engine: Engine::BuiltIn,
                            made_by: "backup 0.1.0".to_owned(),
                            sources: sources
                                .iter()
                                .map(|source| SourceRecord {
                                    path: source.path.clone(),
                                    present: source.presence == Presence::Present,
                                    mounted: source.mounted,
                                    entries: source.scan.entries,
                                    files: 0,
                                })
                                .collect(),
                            exclude_patterns: step.exclude_patterns.clone(),
                            exclude_caches: step.exclude_caches,
                            exclude_if_present: step.exclude_if_present.clone(),
                            problems: vec![],
                            manifest_rebuilt_at: None,
                            record_rebuilt_at: None,
                            gone: None,
                            subvolume: false,
                            totals: SnapshotTotals {
                                entries: step.expected.entries,
                                files: step.expected.files,
                                ..SnapshotTotals::default()
                            },
                            stored_by: stored_by.chain([(step.id, GIB)]).collect(),
                            files_stored_by: BTreeMap::new(),
                            manifest: "manifest".to_owned(),
                            manifest_digest: Digest([0; 32]),
                        },
                        marks: SnapshotMarks::default(),
                        marks_fault: None,
                        manifest_fault: None,
                        manifest_fault_code: None,
                        changed_since: None,
                        damaged: 0,
                    });
                }
                Action::Delete(step) => {
                    for gone in &step.rotation.deletions {
                        found.snapshots.retain(|one| one.record.id != gone.id);
                        found.links.retain(|link| link.id != gone.id);
                    }
                }
                Action::Rotate(step) => {
                    let todo = &step.on_complete;
                    for gone in &todo.unlinks {
                        let stays = |l: &TierLink| (l.tier, l.id) != (gone.tier, gone.id);
                        found.links.retain(stays);
                    }
                    for one in &todo.moves {
                        let mut all = found.snapshots.iter_mut();
                        all.find(|it| it.record.id == one.id).unwrap().home = one.to;
                    }
                    found.links.extend(todo.links.iter().map(|link| TierLink {
                        tier: link.tier,
                        id: link.id,
                        target: link.target.clone(),
                    }));
                    found.links.sort();
                    found.latest.clone_from(&todo.latest);
                    for gone in &todo.deletions {
                        found.snapshots.retain(|one| one.record.id != gone.id);
                    }
                    if !todo.unapproved.is_empty() {
                        if let Some(last) = &mut found.rotation {
                            last.unapproved.clone_from(&todo.unapproved);
                        }
                        continue;
                    }
                    let rotated_at = plan.created_at + TimeDelta::minutes(6);
                    let records = found.snapshots.iter().map(|one| &one.record);
                    let later = records.filter(|one| one.sealed_at > rotated_at);
                    found.rotation = Some(RotationRecord {
                        rotated_at,
                        ahead: later.map(|one| one.id).collect(),
                        run_id: format!("{}-00000000", step_id(&plan)),
                        unapproved: vec![],
                    });
                }
                _ => {}
            }
        }
    }
}

fn step_id(plan: &Plan) -> SnapshotId {
    plan.snapshot().unwrap().id
}

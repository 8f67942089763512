//! Many snapshots at once, made from one that is there: to make each by a run takes long.

use std::{fs, path::Path};

use schema::record::append_digest;
use serde_json::{Map, Value, json};

use crate::{Lab, id_of};

impl Lab {
    /// Puts so many older snapshots beside the newest one, as of the last hours of the year 2000: each is
    /// as that one, with a record and a tree of its own whose files are links to the same. Gives their
    /// ids, oldest first.
    #[track_caller]
    pub fn multiply(&self, count: usize) -> Vec<String> {
        let all = self.ids();
        let model = all.last().unwrap();
        let tree = fs::canonicalize(self.stored("latest")).unwrap();
        let record = self.record(model);
        let already = all.iter().filter(|id| id.starts_with("2000")).count();
        let mut ids: Vec<String> = (already..already + count)
            .map(|at| self.add_older(&tree, model, &record, at))
            .collect();
        ids.reverse();
        ids
    }

    fn add_older(&self, tree: &Path, model: &str, record: &Value, at: usize) -> String {
        let hour = 8783 - at;
        let (day, hour) = (hour / 24, hour % 24);
        let (month, day) = month_and_day(day);
        let started = format!("2000-{month:02}-{day:02}T{hour:02}:00:00+00:00");
        let id = id_of(&started);
        let records = self.stored(".backup/snapshots");
        link_below(&records.join(model), &records.join(&id));
        link_below(tree, &self.stored("hourly").join(&id));
        let mut record = record.clone();
        let object: &mut Map<String, Value> = record.as_object_mut().unwrap();
        object.remove("record_digest");
        object.insert("id".to_owned(), json!(id));
        object.insert("run_id".to_owned(), json!(format!("{id}-00000000")));
        object.insert("day".to_owned(), json!(started[..10]));
        object.insert("started_at".to_owned(), json!(started));
        object.insert("sealed_at".to_owned(), json!(started));
        object.insert("sequence".to_owned(), json!(10_000 - at));
        object.insert("basis".to_owned(), Value::Null);
        let mut bytes = serde_json::to_vec_pretty(&record).unwrap();
        bytes.push(b'\n');
        let file = records.join(&id).join("snapshot.json");
        // A name of its own: the one that was linked is that of the model.
        fs::remove_file(&file).unwrap();
        fs::write(&file, append_digest(bytes)).unwrap();
        id
    }
}

/// The month and the day in it of a day of the year 2000, counted from 0.
fn month_and_day(mut day: usize) -> (usize, usize) {
    const DAYS: [usize; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, days) in DAYS.into_iter().enumerate() {
        if day < days {
            return (month + 1, day + 1);
        }
        day -= days;
    }
    (12, 31)
}

/// Makes a folder with the same files as another one, each a hard link.
fn link_below(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let to = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&to).unwrap();
        } else {
            fs::hard_link(entry.path(), &to).unwrap();
        }
    }
}

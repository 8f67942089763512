//! The units of a user's own configuration, for the user's own systemd.
//!
//! One service does the whole run, since there is nothing to keep its parts from that the user may not do
//! anyway; a sandbox needs rights that users do not have everywhere. Returning AC power is noticed by the
//! timer that asks again.

use schema::Config;

use super::{
    COORDINATOR, DRILL, HEADER, HEALTH, Layout, Unit,
    facts::Facts,
    services::{after_the_others, common_lines, drill_start, service_lines, wanted_by_disks},
    template::{Line, UnitTemplate},
    timers,
};

/// The units of a user's configuration.
#[must_use]
pub fn render_user_units(config: &Config, layout: &Layout) -> Vec<Unit> {
    let facts = Facts::from_config(config, layout);
    let [run, health, drill] = user_services();
    let templates = [
        timers::backup_timer(),
        run,
        timers::retry_timer(),
        timers::health_timer(),
        health,
        timers::drill_timer(),
        drill,
    ];
    let filled = templates.into_iter().filter_map(|unit| unit.render(&facts));
    let own = config.chains().into_iter().filter_map(|name| {
        let facts = Facts::of_destination(config, &name, layout)?;
        timers::disk_timer().render(&facts)
    });
    filled
        .chain(own)
        .map(|(name, text)| Unit {
            name,
            text: format!("{HEADER}\n{text}"),
        })
        .collect()
}

/// The services, which are others than the system's; the timers are the same.
pub(super) fn user_services() -> [UnitTemplate; 3] {
    [run_service(), health_service(), drill_service()]
}

/// `backup.service`: the whole run.
fn run_service() -> UnitTemplate {
    let runs = vec![
        Line::one_of(
            "ExecStart",
            &[
                ("${program} apply --if-due", &["schedule.enable"]),
                ("${program} apply", &["!schedule.enable"]),
            ],
        ),
        Line::set("ExecStopPost", "${program} settle").because(&[
            "After a run that was killed: the post-script and the notification it owes.",
        ]),
    ];
    UnitTemplate {
        name: COORDINATOR,
        when: &[],
        unit: [common_lines("Backup"), vec![after_the_others()]].concat(),
        service: service_lines(runs, Vec::new()),
        timer: Vec::new(),
        install: vec![wanted_by_disks()],
    }
}

/// `backup-health-check.service`.
fn health_service() -> UnitTemplate {
    UnitTemplate {
        name: HEALTH,
        when: &["monitoring.enable"],
        unit: [
            common_lines("Check of the backup's health"),
            vec![after_the_others()],
        ]
        .concat(),
        service: service_lines(
            vec![Line::set("ExecStart", "${program} health")],
            Vec::new(),
        ),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

/// `backup-drill.service`.
fn drill_service() -> UnitTemplate {
    UnitTemplate {
        name: DRILL,
        when: &["monitoring.drill.enable"],
        unit: common_lines("Trial restore of the backup"),
        service: service_lines(vec![drill_start()], Vec::new()),
        timer: Vec::new(),
        install: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{HEALTH_TIMER, RETRY_TIMER, TIMER, enabled_units, render_units},
        *,
    };

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    fn layout() -> Layout {
        Layout {
            program: "/home/ann/.cargo/bin/backup".to_owned(),
            config: "/home/ann/.config/backup/config.json".to_owned(),
            state_dir: "/home/ann/.local/state/backup".to_owned(),
        }
    }

    const SCHEDULED: &str = r#"{"local": {"enable": true}, "schedule": {"enable": true}}"#;

    #[test]
    fn a_users_run_is_one_service_without_a_sandbox() {
        let units = render_user_units(&config(SCHEDULED), &layout());
        let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(
            names,
            [TIMER, COORDINATOR, RETRY_TIMER, HEALTH_TIMER, HEALTH]
        );
        let run = &units[1].text;
        for part in [
            "ExecStart=/home/ann/.cargo/bin/backup --config /home/ann/.config/backup/config.json ",
            " --state-dir /home/ann/.local/state/backup apply --if-due\n",
        ] {
            assert!(run.contains(part), "{run}");
        }
        assert!(run.contains("WantedBy=mnt-backup.mount\n"), "{run}");
        for key in ["Protect", "Private", "Capability", "--by-units", "User="] {
            assert!(units.iter().all(|unit| !unit.text.contains(key)), "{key}");
        }
    }

    #[test]
    fn what_is_enabled_are_timers_and_what_the_drive_starts() {
        let of_user = render_user_units(&config(SCHEDULED), &layout());
        let wanted = [
            (TIMER, true),
            (COORDINATOR, false),
            (RETRY_TIMER, true),
            (HEALTH_TIMER, true),
        ];
        assert_eq!(enabled_units(&of_user), wanted);
        let of_root = render_units(&config(SCHEDULED), &Layout::of_root("/usr/bin/backup"));
        assert_eq!(enabled_units(&of_root), wanted);
        let by_hand = render_user_units(&config(r#"{"local": {"enable": true}}"#), &layout());
        assert_eq!(enabled_units(&by_hand), [(HEALTH_TIMER, true)]);
    }
}

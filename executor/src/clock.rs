//! The time, as the machine has it or as the user asked to suppose.

use chrono::{DateTime, FixedOffset, Local, TimeDelta};

/// Tells the time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    shift: Option<(TimeDelta, FixedOffset)>,
}

impl Clock {
    /// A clock on which it is this time now.
    #[must_use]
    pub fn at(now: DateTime<FixedOffset>) -> Self {
        let real = Local::now().fixed_offset();
        Self {
            shift: Some((now - real, *now.offset())),
        }
    }

    /// The time now, with the local offset.
    #[must_use]
    pub fn now(self) -> DateTime<FixedOffset> {
        let real = Local::now().fixed_offset();
        match self.shift {
            Some((shift, offset)) => (real + shift).with_timezone(&offset),
            None => real,
        }
    }
}

//! What happens in a life: a list that its number gives, from which anything can be left out.

use test_support::Random;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A day passes, or some, and files change.
    Day,
    Backup,
    Restore,
    Repair,
    Adopt,
    Prune,
    Delete,
    Pin,
    /// The user types something that is wrong.
    Mistake,
    /// All files get another content.
    Conversion,
    /// The clock is wrong for one run.
    Clock,
    /// Another machine backs up to the same drive.
    Neighbour,
    /// Another drive is put in.
    OtherDrive,
    /// The drive is full.
    Full,
    /// The remote does not answer.
    Outage,
    /// The machine is in another time zone.
    Journey,
    /// The clock is behind for one run.
    ClockBehind,
}

/// What happens around a machine.
const AROUND: [What; 6] = [
    What::Neighbour,
    What::OtherDrive,
    What::Full,
    What::Outage,
    What::Journey,
    What::ClockBehind,
];

/// One of them, with numbers of its own, so that it is the same whatever is left out before it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) what: What,
    pub(crate) random: Random,
}

/// The life of this number with so many nights.
pub(crate) fn of_life(seed: u64, nights: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    // In half of all lives, by chance of its own: the others are what they were when something was found in them.
    let mut around = seed.is_multiple_of(2).then(|| Random::new(seed ^ 0xa10d));
    let mut steps = Vec::new();
    let mut push = |what, random: &mut Random| {
        steps.push(Step {
            number: steps.len(),
            what,
            random: Random::new(random.next_number()),
        });
    };
    for _ in 0..nights {
        push(What::Day, &mut random);
        push(What::Backup, &mut random);
        if let Some(around) = &mut around
            && around.below(2) == 0
        {
            push(AROUND[around.index_below(AROUND.len())], around);
        }
        let more = match random.below(20) {
            0..=4 => What::Restore,
            5..=8 => What::Repair,
            9 | 10 => What::Adopt,
            11 | 12 => What::Prune,
            13 | 14 => What::Delete,
            15 => What::Pin,
            16 => What::Mistake,
            17 => What::Conversion,
            18 => What::Clock,
            _ => continue,
        };
        push(more, &mut random);
    }
    steps
}

/// Leaves out as many steps as can be while what is left still fails: first a half, then what is left of halves.
pub(crate) fn shortest(mut steps: Vec<Step>, fails: &mut dyn FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut length = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + length).min(steps.len()));
            if fails(&fewer) {
                steps = fewer;
            } else {
                at += length;
            }
        }
        if length <= 1 {
            return steps;
        }
        length = length.div_ceil(2);
    }
}

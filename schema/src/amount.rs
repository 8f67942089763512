//! Amounts as people read them, the same in every message.

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes with one digit after the point, as `34.2 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths, rounded; what rounds up to 1024.0 is written in the next unit.
    let tenths = |unit: usize| {
        let size = 1u128 << (10 * (unit + 1));
        (u128::from(bytes) * 10 + size / 2) / size
    };
    let unit = (0..UNITS.len())
        .find(|unit| tenths(*unit) < 10_240)
        .unwrap_or(UNITS.len() - 1);
    let tenths = tenths(unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A count with separated thousands, as `12,345`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, as `1 file` or `12,345 files`.
#[must_use]
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

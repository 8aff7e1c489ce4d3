//! Spans of time as people write them: `500ms`, `30s`, `5m`, `1h`.

use std::time::Duration;

/// Reads a span: a whole number with a unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("give a number with a unit: 500ms, 30s, 5m, 1h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| format!("{number:?} is not a whole number"))?;
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "5", "s", "1.5s", "5 m", "-1s", "5d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

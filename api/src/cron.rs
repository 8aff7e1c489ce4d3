//! Schedules as cron writes them: `*/5 9-17 * * mon-fri`, `@daily`, `@every 90m`.

use std::str::FromStr;

/// When something is to happen, in minutes. A bit for each value that a field may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At the minutes at which all fields agree.
    At(Fields),
    /// Again after so many seconds.
    Every(u64),
}

/// The fields of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Of 0 to 59.
    pub minutes: u64,
    /// Of 0 to 23.
    pub hours: u64,
    /// Of 1 to 31.
    pub days_of_month: u64,
    /// Of 1 to 12.
    pub months: u64,
    /// Of 0, which is Sunday, to 6.
    pub days_of_week: u64,
    /// Whether the day of the month does not matter: then the day of the week alone decides, else either is enough.
    pub any_day_of_month: bool,
    /// Whether the day of the week does not matter.
    pub any_day_of_week: bool,
}

/// The text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

/// The values a field may have, and the names of some.
struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS_OF_MONTH: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS_OF_YEAR: Bounds = Bounds { least: 1, most: 12, names: &MONTHS };
const DAYS_OF_WEEK: Bounds = Bounds { least: 0, most: 6, names: &DAYS };

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        match text {
            "" => Err(ScheduleError("empty spec string".to_owned())),
            "@yearly" | "@annually" => "0 0 1 1 *".parse(),
            "@monthly" => "0 0 1 * *".parse(),
            "@weekly" => "0 0 * * 0".parse(),
            "@daily" | "@midnight" => "0 0 * * *".parse(),
            "@hourly" => "0 * * * *".parse(),
            text => match text.strip_prefix("@every ") {
                Some(duration) => every(text, duration),
                None if text.starts_with('@') => {
                    Err(ScheduleError(format!("unrecognized descriptor: {text}")))
                }
                None => at(text),
            },
        }
    }
}

fn at(text: &str) -> Result<Schedule, ScheduleError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, days_of_month, months, days_of_week] = fields.as_slice() else {
        let (found, shown) = (fields.len(), fields.join(" "));
        return Err(ScheduleError(format!("expected exactly 5 fields, found {found}: [{shown}]")));
    };
    let (minutes, _) = field(minutes, &MINUTES)?;
    let (hours, _) = field(hours, &HOURS)?;
    let (days_of_month, any_day_of_month) = field(days_of_month, &DAYS_OF_MONTH)?;
    let (months, _) = field(months, &MONTHS_OF_YEAR)?;
    let (days_of_week, any_day_of_week) = field(days_of_week, &DAYS_OF_WEEK)?;
    Ok(Schedule::At(Fields {
        minutes,
        hours,
        days_of_month,
        months,
        days_of_week,
        any_day_of_month,
        any_day_of_week,
    }))
}

/// The values that a list of ranges has, and whether they are all there are by intent.
fn field(text: &str, bounds: &Bounds) -> Result<(u64, bool), ScheduleError> {
    let mut bits = 0;
    let mut any = false;
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (more, all) = self::range(range, bounds)?;
        bits |= more;
        any |= all;
    }
    Ok((bits, any))
}

/// `*`, `5`, `1-5`, each with a step or without.
fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), ScheduleError> {
    let wrong = |words: &str| Err(ScheduleError(format!("{words}: {text}")));
    let mut parts = text.split('/');
    let ends: Vec<&str> = parts.next().unwrap_or_default().split('-').collect();
    let is_any = matches!(ends.first(), Some(&"*" | &"?"));
    let (start, mut end) = match ends.as_slice() {
        _ if is_any => (bounds.least, bounds.most),
        [one] => (value(one, bounds)?, value(one, bounds)?),
        [start, end] => (value(start, bounds)?, value(end, bounds)?),
        _ => return wrong("too many hyphens"),
    };
    let step = match (parts.next(), parts.next()) {
        (None, _) => 1,
        (Some(step), None) => {
            if ends.len() == 1 {
                // From there to the end of all.
                end = bounds.most;
            }
            integer(step)?
        }
        (Some(_), Some(_)) => return wrong("too many slashes"),
    };
    let Bounds { least, most, .. } = *bounds;
    if start < least {
        return wrong(&format!("beginning of range ({start}) below minimum ({least})"));
    }
    if end > most {
        return wrong(&format!("end of range ({end}) above maximum ({most})"));
    }
    if start > end {
        return wrong(&format!("beginning of range ({start}) beyond end of range ({end})"));
    }
    if step == 0 {
        return wrong("step of range should be a positive number");
    }
    let chosen = (start..=end).filter(|value| (value - start) % step == 0);
    Ok((chosen.fold(0, |bits, value| bits | 1_u64 << value), is_any && step == 1))
}

/// A number, or the name of one.
fn value(text: &str, bounds: &Bounds) -> Result<u32, ScheduleError> {
    let named = bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named.and_then(|place| u32::try_from(place).ok()) {
        Some(place) => Ok(bounds.least + place),
        None => integer(text),
    }
}

fn integer(text: &str) -> Result<u32, ScheduleError> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => {
            Err(ScheduleError(format!("negative number ({number}) not allowed: {text}")))
        }
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(_) => Err(ScheduleError(format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"
        ))),
    }
}

/// A duration as in `1h30m`, to the second and at least one.
fn every(text: &str, duration: &str) -> Result<Schedule, ScheduleError> {
    let wrong =
        || ScheduleError(format!("failed to parse duration {text}: time: invalid duration {duration:?}"));
    let mut rest = duration;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let units = [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let unit = units.iter().find_map(|(unit, size)| Some((after.strip_prefix(unit)?, size)));
        let (after, size) = unit.ok_or_else(wrong)?;
        seconds += number * size;
        rest = after;
    }
    if duration.is_empty() {
        return Err(wrong());
    }
    Ok(Schedule::Every((seconds as u64).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        match text.parse() {
            Ok(Schedule::At(fields)) => fields,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn schedules_choose_their_minutes() {
        let row = |text: &str, minutes: u64| assert_eq!(fields(text).minutes, minutes, "{text}");
        row("0 * * * *", 1);
        row("*/20 * * * *", 1 | 1 << 20 | 1 << 40);
        row("50/5 * * * *", 1 << 50 | 1 << 55);
        row("1-3,59 * * * *", 0b1110 | 1 << 59);
        row("@hourly", 1);
        row("* * * * *", (1 << 60) - 1);
        let work = fields("0 9-17 ? jan,Mar mon-fri");
        assert_eq!((work.months, work.days_of_week), (1 << 1 | 1 << 3, 0b11_1110));
        assert_eq!((work.any_day_of_month, work.any_day_of_week), (true, false));
        assert_eq!(fields("@weekly"), fields("0 0 * * 0"));
        assert_eq!("@every 1h30m".parse(), Ok(Schedule::Every(5400)));
    }

    #[test]
    fn what_is_no_schedule_is_said_as_in_kubernetes() {
        let row = |text: &str, words: &str| {
            assert_eq!(text.parse::<Schedule>().map_err(|error| error.to_string()), Err(words.to_owned()));
        };
        row("", "empty spec string");
        row("* * * *", "expected exactly 5 fields, found 4: [* * * *]");
        row("@often", "unrecognized descriptor: @often");
        row("60 * * * *", "end of range (60) above maximum (59): 60");
        row("* * 0 * *", "beginning of range (0) below minimum (1): 0");
        row("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1");
        row("1-2-3 * * * *", "too many hyphens: 1-2-3");
        row("1/2/3 * * * *", "too many slashes: 1/2/3");
        row("*/0 * * * *", "step of range should be a positive number: */0");
        row("x * * * *", r#"failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax"#);
        row("@every x", r#"failed to parse duration @every x: time: invalid duration "x""#);
        row("1/-1 * * * *", "negative number (-1) not allowed: -1");
        row("9999999999 * * * *", "end of range (4294967295) above maximum (59): 9999999999");
    }
}

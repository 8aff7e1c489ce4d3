//! Programs that tell of the container and the time: `date`, `id`, `hostname`, `uname`, `pwd`, `printenv`, `sleep`.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::options::Options;
use crate::process::{Failure, Outcome, Process, failure};
use crate::{host, task};

pub async fn pwd(process: &mut Process) -> Outcome {
    let line = format!("{}\n", process.folder);
    process.print(line).await?;
    Ok(0)
}

pub async fn printenv(process: &mut Process) -> Outcome {
    let names = process.args[1..].to_vec();
    let mut code = 0;
    if names.is_empty() {
        let lines: String = process.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        process.print(lines).await?;
    }
    for name in names {
        match process.env.get(&name).cloned() {
            Some(value) => process.print(format!("{value}\n")).await?,
            None => code = 1,
        }
    }
    Ok(code)
}

pub async fn hostname(process: &mut Process) -> Outcome {
    let name = match process.env.get("HOSTNAME") {
        Some(name) => name.clone(),
        None => {
            let file =
                process.open("/etc/hostname").map_err(|_| failure("the container has no host name"))?;
            String::from_utf8_lossy(&file.line().await?.unwrap_or_default()).trim().to_owned()
        }
    };
    process.print(format!("{name}\n")).await?;
    Ok(0)
}

pub async fn whoami(process: &mut Process) -> Outcome {
    process.print("root\n").await?;
    Ok(0)
}

/// There are no users: a guest may do what its mounts let it.
pub async fn id(process: &mut Process) -> Outcome {
    let options = Options::read(process, "ugnG", "", &[])?;
    let line = match () {
        () if options.has('n') => "root\n",
        () if options.has('u') || options.has('g') || options.has('G') => "0\n",
        () => "uid=0(root) gid=0(root) groups=0(root)\n",
    };
    process.print(line).await?;
    Ok(0)
}

pub async fn nproc(process: &mut Process) -> Outcome {
    // An instance has one thread.
    process.print("1\n").await?;
    Ok(0)
}

pub async fn tty(process: &mut Process) -> Outcome {
    let is_terminal = process.stdin.is_terminal();
    process.print(if is_terminal { "/dev/tty\n" } else { "not a tty\n" }).await?;
    Ok(i32::from(!is_terminal))
}

pub async fn uname(process: &mut Process) -> Outcome {
    let options = Options::read(process, "asnrvmpio", "", &[])?;
    let host = process.env.get("HOSTNAME").cloned().unwrap_or_else(|| "localhost".to_owned());
    let all = [('s', "WASI"), ('n', &host), ('r', "0.2"), ('v', "peapod"), ('m', "wasm32"), ('o', "WASI")];
    let wants = |letter| options.has('a') || options.has(letter);
    let mut words: Vec<&str> =
        all.iter().filter(|(letter, _)| wants(*letter)).map(|(_, word)| *word).collect();
    if words.is_empty() {
        words.push("WASI");
    }
    process.print(format!("{}\n", words.join(" "))).await?;
    Ok(0)
}

pub async fn uptime(process: &mut Process) -> Outcome {
    let age = host::processes().first().map_or(0, |first| first.age_seconds);
    let line =
        format!("up {} days, {:02}:{:02}:{:02}\n", age / 86_400, age / 3600 % 24, age / 60 % 60, age % 60);
    process.print(line).await?;
    Ok(0)
}

pub async fn sleep(process: &mut Process) -> Outcome {
    if process.args.len() < 2 {
        return Err(failure("missing operand"));
    }
    let mut nanoseconds: u64 = 0;
    for word in &process.args[1..] {
        nanoseconds = nanoseconds.saturating_add(span(word)?);
    }
    task::sleep(nanoseconds).await;
    Ok(0)
}

/// A span such as `1.5`, `10s`, `2m`, in nanoseconds.
pub fn span(word: &str) -> Result<u64, Failure> {
    let invalid = || failure(format!("invalid number '{word}'"));
    if word == "infinity" || word == "inf" {
        return Ok(u64::MAX);
    }
    let digits = word.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match &word[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(invalid()),
    };
    let count: f64 = digits.parse().map_err(|_| invalid())?;
    if count >= 0.0 { Ok((count * unit * 1e9) as u64) } else { Err(invalid()) }
}

pub async fn date(process: &mut Process) -> Outcome {
    let options = Options::read(process, "uR", "d", &[("utc", 'u'), ("date", 'd')])?;
    let seconds = match options.value('d') {
        Some(text) => text
            .strip_prefix('@')
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(|| failure(format!("invalid date '{text}': give @SECONDS")))?,
        None => seconds_since_epoch(SystemTime::now()),
    };
    let format = match options.rest.first() {
        Some(word) => word.strip_prefix('+').ok_or_else(|| failure("the time cannot be set here"))?,
        None if options.has('R') => "%a, %d %b %Y %H:%M:%S +0000",
        None => "%a %b %e %H:%M:%S UTC %Y",
    };
    let line = format!("{}\n", Time::at(seconds).format(format));
    process.print(line).await?;
    Ok(0)
}

/// Whole seconds since 1970, also before it.
pub fn seconds_since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

/// A time in UTC, the only zone known here.
pub struct Time {
    seconds: i64,
    year: i64,
    month: usize,
    day: i64,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Time {
    /// The time so many seconds after 1970 began.
    pub fn at(seconds: i64) -> Self {
        // Days are counted from the first of March of a year that 400 divides.
        let days = seconds.div_euclid(86_400) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { seconds, year, month: month as usize, day }
    }

    fn day_of_year(&self) -> i64 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        before[self.month - 1] + self.day + i64::from(leap && self.month > 2)
    }

    /// The time as a format says.
    pub fn format(&self, format: &str) -> String {
        let of_day = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let weekday = (self.seconds.div_euclid(86_400) + 4).rem_euclid(7) as usize;
        let mut output = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                output.push(c);
                continue;
            }
            let part = match chars.next() {
                Some('Y') => self.year.to_string(),
                Some('y') => format!("{:02}", self.year.rem_euclid(100)),
                Some('m') => format!("{:02}", self.month),
                Some('d') => format!("{:02}", self.day),
                Some('e') => format!("{:2}", self.day),
                Some('H') => format!("{hour:02}"),
                Some('I') => format!("{:02}", (hour + 11) % 12 + 1),
                Some('M') => format!("{minute:02}"),
                Some('S') => format!("{second:02}"),
                Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
                Some('j') => format!("{:03}", self.day_of_year()),
                Some('s') => self.seconds.to_string(),
                Some('N') => "000000000".to_owned(),
                Some('u') => if weekday == 0 { 7 } else { weekday }.to_string(),
                Some('w') => weekday.to_string(),
                Some('a') => DAYS[weekday][..3].to_owned(),
                Some('A') => DAYS[weekday].to_owned(),
                Some('b' | 'h') => MONTHS[self.month - 1][..3].to_owned(),
                Some('B') => MONTHS[self.month - 1].to_owned(),
                Some('F') => self.format("%Y-%m-%d"),
                Some('T') => self.format("%H:%M:%S"),
                Some('R') => self.format("%H:%M"),
                Some('D') => self.format("%m/%d/%y"),
                Some('c') => self.format("%a %b %e %H:%M:%S %Y"),
                Some('Z') => "UTC".to_owned(),
                Some('z') => "+0000".to_owned(),
                Some('n') => "\n".to_owned(),
                Some('t') => "\t".to_owned(),
                Some('%') => "%".to_owned(),
                Some(other) => format!("%{other}"),
                None => "%".to_owned(),
            };
            output.push_str(&part);
        }
        output
    }
}

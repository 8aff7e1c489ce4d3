//! The formats of texts that schemas can ask for; those that are not known allow everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::Date;

/// Whether a text has a format.
pub fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => is_date_time(text),
        "date" => text.len() == 10 && text.parse::<Date>().is_ok(),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_network(text),
        "mac" => is_mac(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some('3')),
        "uuid4" => is_uuid(text, Some('4')),
        "uuid5" => is_uuid(text, Some('5')),
        "byte" => is_base64(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "uri" => is_uri(text),
        "hexcolor" => is_hex_color(text),
        "bsonobjectid" => text.len() == 24 && is_hex(text),
        "creditcard" => is_card(text),
        "rgbcolor" => is_rgb(text),
        "isbn" | "isbn10" | "isbn13" | "ssn" => is_numbered(format, text),
        _ => true,
    }
}

/// Kubernetes refuses the names of formats it does not know only from its own types; in schemas they are notes.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_form = bytes.len() >= 20 && bytes[4] == b'-' && matches!(bytes[10], b'T' | b't' | b' ');
    has_form && text.replacen(['t', ' '], "T", 1).parse::<Timestamp>().is_ok()
}

/// `1h30m`, `1.5s`, `300ms`; also `3 days`, as the library that Kubernetes uses takes it.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 8] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
    const WORDS: [&str; 14] = [
        "nanosecond",
        "nanoseconds",
        "microsecond",
        "microseconds",
        "millisecond",
        "milliseconds",
        "second",
        "seconds",
        "minute",
        "minutes",
        "hour",
        "hours",
        "day",
        "days",
    ];
    if text == "0" {
        return true;
    }
    if let Some((count, unit)) = text.split_once(' ') {
        return count.parse::<u64>().is_ok()
            && (WORDS.contains(&unit) || ["week", "weeks", "d", "w"].contains(&unit));
    }
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (count, after) = rest.split_at(digits);
        let unit_end =
            after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if count.parse::<f64>().is_err() || !(UNITS.contains(&unit) || ["d", "w"].contains(&unit)) {
            return false;
        }
        rest = after;
    }
    true
}

fn is_network(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    [6, 8, 20].contains(&parts.len()) && parts.iter().all(|part| part.len() == 2 && is_hex(part))
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    digits.len() == 32
        && is_hex(&digits)
        && version.is_none_or(|version| digits.chars().nth(12) == Some(version))
}

fn is_base64(text: &str) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    !text.is_empty() && STANDARD.decode(text.replace(['\r', '\n'], "")).is_ok()
}

fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_plain = |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter);
    !user.is_empty() && user.chars().all(is_plain) && !host.is_empty() && !host.contains(['@', ' '])
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let allowed = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_uri(text: &str) -> bool {
    if text.starts_with('/') {
        return !text.contains(char::is_control);
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(allowed)
        && !rest.is_empty()
        && !rest.contains(|letter: char| letter.is_control() || letter == ' ')
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    [3, 6].contains(&digits.len()) && is_hex(digits)
}

fn is_rgb(text: &str) -> bool {
    let inner = text.strip_prefix("rgb(").and_then(|text| text.strip_suffix(')'));
    inner.is_some_and(|inner| {
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
    })
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Digits whose check digit is right by the rule of Luhn.
fn is_card(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text
        .chars()
        .filter(|letter| ![' ', '-'].contains(letter))
        .map(|letter| letter.to_digit(10))
        .collect();
    let Some(digits) = digits.filter(|digits| (13..=19).contains(&digits.len())) else {
        return false;
    };
    let doubled = |(position, digit): (usize, &u32)| match position % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

fn is_numbered(format: &str, text: &str) -> bool {
    let bare: Vec<char> = text.chars().filter(|letter| ![' ', '-'].contains(letter)).collect();
    let weighted = |weight: fn(usize) -> u32| -> Option<u32> {
        let digit = |(position, letter): (usize, &char)| match letter {
            'X' if position == 9 => Some(10 * weight(position)),
            letter => Some(letter.to_digit(10)? * weight(position)),
        };
        bare.iter().enumerate().map(digit).sum()
    };
    let is_ten = || bare.len() == 10 && weighted(|at| 10 - at as u32).is_some_and(|sum| sum % 11 == 0);
    let is_thirteen = || {
        bare.len() == 13 && weighted(|at| if at % 2 == 0 { 1 } else { 3 }).is_some_and(|sum| sum % 10 == 0)
    };
    match format {
        "isbn10" => is_ten(),
        "isbn13" => is_thirteen(),
        "isbn" => is_ten() || is_thirteen(),
        _ => {
            let parts: Vec<usize> = text.split(['-', ' ']).map(str::len).collect();
            parts == [3, 2, 4] && bare.iter().all(char::is_ascii_digit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_formats_or_not() {
        let row = |format: &str, good: &[&str], bad: &[&str]| {
            good.iter().for_each(|text| assert!(fits(format, text), "{format} {text}"));
            bad.iter().for_each(|text| assert!(!fits(format, text), "{format} {text}"));
        };
        row(
            "date-time",
            &["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+01:00"],
            &["2026-01-01", "now", ""],
        );
        row("date", &["2026-02-28"], &["2026-02-30", "2026-2-1"]);
        row("duration", &["1h30m", "1.5s", "300ms", "0", "3 days"], &["", "1", "h", "1x", "."]);
        row("ipv4", &["10.0.0.1"], &["10.0.0", "::1"]);
        row("ipv6", &["::1"], &["10.0.0.1"]);
        row("cidr", &["10.0.0.0/8", "fd00::/64"], &["10.0.0.0", "10.0.0.0/33"]);
        row("mac", &["00:00:5e:00:53:01", "00-00-5e-00-53-01"], &["00:00:5e"]);
        row("uuid", &["0f5a3d1c-1111-4222-8333-444455556666"], &["0f5a"]);
        row("uuid4", &["0f5a3d1c-1111-4222-8333-444455556666"], &["0f5a3d1c-1111-3222-8333-444455556666"]);
        row("byte", &["YQ=="], &["a", ""]);
        row("email", &["a@example.com"], &["example.com", "@x"]);
        row("hostname", &["example.com", "a"], &["-a", "a..b", ""]);
        row("uri", &["https://example.com/a", "/a"], &["example", "a b:c", ":x"]);
        row("hexcolor", &["#fff", "a0b1c2"], &["#ff"]);
        row("rgbcolor", &["rgb(1, 2,3)"], &["rgb(1,2)", "rgb(1,2,300)"]);
        row("creditcard", &["4111 1111 1111 1111"], &["4111 1111 1111 1112", "4"]);
        row("isbn", &["0-306-40615-2", "978-0-306-40615-7"], &["0-306-40615-3", "1"]);
        row("ssn", &["078-05-1120"], &["078051120"]);
        row("unheard-of", &["x", ""], &[]);
    }
}

//! The parameters of a request, as its URL has them.

use std::str::FromStr;
use std::time::Duration;

use api::Status;

/// Names and values, decoded, in the order they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        });
        Self(decoded.collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of a parameter, unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A switch: whatever is neither `false` nor `0` turns it on.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// Whether a switch is there and on.
    pub fn is_on(&self, name: &str) -> bool {
        self.switch(name).unwrap_or(false)
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let wrong = |_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        i64::from_str(text).map(Some).map_err(wrong)
    }

    /// How long the client wants to wait at most.
    pub fn timeout(&self) -> Result<Option<Duration>, Status> {
        let Some(text) = self.text("timeout") else {
            return Ok(None);
        };
        let wrong = || {
            let words =
                format!("invalid timeout specified in the request URL - time: invalid duration {text:?}");
            Status::bad_request(words)
        };
        duration(text).map(Some).ok_or_else(wrong)
    }
}

/// A span of time such as `1m30s` or `500ms`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

/// Text with its `%` escapes undone. What is no escape stays as it is, what is no UTF-8 becomes the replacement character.
pub(super) fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if plus_is_space && *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Text that can stand in a path or as a value of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(Some("a=1%2C2&b=x+y&a=3&on&off=false&none=&broken=%zz%4"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1,2", "3"]);
        assert_eq!(query.get("b"), Some("x y"));
        assert_eq!(
            (query.switch("on"), query.switch("off"), query.switch("else")),
            (Some(true), Some(false), None)
        );
        assert_eq!((query.get("none"), query.text("none")), (Some(""), None));
        assert_eq!(query.get("broken"), Some("%zz%4"));
        assert_eq!(
            query.integer("a").unwrap_err().to_string(),
            r#"strconv.ParseInt: parsing "1,2": invalid syntax"#
        );
        assert_eq!(decode(&encode("a b/ü?"), false), "a b/ü?");
    }

    #[test]
    fn timeouts_are_durations_of_go() {
        let row = |text: &str, expected: Option<u64>| {
            let found = Query::parse(Some(&format!("timeout={text}"))).timeout().unwrap_or(None);
            assert_eq!(found, expected.map(Duration::from_millis), "{text}");
        };
        row("32s", Some(32_000));
        row("1m30s", Some(90_000));
        row("1.5s", Some(1_500));
        row("250ms", Some(250));
        row("0", Some(0));
        row("12", None);
        row("s", None);
        row("1x", None);
    }
}

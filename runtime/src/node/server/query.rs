//! The part of a URL behind its question mark.

use http::StatusCode;

use super::Refusal;

/// Names and values, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The first value of that name, if it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of that name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// The value of that name in the form it must have.
    pub(super) fn read<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let read = |text: &str| {
            let words = format!("invalid value for {name}: {text:?}");
            text.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, words))
        };
        self.get(name).map(read).transpose()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match (first, escaped) {
            (b'%', Some(byte)) => (&after[2..], bytes.push(byte)),
            (b'+', _) => (after, bytes.push(b' ')),
            _ => (after, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query =
            Query::parse("follow=true&sinceTime=2026-01-01T00%3A00%3A00%2B01:00&tailLines=x&a=b+c%zz");
        assert!(query.is_on("follow") && !query.is_on("previous"));
        assert_eq!(query.get("sinceTime"), Some("2026-01-01T00:00:00+01:00"));
        assert_eq!(query.get("a"), Some("b c%zz"));
        let refusal = query.read::<u64>("tailLines").expect_err("a refusal");
        assert_eq!(refusal.words, "invalid value for tailLines: \"x\"");
    }
}

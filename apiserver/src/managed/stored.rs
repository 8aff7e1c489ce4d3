//! The owners of fields within the bytes of a stored object, found without reading the object.

use std::borrow::Cow;

use super::entries;

/// How the owners begin, and what follows them. `store::Draft` writes an object so: nothing comes after its metadata, and
/// in that nothing but the revision comes after the owners. Quotes within a string are escaped, so this is no string.
const BEGIN: &str = "\"managedFields\":[";
const REVISION: &str = ",\"resourceVersion\":\"";

/// The owners of the fields of an object.
pub struct Stored<'a> {
    /// Their text.
    pub text: &'a str,
    /// The object without them.
    pub without: Cow<'a, [u8]>,
}

/// Finds the owners in an object as it is stored; none if it has none.
pub fn stored(json: &[u8]) -> Option<Stored<'_>> {
    let (start, end) = place(json)?;
    let text = std::str::from_utf8(json.get(start + BEGIN.len() - 1..end)?).ok()?;
    let without = [json.get(..start)?, json.get(end + 1..)?].concat();
    Some(Stored { text, without: without.into() })
}

/// The text of the owners in an object as it is stored; empty if it has none.
pub fn text(json: &[u8]) -> &str {
    let found = place(json).and_then(|(start, end)| json.get(start + BEGIN.len() - 1..end));
    found.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// Where the owners begin, with their name, and end.
fn place(json: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(json).ok()?;
    let head = text.strip_suffix("\"}}")?.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let head = head.strip_suffix(REVISION)?;
    if !head.ends_with(']') {
        return None;
    }
    let start = head.rfind(BEGIN)?;
    // A list of this name elsewhere in the object is not followed by the end of the metadata.
    entries::parse(&head[start + BEGIN.len() - 1..])?;
    Some((start, head.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_found_where_they_are_stored() {
        let entry = r#"[{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}},"manager":"m","operation":"Update"}]"#;
        let row = |json: String, without: Option<&str>| {
            let found = stored(json.as_bytes());
            let found = found.map(|stored| {
                assert_eq!((stored.text, text(json.as_bytes())), (entry, entry));
                String::from_utf8_lossy(&stored.without).into_owned()
            });
            assert_eq!(found.as_deref(), without, "{json}");
        };
        let end = r#""resourceVersion":"12"}}"#;
        row(
            format!(r#"{{"kind":"X","metadata":{{"name":"n","managedFields":{entry},{end}"#),
            Some(r#"{"kind":"X","metadata":{"name":"n","resourceVersion":"12"}}"#),
        );
        row(format!(r#"{{"kind":"X","metadata":{{"name":"n",{end}"#), None);
        row(format!(r#"{{"spec":{{"managedFields":{entry}}},"metadata":{{"finalizers":["a"],{end}"#), None);
        row(format!(r#"{{"metadata":{{"managedFields":[1],{end}"#), None);
        row(r#"{"metadata":{"name":"n"}}"#.to_owned(), None);
        row(String::new(), None);
    }
}

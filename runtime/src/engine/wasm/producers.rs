//! What made a component, as its own `producers` section tells (tool conventions of WebAssembly, ProducersSection).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// Sections longer than this tell nothing that is read here.
const LONGEST_SECTION: u64 = 64 << 10;
/// The magic and the version before the first section.
const PREAMBLE_BYTES: i64 = 8;
/// The number of sections that anybody can name.
const CUSTOM_SECTION: u8 = 0;

/// Whether the instances of a component can serve one request each and no more. That holds for JavaScript:
/// StarlingMonkey, on which componentize-js builds, has one fetch event in its life.
///
/// A file that cannot be read this far is taken for one that can: what is wrong with it shows when it is compiled.
pub(super) fn serves_once(component: &Path) -> bool {
    File::open(component)
        .and_then(|file| languages(&mut BufReader::new(file)))
        .is_ok_and(|languages| languages.iter().any(|language| language == "JavaScript"))
}

/// The languages named by the `producers` section of the outermost component, if it has one.
fn languages(file: &mut (impl Read + Seek)) -> io::Result<Vec<String>> {
    file.seek_relative(PREAMBLE_BYTES)?;
    while let Some(id) = byte(file)? {
        let size = number(file)?;
        if id != CUSTOM_SECTION || size > LONGEST_SECTION {
            file.seek_relative(i64::from(u32::try_from(size).map_err(io::Error::other)?))?;
            continue;
        }
        let mut section = vec![0; size as usize];
        file.read_exact(&mut section)?;
        let mut section = section.as_slice();
        if text(&mut section)? == "producers" {
            return fields(&mut section);
        }
    }
    Ok(Vec::new())
}

/// The values of the field `language` of a producers section.
fn fields(section: &mut &[u8]) -> io::Result<Vec<String>> {
    let mut languages = Vec::new();
    for _ in 0..number(section)? {
        let field = text(section)?;
        for _ in 0..number(section)? {
            let (value, _version) = (text(section)?, text(section)?);
            if field == "language" {
                languages.push(value);
            }
        }
    }
    Ok(languages)
}

fn text(section: &mut &[u8]) -> io::Result<String> {
    let length = number(section)?;
    let mut text = String::new();
    section.take(length).read_to_string(&mut text)?;
    if text.len() as u64 == length { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// An unsigned number of at most 32 bits in LEB128.
fn number(file: &mut impl Read) -> io::Result<u64> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = byte(file)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn byte(file: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match file.read_exact(&mut byte) {
        Ok(()) => Ok(Some(byte[0])),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A component whose first section is one of a module's size, with a `producers` section behind it.
    fn component(language: &str) -> Vec<u8> {
        let named = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let fields =
            [&[2][..], &named("language"), &[1], &named(language), &named(""), &named("processed-by"), &[0]];
        let producers = [named("producers"), fields.concat()].concat();
        let other = [&[1, 0x80, 0x02][..], &[9; 256]].concat();
        [b"\0asm\x0d\0\x01\0", &other[..], &[0, producers.len() as u8], &producers].concat()
    }

    #[test]
    fn the_language_is_found_behind_other_sections() {
        let check = |bytes: &[u8], expected: Option<&[&str]>| {
            let found = languages(&mut Cursor::new(bytes)).ok();
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(found, expected);
        };
        check(&component("JavaScript"), Some(&["JavaScript"]));
        check(&component("Rust"), Some(&["Rust"]));
        check(b"\0asm\x0d\0\x01\0", Some(&[]));
        let whole = component("JavaScript");
        check(&whole[..whole.len() - 1], None);
        check(&[&whole[..8], &[0, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(), None);
    }

    #[test]
    fn what_cannot_be_read_may_serve_again() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!serves_once(&folder.path().join("none")));
        let file = folder.path().join("js");
        std::fs::write(&file, component("JavaScript")).expect("written");
        assert!(serves_once(&file));
    }
}

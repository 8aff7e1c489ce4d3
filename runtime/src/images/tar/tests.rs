//! Archives in all their forms, and such as are none.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::testing::{Tar, header};
use super::*;

/// Each entry as `kind path content`, or what is wrong with the archive.
fn read(archive: &[u8]) -> Result<Vec<String>, String> {
    let mut archive = Archive::new(archive);
    let mut entries = Vec::new();
    while let Some(entry) = archive.next_entry().map_err(|error| error.to_string())? {
        let mut content = String::new();
        archive.read_to_string(&mut content).map_err(|error| error.to_string())?;
        let kind = match entry.kind {
            Kind::File => "file".to_owned(),
            Kind::Directory => "folder".to_owned(),
            Kind::Symlink(target) => format!("link to {}", target.display()),
            Kind::HardLink(target) => format!("same as {}", target.display()),
            Kind::Special(what) => what.to_owned(),
        };
        entries.push(format!("{kind} {} {content}", entry.path.display()).trim_end().to_owned());
    }
    Ok(entries)
}

#[test]
fn entries_of_each_kind_are_read() {
    let archive = Tar::default()
        .folder("a/")
        .file("a/b", b"hello")
        .file("empty", b"")
        .symlink("c", "a/b")
        .hard_link("d", "a/b")
        .entry(b'3', "null", "", b"")
        .entry(0, "old/", "", b"")
        .finish();
    let expected = [
        "folder a/",
        "file a/b hello",
        "file empty",
        "link to a/b c",
        "same as a/b d",
        "device null",
        "folder old/",
    ];
    assert_eq!(read(&archive).unwrap(), expected);
    assert_eq!(read(b"").unwrap(), [""; 0]);
}

#[test]
fn long_names_come_in_three_forms() {
    let long = "x/".repeat(100) + "end";
    let prefixed = {
        let mut block = header(b'0', "end", "", 0);
        block[345..500][..4].copy_from_slice(b"deep");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum::<u32>()
            - block[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
            + 8 * 32;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    };
    let archive = Tar::default()
        .entry(b'L', "././@LongLink", "", format!("{long}\0").as_bytes())
        .file("cut", b"1")
        .pax(&[("path", &long), ("mtime", "12.5"), ("uid", "0")])
        .file("cut", b"2")
        .entry(b'K', "././@LongLink", "", long.as_bytes())
        .symlink("link", "cut")
        .raw(&prefixed)
        .finish();
    let expected = [
        format!("file {long} 1"),
        format!("file {long} 2"),
        format!("link to {long} link"),
        "file deep/end".to_owned(),
    ];
    assert_eq!(read(&archive).unwrap(), expected);
    let mut archive = Archive::new(&archive[..]);
    let times: Vec<i64> =
        std::iter::from_fn(|| archive.next_entry().unwrap()).map(|entry| entry.modified).collect();
    assert_eq!(times, [100, 12, 100, 100]);
}

#[test]
fn what_is_damaged_is_refused() {
    let check = |archive: &[u8], expected: &str| {
        assert_eq!(read(archive).unwrap_err(), format!("the tar archive is damaged: {expected}"));
    };
    let whole = Tar::default().file("a", &[b'x'; 600]).finish();
    check(&whole[..100], "it ends within a header");
    check(&whole[..700], "it ends within an entry");
    let mut flipped = whole.clone();
    flipped[3] ^= 1;
    check(&flipped, "a header does not fit its checksum");
    check(b"PK\x03\x04".repeat(200).as_slice(), "a header holds no octal number where one should be");
    let long = vec![b'x'; 70_000];
    check(
        &Tar::default().entry(b'L', "", "", &long).finish(),
        "the description of an entry is longer than 64 KiB",
    );
    check(
        &Tar::default().raw(&header(b'x', "", "", u64::pow(8, 11) - 1)).finish(),
        "the description of an entry is longer than 64 KiB",
    );
    check(&Tar::default().entry(b'x', "", "", b"99 path=a\n").finish(), "a pax record has no valid length");
    check(&Tar::default().entry(b'x', "", "", b"1 path=a\n").finish(), "a pax record is empty");
    check(&Tar::default().pax(&[("size", "-1")]).finish(), "a pax record has no valid size");
    check(
        &Tar::default().pax(&[("size", "18446744073709551615")]).file("a", b"x").finish(),
        "it ends within an entry",
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read(&bytes);
    }

    #[test]
    fn an_archive_with_any_bytes_changed_is_read_or_refused(
        at in 0_usize..6000, bytes in prop::collection::vec(any::<u8>(), 1..20)
    ) {
        let archive = Tar::default().pax(&[("path", "long")]).file("a", b"hello").symlink("b", "a").folder("c");
        let mut archive = archive.finish();
        let at = at % archive.len();
        for (byte, changed) in archive[at..].iter_mut().zip(bytes) {
            *byte = changed;
        }
        let _ = read(&archive);
    }
}

//! Layers as they should be, and as somebody builds them who wants out.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::super::tar::testing::Tar;
use super::*;

const SMALL: Budget = Budget { bytes: 1 << 20, entries: 100 };

/// A folder with a secret beside the root that is filled.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn unpack(&self, layers: &[Vec<u8>]) -> Result<(), String> {
        let paths = layers.iter().enumerate().map(|(index, layer)| {
            let path = self.folder.path().join(format!("layer-{index}"));
            fs::write(&path, layer).unwrap();
            path
        });
        let paths: Vec<PathBuf> = paths.collect();
        unpack(&paths, &[], &self.root(), SMALL).map_err(|error| error.to_string())
    }

    /// Each file as `path=content`, each link as `path->target`, each folder as `path/`.
    fn shown(&self) -> Vec<String> {
        let mut shown = Vec::new();
        show(&self.root(), Path::new(""), &mut shown);
        shown.sort();
        shown
    }
}

fn show(folder: &Path, within: &Path, shown: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = within.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            shown.push(format!("{}/", path.display()));
            show(&entry.path(), &path, shown);
        } else if kind.is_symlink() {
            shown.push(format!("{}->{}", path.display(), fs::read_link(entry.path()).unwrap().display()));
        } else {
            shown.push(format!("{}={}", path.display(), fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[test]
fn layers_lie_above_each_other() {
    let check = |layers: &[Tar], expected: &[&str]| {
        let place = Place::new();
        let layers: Vec<Vec<u8>> = layers.iter().cloned().map(Tar::finish).collect();
        place.unpack(&layers).unwrap();
        assert_eq!(place.shown(), expected);
    };
    let base = || Tar::default().folder("d/").file("d/a", b"1").file("d/b", b"2").file("c", b"3");
    check(&[base()], &["c=3", "d/", "d/a=1", "d/b=2"]);
    check(&[base(), Tar::default().file("d/a", b"new")], &["c=3", "d/", "d/a=new", "d/b=2"]);
    check(&[base(), Tar::default().file("d/.wh.a", b"").file(".wh.c", b"")], &["d/", "d/b=2"]);
    check(&[base(), Tar::default().file(".wh.d", b"").file(".wh.none", b"").file("x/.wh.y", b"")], &["c=3"]);
    check(
        &[base(), Tar::default().file("d/x", b"4").file("d/.wh..wh..opq", b"").file("d/.wh..wh.plnk", b"")],
        &["c=3", "d/", "d/x=4"],
    );
    check(&[base(), Tar::default().file("d", b"a file now")], &["c=3", "d=a file now"]);
    check(&[base(), Tar::default().folder("c").file("c/x", b"4")], &["c/", "c/x=4", "d/", "d/a=1", "d/b=2"]);
    check(
        &[Tar::default().file("made/on/the/way", b"x")],
        &["made/", "made/on/", "made/on/the/", "made/on/the/way=x"],
    );
    check(&[Tar::default().file("/etc/hosts", b"x").file("./e", b"y")], &["e=y", "etc/", "etc/hosts=x"]);
    check(
        &[base(), Tar::default().hard_link("e", "d/a").hard_link("d/a", "d/a")],
        &["c=3", "d/", "d/a=1", "d/b=2", "e=1"],
    );
    check(
        &[
            base(),
            Tar::default()
                .symlink("l", "d")
                .file("l/x", b"through")
                .symlink("m/n", "/d/a")
                .symlink("up", "/"),
        ],
        &["c=3", "d/", "d/a=1", "d/b=2", "d/x=through", "l->d", "m/", "m/n->../d/a", "up->."],
    );
}

#[test]
fn modes_and_times_are_kept_but_nobody_gets_more_rights() {
    let place = Place::new();
    place.unpack(&[Tar::default().file("a", b"1").finish()]).unwrap();
    let metadata = fs::metadata(place.root().join("a")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
    assert_eq!(metadata.modified().unwrap(), std::time::UNIX_EPOCH + std::time::Duration::from_secs(100));
}

#[test]
fn nothing_leads_out_of_the_root() {
    let check = |layers: &[Tar], expected: Result<&[&str], &str>| {
        let place = Place::new();
        let layers: Vec<Vec<u8>> = layers.iter().cloned().map(Tar::finish).collect();
        let unpacked = place.unpack(&layers).map(|()| place.shown());
        let expected = expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(unpacked, expected.map_err(str::to_owned));
        assert_eq!(fs::read_to_string(place.folder.path().join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 2 + layers.len());
    };
    let tar = Tar::default;
    check(&[tar().file("../secret", b"x")], Err("\"../secret\" leads out of the image's root"));
    check(&[tar().file("a/../../secret", b"x")], Err("\"a/../../secret\" leads out of the image's root"));
    check(
        &[tar().file("a", b""), tar().file("../.wh.secret", b"")],
        Err("\"../.wh.secret\" leads out of the image's root"),
    );
    check(&[tar().file("/secret", b"inside")], Ok(&["secret=inside"]));
    // Links are as if the root were the whole disk.
    check(&[tar().symlink("up", "..").file("up/secret", b"x")], Ok(&["secret=x", "up->.."]));
    check(&[tar().symlink("l", "../secret").file("l", b"x")], Ok(&["l=x"]));
    check(&[tar().symlink("up", ".."), tar().file("up/.wh.secret", b"")], Ok(&["up->.."]));
    check(&[tar().symlink("up", ".."), tar().file("up/.wh..wh..opq", b"")], Ok(&[]));
    check(&[tar().hard_link("h", "../secret")], Err("\"../secret\" leads out of the image's root"));
    let absent = "\"h\" is a hard link to a file that the image does not have";
    check(&[tar().symlink("up", "..").hard_link("h", "up/secret")], Err(absent));
    check(&[tar().hard_link("h", "/etc/passwd")], Err(absent));
    let other = "\"h\" is a hard link to something else than a file";
    check(&[tar().symlink("l", "../secret").hard_link("h", "l")], Err(other));
    check(&[tar().folder("d").hard_link("h", "d")], Err(other));
    check(
        &[tar().entry(b'3', "dev/sda", "", b"")],
        Err("\"dev/sda\" is a device, which no image for WebAssembly needs"),
    );
    check(
        &[tar().entry(b'6', "pipe", "", b"")],
        Err("\"pipe\" is a named pipe, which no image for WebAssembly needs"),
    );
    check(&[tar().file("", b"x")], Err("\"\" has no name"));
}

#[test]
fn more_than_is_allowed_is_not_unpacked() {
    let place = Place::new();
    let refused = "its layers unpack to more than 1048576 bytes or 100 files";
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&Tar::default().file("zeros", &vec![0; 2 << 20]).finish()).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 10_000);
    assert_eq!(place.unpack(&[bomb]).unwrap_err(), refused);
    let mut many = Tar::default();
    for index in 0..101 {
        many = many.file(&index.to_string(), b"");
    }
    assert_eq!(Place::new().unpack(&[many.finish()]).unwrap_err(), refused);
    // Together, also if each layer alone would do, and before any of what is too much is written.
    let half = || Tar::default().file("half", &vec![0; 600_000]).finish();
    assert_eq!(Place::new().unpack(&[half(), half()]).unwrap_err(), refused);
    assert!(Place::new().unpack(&[half()]).is_ok());
}

#[test]
fn a_damaged_layer_says_so() {
    let check = |layer: &[u8], expected: &str| {
        let refused = Place::new().unpack(&[layer.to_vec()]).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    };
    check(b"hello", "the tar archive is damaged");
    check(&[0x1f, 0x8b, 8, 0, 1, 2, 3], "the gzip data is damaged");
    check(&[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3], "the zstd data is damaged");
}

fn entries() -> impl Strategy<Value = Vec<(u8, String, String)>> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "b/a",
        "..",
        "../secret",
        "/",
        "/a",
        "a/..",
        ".",
        ".wh.a",
        "a/.wh..wh..opq",
        "a/.wh.b",
        "",
    ]);
    let flag = prop::sample::select(b"01256\0".to_vec());
    prop::collection::vec((flag, name.clone(), name), 0..12).prop_map(|entries| {
        entries.into_iter().map(|(flag, path, link)| (flag, path.to_owned(), link.to_owned())).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_layers_hold_nothing_outside_changes(layers in prop::collection::vec(entries(), 1..4)) {
        let place = Place::new();
        let layers: Vec<Vec<u8>> = layers.iter().map(|entries| {
            let add = |tar: Tar, (flag, path, link): &(u8, String, String)| tar.entry(*flag, path, link, b"");
            entries.iter().fold(Tar::default(), add).finish()
        }).collect();
        let _ = place.unpack(&layers);
        prop_assert_eq!(fs::read_to_string(place.folder.path().join("secret")).unwrap(), "secret");
        prop_assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 2 + layers.len());
    }
}

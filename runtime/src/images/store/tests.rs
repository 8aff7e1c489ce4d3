//! What the store keeps, and for how long.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use super::*;

const MODULE_FILE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT_FILE: &[u8] = b"\0asm\x0d\0\x01\0";

fn store() -> (TempDir, ImageStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path().join("images")).unwrap();
    (folder, store)
}

fn named(name: &str) -> Reference {
    Reference::local(name).unwrap()
}

/// A time so many seconds into the life of a store.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// A name of an image that a registry has.
fn elsewhere(name: &str) -> Reference {
    format!("reg.io/{name}").parse().unwrap()
}

fn names(store: &ImageStore) -> Vec<String> {
    store.list().iter().map(|image| image.reference.short_name().to_owned()).collect()
}

#[test]
fn an_imported_image_is_found_by_name_and_digest_also_by_another_process() {
    let (folder, store) = store();
    let image = store.import_bytes(MODULE_FILE, &named("hello:1")).unwrap();
    assert_eq!((image.kind, image.size_bytes), (ImageKind::Module, 8));
    assert_eq!(image.config.entrypoint, ["hello"]);
    assert_eq!(fs::read(&image.path).unwrap(), MODULE_FILE);

    let other = ImageStore::open(folder.path().join("images")).unwrap();
    assert_eq!(other.find(&named("hello:1")), Some(image.clone()));
    assert_eq!((other.find(&named("hello:2")), other.count()), (None, 1));
    let later = store.import_bytes(COMPONENT_FILE, &named("hello:2")).unwrap();
    assert_eq!((other.find(&named("hello:2")), other.count()), (Some(later), 2));
    let by_digest: Reference = format!("localhost/hello@{}", image.digest).parse().unwrap();
    assert_eq!(other.find(&by_digest), Some(image.clone()));
    let elsewhere: Reference = format!("localhost/other@{}", image.digest).parse().unwrap();
    assert_eq!(other.find(&elsewhere), None);
}

#[test]
fn a_name_imported_again_names_the_new_content() {
    let (_folder, store) = store();
    store.import_bytes(MODULE_FILE, &named("b")).unwrap();
    let second = store.import_bytes(COMPONENT_FILE, &named("b")).unwrap();
    let first = store.import_bytes(COMPONENT_FILE, &named("a")).unwrap();
    assert_eq!(second.kind, ImageKind::Component);
    assert_eq!(first.path, second.path);
    assert_eq!(store.list(), [first, second]);
}

#[test]
fn what_is_not_wasm_is_refused_with_what_it_is() {
    let (folder, store) = store();
    let check = |content: &[u8], expected: &str| {
        let path = folder.path().join("app.txt");
        fs::write(&path, content).unwrap();
        let refused = store.import_file(&path, &named("app")).unwrap_err().to_string();
        let expected = format!(
            "app.txt is not a WebAssembly module or component: {expected}; give the binary .wasm file that a compiler built"
        );
        assert_eq!(refused, expected);
    };
    check(b"hello\nworld, how are you", "it starts with \"hello\\nworld, how\"");
    check(b"", "it is empty");
    check(b"\x7fELF\x02", "it is a native program (ELF)");
    check(b"\n(module)", "it is WebAssembly text");
    check(
        b"\0asm\x02\0\0\0",
        "its version is [02, 00, 00, 00], which is neither a module's nor a component's",
    );
    assert_eq!(store.list(), []);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let (folder, store) = store();
    let path = folder.path().join("none.wasm");
    let refused = store.import_file(&path, &named("app")).unwrap_err();
    assert_eq!(refused.to_string(), format!("read {}", path.display()));
}

#[test]
fn images_longest_unused_go_first_and_contents_with_their_last_name() {
    let (_folder, store) = store();
    for (name, content, seconds) in
        [("a", MODULE_FILE, 3), ("b", COMPONENT_FILE, 1), ("c", COMPONENT_FILE, 2), ("new", MODULE_FILE, 9)]
    {
        store.import_bytes(content, &elsewhere(name)).unwrap();
        store.touch(&elsewhere(name), at(seconds)).unwrap();
    }
    let swept = store.sweep(at(5), 1).unwrap().unwrap();
    let gone: Vec<&str> = swept.names.iter().map(Reference::short_name).collect();
    assert_eq!((gone, swept.bytes), (vec!["b", "c"], 8), "the first alone makes no room");
    assert_eq!(names(&store), ["a", "new"]);
    let swept = store.sweep(at(5), u64::MAX).unwrap().unwrap();
    assert_eq!((swept.names.len(), swept.bytes), (1, 0), "what is new stays, and so its content");
    assert_eq!(names(&store), ["new"]);
    assert_eq!(store.remove(&elsewhere("new")).unwrap(), Removal::Removed { bytes: 8 });
    assert_eq!(store.remove(&elsewhere("new")).unwrap(), Removal::Unknown);
}

#[test]
fn what_was_imported_is_removed_only_when_somebody_says_so() {
    let (_folder, store) = store();
    store.import_bytes(MODULE_FILE, &named("a")).unwrap();
    assert_eq!(store.sweep(SystemTime::now(), u64::MAX).unwrap().unwrap(), Swept::default());
    assert_eq!(store.remove(&named("a")).unwrap(), Removal::Removed { bytes: 8 });
}

#[test]
fn what_a_process_uses_stays_until_it_ends() {
    let (folder, store) = store();
    let image = store.import_bytes(MODULE_FILE, &elsewhere("a")).unwrap();
    let other = ImageStore::open(folder.path().join("images")).unwrap();
    let sweep = || other.sweep(SystemTime::now(), u64::MAX).unwrap().unwrap();
    let (pin, second) = (store.pin(&image).unwrap(), store.pin(&image).unwrap());
    drop(pin);
    assert_eq!(sweep(), Swept::default());
    assert_eq!(other.remove(&elsewhere("a")).unwrap(), Removal::Used);
    store.import_bytes(COMPONENT_FILE, &elsewhere("a")).unwrap();
    assert_eq!(sweep().names.len(), 1, "the name means another image now");
    assert!(image.path.exists(), "what runs stays also without a name");
    drop(second);
    assert_eq!(sweep().bytes, 8);
    assert!(!image.path.exists());
}

#[test]
fn what_an_ended_process_left_is_removed_and_what_a_living_one_makes_is_not() {
    let (folder, store) = store();
    let processes = folder.path().join("images/processes");
    let count = || fs::read_dir(&processes).unwrap().count();
    let mut half = store.new_file().unwrap();
    half.write_all(b"half of an image").unwrap();
    // As a process leaves them that is killed: nothing is locked.
    for left in ["process-left", "process-without-lock"] {
        fs::create_dir_all(processes.join(left).join("used")).unwrap();
        fs::write(processes.join(left).join("content-half"), "half").unwrap();
    }
    fs::write(processes.join("process-left/lock"), "").unwrap();
    assert_eq!(count(), 3);
    ImageStore::open(folder.path().join("images")).unwrap();
    assert_eq!(count(), 1);
    assert!(half.path().exists());
}

#[test]
fn nothing_is_removed_while_an_image_is_brought() {
    let (_folder, store) = store();
    let writing = store.writing().unwrap();
    let mut file = store.new_file().unwrap();
    file.write_all(b"part").unwrap();
    store.keep(file, &Digest::of(b"part"), &writing).unwrap();
    assert_eq!(store.sweep(SystemTime::now(), u64::MAX).unwrap(), None);
    assert!(store.has(&Digest::of(b"part")));
    drop(writing);
    assert_eq!(store.sweep(SystemTime::now(), 0).unwrap().unwrap().bytes, 4);
}

#[test]
fn the_store_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, store) = store();
    store.import_bytes(MODULE_FILE, &named("a")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("images")), 0o700);
    assert_eq!(mode(&store.find(&named("a")).unwrap().path), 0o600);
}

//! What the folder of an authority goes through.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::advance;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

struct World {
    folder: TempDir,
    clock: Clock,
    names: ServerNames,
}

impl World {
    fn new() -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let names = ServerNames::new([10, 96, 0, 1].into());
        Self { folder: TempDir::new().unwrap(), clock, names }
    }

    fn open(&self) -> Result<Authority, AuthorityError> {
        Authority::open(&self.folder.path().join("pki"), &self.names, &self.clock)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("pki").join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn all(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.folder.path().join("pki")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> = names.map(|name| (name.clone(), self.read(&name))).collect();
        files.sort();
        files
    }

    /// Opens in vain; the words, with the folder left out.
    fn refusal(&self) -> String {
        let error = self.open().err().expect("refused").to_string();
        error.replace(self.folder.path().to_str().unwrap(), "")
    }
}

fn subject_and_end(pem: &str) -> (String, String) {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    (certificate.subject().to_string(), certificate::end_of(&certificate).to_string())
}

#[tokio::test(start_paused = true)]
async fn an_authority_stays_what_it_was_and_belongs_to_its_owner() {
    let world = World::new();
    let first = world.open().unwrap();
    let files = world.all();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "admin.crt",
        "admin.key",
        "ca.crt",
        "ca.key",
        "front-proxy-ca.crt",
        "front-proxy-ca.key",
        "front-proxy-client.crt",
        "front-proxy-client.key",
        "sa.key",
        "server.crt",
        "server.key",
    ];
    assert_eq!(names, expected);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.path("")), 0o700);
    for name in names {
        assert_eq!(mode(world.path(name)), 0o600, "{name}");
    }
    let second = world.open().unwrap();
    assert_eq!(world.all(), files);
    assert_eq!(
        (first.ca_pem(), &first.admin().certificate_pem),
        (second.ca_pem(), &second.admin().certificate_pem)
    );
    assert_eq!(subject_and_end(first.ca_pem()), ("CN=peapod".into(), "2035-12-30T00:00:00Z".into()));
    let admin = ("CN=kubernetes-admin, O=system:masters".to_owned(), "2027-01-01T00:00:00Z".to_owned());
    assert_eq!(subject_and_end(&first.admin().certificate_pem), admin);
    fs::set_permissions(world.path("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    world.open().unwrap();
    assert_eq!(mode(world.path("ca.key")), 0o600);
}

#[tokio::test(start_paused = true)]
async fn certificates_are_renewed_in_time_and_for_new_names() {
    let mut world = World::new();
    world.open().unwrap();
    let changes = |world: &World, before: &[(String, String)]| -> Vec<String> {
        let pairs = world.all().into_iter().zip(before.to_vec());
        pairs.filter(|(new, old)| new != old).map(|(new, _)| new.0).collect()
    };
    let before = world.all();
    advance(334 * DAY).await;
    world.open().unwrap();
    assert_eq!(changes(&world, &before), [""; 0], "31 days are left");
    advance(2 * DAY).await;
    world.open().unwrap();
    assert_eq!(changes(&world, &before), ["admin.crt", "front-proxy-client.crt", "server.crt"]);
    assert_eq!(subject_and_end(&world.read("server.crt")).1, "2027-12-03T00:00:00Z");
    let before = world.all();
    world.names = world.names.clone().with("edge.example.com").unwrap();
    world.open().unwrap();
    assert_eq!(changes(&world, &before), ["server.crt"]);
    // In the last year of the authority its certificates end with it.
    advance(9 * 365 * DAY - 200 * DAY).await;
    world.open().unwrap();
    assert_eq!(subject_and_end(&world.read("admin.crt")).1, subject_and_end(&world.read("ca.crt")).1);
    let ca = world.read("ca.crt");
    advance(365 * DAY).await;
    let words = "/pki/ca.crt cannot be used: it expired at 2035-12-30T00:00:00Z; restore it from a backup";
    assert!(world.refusal().starts_with(words), "{}", world.refusal());
    assert_eq!(world.read("ca.crt"), ca);
}

#[tokio::test(start_paused = true)]
async fn a_start_cut_short_is_finished_by_the_next() {
    let world = World::new();
    world.open().unwrap();
    let before = world.all();
    for (lost, renewed) in [
        (&["server.crt"][..], &["server.crt"][..]),
        (&["admin.key"], &["admin.crt", "admin.key"]),
        (&["sa.key", "admin.crt"], &["admin.crt", "sa.key"]),
    ] {
        for (name, content) in &before {
            fs::write(world.path(name), content).unwrap();
        }
        lost.iter().for_each(|name| fs::remove_file(world.path(name)).unwrap());
        world.open().unwrap();
        let changed = world.all().into_iter().zip(&before).filter(|(new, old)| new != *old);
        assert_eq!(changed.map(|(new, _)| new.0).collect::<Vec<_>>(), renewed);
    }
    // Only the key of the authority was written: nobody trusts it yet.
    let world = World::new();
    fs::create_dir(world.path("")).unwrap();
    fs::write(world.path("ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    fs::write(world.path(".ca.crt.new"), "half of it").unwrap();
    world.open().unwrap();
    assert!(!world.path(".ca.crt.new").exists());
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_is_refused_and_left_alone() {
    let (world, other) = (World::new(), World::new());
    world.open().unwrap();
    other.open().unwrap();
    let good = world.all();
    let check = |file: &str, content: &str, words: &str, remedy: &str| {
        for (name, content) in &good {
            fs::write(world.path(name), content).unwrap();
        }
        fs::write(world.path(file), content).unwrap();
        let damaged = world.all();
        let refusal = world.refusal();
        assert!(refusal.starts_with(&format!("/pki/{words}")), "{refusal}");
        assert!(refusal.ends_with(remedy), "{refusal}");
        assert_eq!(world.all(), damaged, "nothing is written over it");
    };
    for (file, remedy) in [("ca", RESTORE), ("server", REISSUE), ("admin", REISSUE)] {
        let certificate = format!("{file}.crt");
        let own = world.read(&certificate);
        let words = format!("{certificate} cannot be used: ");
        check(&certificate, "", &words, remedy);
        check(&certificate, &own[..own.len() / 2], &words, remedy);
    }
    for (file, remedy) in [("ca.key", RESTORE), ("server.key", REISSUE_BOTH), ("sa.key", REISSUE)] {
        let own = world.read(file);
        check(file, &own[..own.len() / 2], &format!("{file} cannot be used: "), remedy);
    }
    let stranger = other.read("ca.key");
    check("ca.key", &stranger, "ca.crt cannot be used: it is not for the key in ca.key", RESTORE);
    let admin = world.read("admin.crt");
    check("server.crt", &admin, "server.crt cannot be used: it is not for the key beside it", REISSUE);
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    check("sa.key", &p384, "sa.key cannot be used: it is not a P-256 key", REISSUE);
    for file in ["server.crt", "server.key"] {
        fs::copy(other.path(file), world.path(file)).unwrap();
    }
    let refusal = world.refusal();
    assert!(
        refusal.starts_with("/pki/server.crt cannot be used: it was issued by another authority"),
        "{refusal}"
    );
    fs::remove_file(world.path("ca.key")).unwrap();
    let refusal = world.refusal();
    assert!(
        refusal.starts_with("/pki/ca.key cannot be used: it is missing beside its certificate"),
        "{refusal}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_authority_in_memory_issues_identities() {
    let world = World::new();
    let authority = Authority::ephemeral(&world.names, &world.clock).unwrap();
    assert!(!world.path("").exists());
    let node = authority.client_identity("system:node:a", "system:nodes").unwrap();
    assert_eq!(subject_and_end(&node.certificate_pem).0, "CN=system:node:a, O=system:nodes");
    let jane = authority.client_identity("jane", "").unwrap();
    assert_eq!(subject_and_end(&jane.certificate_pem).0, "CN=jane");
}

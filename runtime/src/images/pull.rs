//! Pulls images: one pull of a name at a time, a few at once, each from a mirror if one has it.

mod problem;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::Clock;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::convention::arrange;
use super::credentials::{Credential, DockerConfig, fitting};
use super::digest::Digest;
use super::image::{WASM_MAGIC, kind_of_file};
use super::manifest::{Descriptor, LARGEST, Manifest, Parts, choose};
use super::registry::{Endpoint, Https, RegistryError, Session};
use super::store::{Entry, ImageStore, Writing};
use super::unpack::{USUAL, unpack};
use super::{BadManifest, Image, ImageConfig, ImageKind, Reference};
use problem::Problem;
pub use problem::PullError;

/// Pulls at once; the others wait.
const MOST_PULLS: usize = 5;
/// Contents of one image that are brought at once, as other runtimes do.
const MOST_CONTENTS: usize = 3;
/// All contents of an image together, as they are sent.
const LARGEST_IMAGE: u64 = 4 << 30;

/// Where images come from.
#[derive(Clone, Debug, Default)]
pub struct RegistryConfig {
    /// By registry: where to ask first, as URLs.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Registries, with their ports, that are believed without a valid certificate, or asked without TLS.
    pub insecure: BTreeSet<String>,
    /// A Docker configuration with credentials. It is read at each pull, so a login takes effect.
    pub docker_config: Option<PathBuf>,
}

/// Pulls images into a store. A clone is a reference.
#[derive(Clone)]
pub struct Puller(Arc<Shared>);

struct Shared {
    store: ImageStore,
    https: Https,
    config: RegistryConfig,
    clock: Clock,
    turns: Semaphore,
    /// By name. Whoever holds the lock of an entry pulls; the others find what was pulled.
    under_way: Mutex<BTreeMap<Reference, Arc<tokio::sync::Mutex<()>>>>,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is known of what the image consists: so many bytes are to come.
    Found {
        /// All contents that are not there.
        bytes: u64,
    },
    /// Of a content, so many bytes have come.
    Come {
        /// Which content.
        content: Digest,
        /// How many of it.
        bytes: u64,
    },
    /// All have come and are being unpacked.
    Unpacking,
}

/// A manifest that was found, and where.
struct Found<'a> {
    session: Session<'a>,
    /// What the name names: an index, or the image itself.
    digest: Digest,
    parts: Parts,
    manifests: Vec<Digest>,
    manifest_bytes: u64,
}

impl Puller {
    /// Pulls into `store`.
    pub fn new(store: ImageStore, config: RegistryConfig, clock: Clock) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            store,
            https: Https::new()?,
            config,
            clock,
            turns: Semaphore::new(MOST_PULLS),
            under_way: Mutex::default(),
        })))
    }

    /// The store it pulls into.
    pub fn store(&self) -> &ImageStore {
        &self.0.store
    }

    /// Brings the image of that name as its registry has it now, and says how long that took once it was its turn. Contents
    /// that are there are not brought again. `told` hears of the progress.
    pub async fn pull(
        &self,
        reference: &Reference,
        credentials: &[Credential],
        told: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Image, Duration), PullError> {
        let slot = self.slot(reference);
        let _mine = slot.lock().await;
        // The semaphore is never closed.
        let _turn = self.0.turns.acquire().await;
        let began = self.0.clock.now();
        let pulled = self.0.pull(reference, credentials, told).await;
        let named = |problem| PullError::new(reference, problem);
        let image = pulled.map_err(named)?;
        Ok((image, self.0.clock.now().duration_since(began).unsigned_abs()))
    }

    fn slot(&self, reference: &Reference) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, slot| Arc::strong_count(slot) > 1);
        Arc::clone(under_way.entry(reference.clone()).or_default())
    }
}

impl Shared {
    async fn pull(
        &self,
        reference: &Reference,
        credentials: &[Credential],
        told: &(dyn Fn(Progress) + Sync),
    ) -> Result<Image, Problem> {
        let (own, helped) = self.own_credentials(reference);
        let known: Vec<&Credential> =
            fitting(credentials, reference).into_iter().chain(fitting(&own, reference)).collect();
        let stored = self.store.find(reference);
        let endpoints = self.endpoints(reference);
        let mut last = None;
        for endpoint in &endpoints {
            for credential in known.iter().copied().map(Some).chain([None]) {
                // Credentials are for the registry, not for its mirrors.
                if credential.is_some() && endpoint.mirrors.is_some() {
                    continue;
                }
                let session = Session::new(&self.https, &self.clock, endpoint, reference.path(), credential);
                match self.pull_with(session, reference, stored.as_ref(), told).await {
                    Err(Problem::Unresolved(cause)) => {
                        let is_denied = matches!(cause, RegistryError::Denied(_));
                        last = Some(match last {
                            Some(last) => RegistryError::more_telling(last, cause),
                            None => cause,
                        });
                        // Another user may be let in, but finds no more than this one.
                        if !is_denied {
                            break;
                        }
                    }
                    pulled => return pulled,
                }
            }
        }
        match last.unwrap_or(RegistryError::NotFound) {
            cause @ RegistryError::Denied(_) if helped => Err(Problem::Helped(cause)),
            cause => Err(Problem::Unresolved(cause)),
        }
    }

    /// What the Docker configuration of this node says, and whether that leaves the registry to another program.
    fn own_credentials(&self, reference: &Reference) -> (Vec<Credential>, bool) {
        let Some(path) = &self.config.docker_config else {
            return (Vec::new(), false);
        };
        match DockerConfig::read(path) {
            Ok(config) => {
                let helped = config.is_helped(reference.host());
                (config.credentials, helped)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "credentials not read");
                (Vec::new(), false)
            }
        }
    }

    /// Where to ask for an image, in order.
    fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        let host = reference.host();
        let mirrors = self.config.mirrors.get(host).into_iter().flatten().map(|base| {
            let base = base.trim_end_matches('/');
            let authority = base.split("://").last().unwrap_or(base).split('/').next().unwrap_or_default();
            Endpoint {
                base: base.to_owned(),
                is_insecure: base.starts_with("http://") || self.is_insecure(authority),
                mirrors: Some(host.to_owned()),
            }
        });
        let asked = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let is_insecure = self.is_insecure(host);
        let schemes: &[&str] = if is_insecure { &["https", "http"] } else { &["https"] };
        let own = schemes.iter().map(|scheme| Endpoint {
            base: format!("{scheme}://{asked}"),
            is_insecure,
            mirrors: None,
        });
        mirrors.chain(own).collect()
    }

    /// Those on this machine are, as Docker has it: nobody is between.
    fn is_insecure(&self, authority: &str) -> bool {
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        self.config.insecure.contains(authority)
            || name == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
    }

    async fn pull_with(
        &self,
        session: Session<'_>,
        reference: &Reference,
        stored: Option<&Image>,
        told: &(dyn Fn(Progress) + Sync),
    ) -> Result<Image, Problem> {
        let name = reference.digest().or(reference.tag()).unwrap_or("latest");
        // To learn that nothing has changed costs no manifest, and so nothing of what a registry counts.
        if let Some(image) = stored
            && session
                .digest_of(name)
                .await
                .map_err(Problem::Unresolved)?
                .is_some_and(|digest| digest.as_str() == image.digest)
        {
            return Ok(image.clone());
        }
        let bytes = session.manifest(name).await.map_err(Problem::Unresolved)?;
        let mut found_at = Digest::of(&bytes);
        let digest = found_at.clone();
        let mut manifests = vec![bytes];
        let parts = loop {
            match Manifest::parse(manifests.last().map_or(&[], |bytes| &bytes[..]))? {
                Manifest::Image(parts) => break parts,
                Manifest::Index(choices) if manifests.len() < 3 => {
                    found_at = choose(&choices, architecture())?;
                    manifests.push(session.manifest(found_at.as_str()).await.map_err(Problem::Unresolved)?);
                }
                Manifest::Index(_) => {
                    return Err(BadManifest("its indexes do not come to an end".to_owned()).into());
                }
            }
        };
        let found = Found {
            session,
            digest,
            parts,
            manifest_bytes: manifests.iter().map(|bytes| bytes.len() as u64).sum(),
            manifests: manifests.iter().map(|bytes| Digest::of(bytes)).collect(),
        };
        self.take(found, manifests, reference, told).await
    }

    /// Brings all contents of an image, puts them to use and gives it its name.
    async fn take(
        &self,
        found: Found<'_>,
        manifests: Vec<bytes::Bytes>,
        reference: &Reference,
        told: &(dyn Fn(Progress) + Sync),
    ) -> Result<Image, Problem> {
        let parts = &found.parts;
        let sizes = parts.layers.iter().fold(parts.config.size, |sum, layer| sum.saturating_add(layer.size));
        if sizes > LARGEST_IMAGE {
            let words = format!("the image has {sizes} bytes, more than {LARGEST_IMAGE}");
            return Err(BadManifest(words).into());
        }
        let (store, digests) = (self.store.clone(), found.manifests.clone());
        let write = move || {
            // Whoever removes what nobody needs is waited for.
            let writing = store.writing()?;
            for (bytes, digest) in manifests.iter().zip(&digests) {
                store.put_content(bytes, digest, &writing)?;
            }
            Ok::<_, io::Error>(writing)
        };
        let writing = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        self.bring(&found, &writing, told).await?;
        told(Progress::Unpacking);
        let (store, name) = (self.store.clone(), reference.clone());
        let contents: Vec<Digest> = parts
            .layers
            .iter()
            .chain([&parts.config])
            .map(|part| part.digest.clone())
            .chain(found.manifests)
            .collect();
        let (digest, parts) = (found.digest, found.parts);
        let size_bytes = sizes.saturating_add(found.manifest_bytes);
        let put_to_use = move || -> Result<Image, Problem> {
            let entry = put_to_use(&store, &parts, &name, &writing)?;
            let entry = Entry { digest: digest.to_string(), size_bytes, contents, ..entry };
            store.name(&entry, &writing)?;
            Ok(store.image(entry, name))
        };
        tokio::task::spawn_blocking(put_to_use).await.map_err(io::Error::other)?
    }

    async fn bring(
        &self,
        found: &Found<'_>,
        writing: &Writing,
        told: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Problem> {
        let config = &found.parts.config;
        if config.size > LARGEST {
            return Err(Problem::NotBrought(RegistryError::TooLarge {
                what: "the configuration".to_owned(),
                bytes: LARGEST,
            }));
        }
        let mut wanted: Vec<Descriptor> = found.parts.layers.iter().chain([config]).cloned().collect();
        wanted.sort_by(|left, right| left.digest.cmp(&right.digest));
        wanted.dedup_by(|left, right| left.digest == right.digest);
        wanted.retain(|part| !self.store.has(&part.digest));
        told(Progress::Found { bytes: wanted.iter().map(|part| part.size).sum() });
        let brought = wanted.into_iter().map(|part| async move {
            // A size that is not said is bounded all the same.
            let most = if part.size == 0 { LARGEST } else { part.size };
            let come = |bytes| told(Progress::Come { content: part.digest.clone(), bytes });
            found.session.bring(&self.store, writing, &part.digest, most, &come).await
        });
        futures::stream::iter(brought)
            .buffer_unordered(MOST_CONTENTS)
            .try_collect()
            .await
            .map_err(Problem::NotBrought)
    }
}

/// Arranges what was brought, and unpacks what has to be. The digest and the contents are filled in by the caller.
fn put_to_use(
    store: &ImageStore,
    parts: &Parts,
    reference: &Reference,
    writing: &Writing,
) -> Result<Entry, Problem> {
    let config = std::fs::read(store.content(&parts.config.digest))?;
    let arrangement = arrange(parts, &config, |digest| begins(store, digest))?;
    let root = if arrangement.layers.is_empty() && arrangement.files.is_empty() {
        None
    } else {
        let things = format!("{:?} {:?}", arrangement.layers, arrangement.files);
        let name = Digest::of(things.as_bytes()).hex().to_owned();
        if !store.has_root(&name) {
            let folder = store.new_root()?;
            let layers: Vec<PathBuf> = arrangement.layers.iter().map(|layer| store.content(layer)).collect();
            let file = |(path, digest): &(String, Digest)| (path.clone(), store.content(digest));
            let files: Vec<(String, PathBuf)> = arrangement.files.iter().map(file).collect();
            unpack(&layers, &files, folder.path(), USUAL).map_err(Problem::NotUnpacked)?;
            store.keep_root(folder, &name, writing)?;
        }
        Some(name)
    };
    let mut config = ImageConfig::parse(&config);
    config.env.extend(arrangement.env);
    let kind = match &arrangement.program {
        None => ImageKind::Files,
        // What is no program is refused when it is to run.
        Some(program) => {
            std::fs::File::open(store.content(program)).and_then(kind_of_file)?.unwrap_or(ImageKind::Module)
        }
    };
    Ok(Entry {
        reference: reference.to_string(),
        digest: String::new(),
        size_bytes: 0,
        kind,
        program: arrangement.program,
        root,
        config,
        contents: Vec::new(),
    })
}

fn begins(store: &ImageStore, digest: &Digest) -> Vec<u8> {
    use std::io::Read;
    let mut begins = Vec::new();
    let read = std::fs::File::open(store.content(digest))
        .and_then(|file| file.take(WASM_MAGIC.len() as u64).read_to_end(&mut begins));
    read.map_or_else(|_| Vec::new(), |_| begins)
}

/// As registries call the kind of this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests;

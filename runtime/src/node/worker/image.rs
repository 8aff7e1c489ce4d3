//! How a container of a worker comes to its image: it is there, or it is pulled; its program is made ready, and so is its
//! root file system.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::resource::SECRETS;
use api::{Clock, Key};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Secret, VolumeMount};
use tracing::{debug, warn};

use super::Worker;
use super::container::News;
use crate::engine::{Engine, Mount, PrepareError, Program};
use crate::images::{Credential, DockerConfig, Image, ImageConfig, Pin, copy_root};
use crate::limits::cpu::Currency;
use crate::node::env;
use crate::node::images::{Images, PulledImage, Way, look_up};
use crate::node::machine::{Attempt, Event, ImageNews, Pulled};
use crate::node::plan::PullPolicy;

/// All that a container needs of its image.
pub(super) struct Prepared {
    pub(super) program: Arc<dyn Program>,
    pub(super) image: Image,
    /// Its root file system, if the image has one.
    pub(super) root: Option<Mount>,
    /// Keeps the image from being removed.
    pub(super) pin: Option<Pin>,
}

/// A pull that is under way, and what is to be done then.
pub(super) struct Pulling {
    preparing: Preparing,
    began: Timestamp,
}

/// What is to be done with an image once it is there.
struct Preparing {
    images: Arc<dyn Images>,
    engine: Arc<dyn Engine>,
    /// What its pod pays in.
    currency: Currency,
    clock: Clock,
    /// What the container says to start.
    command: Vec<String>,
    root: Root,
}

/// How a container sees the root file system of its image.
enum Root {
    ReadOnly,
    /// A copy of its own, made there, with these folders in it.
    Own(PathBuf, Vec<PathBuf>),
}

impl Worker {
    /// Begins to make an image ready to run, and says how.
    pub(super) fn prepare(
        &mut self,
        index: usize,
        attempt: Attempt,
        image: &str,
        policy: PullPolicy,
    ) -> Event {
        let images = Arc::clone(&self.node.config.images);
        match look_up(&images, image, policy) {
            Ok(Way::Present(image)) => {
                let prepared = self.preparing(index).prepare(*image).boxed();
                self.places[index].prepare(prepared, attempt);
                Event::Image(index, attempt, ImageNews::Present)
            }
            Ok(Way::Pull(reference)) => {
                let (credentials, missing_secrets) = self.pull_secrets();
                let pulling = Pulling { preparing: self.preparing(index), began: self.now() };
                let pulled = async move {
                    let pulled = images.pull(&reference, &credentials).await;
                    News::Pulled(pulled.map(Box::new), Box::new(pulling))
                };
                self.places[index].prepare(pulled.boxed(), attempt);
                Event::Image(index, attempt, ImageNews::Pulling { missing_secrets })
            }
            Err(failure) => Event::Prepared(index, attempt, Err(failure)),
        }
    }

    fn preparing(&self, index: usize) -> Preparing {
        let spec = self.spec_of(index);
        let security = spec.as_ref().and_then(|spec| spec.security_context.as_ref());
        let is_read_only = security.is_some_and(|security| security.read_only_root_filesystem == Some(true));
        let name = self.machine.containers()[index].name();
        let own = self.folder_of_roots().join(name);
        let mounts = spec.iter().flat_map(|spec| spec.volume_mounts.iter().flatten());
        // Of single files, the folder they are in.
        let point = |mount: &VolumeMount| {
            let path = Path::new(&mount.mount_path);
            let is_whole = mount.sub_path.is_none() && mount.sub_path_expr.is_none();
            if is_whole { path.to_owned() } else { path.parent().unwrap_or(path).to_owned() }
        };
        let mount_points = mounts.map(point).collect();
        let config = &self.node.config;
        Preparing {
            images: Arc::clone(&config.images),
            engine: Arc::clone(&config.engine),
            currency: self.limits.currency(),
            clock: config.clock.clone(),
            command: spec.and_then(|spec| spec.command.clone()).unwrap_or_default(),
            root: if is_read_only { Root::ReadOnly } else { Root::Own(own, mount_points) },
        }
    }

    /// Where the root file systems are that containers of this pod write to.
    pub(super) fn folder_of_roots(&self) -> PathBuf {
        self.node.folder_of_pod(self.object.uid()).join("roots")
    }

    /// The credentials in the Secrets that the pod names for its images, and the names of those that cannot be had.
    pub(super) fn pull_secrets(&self) -> (Vec<Credential>, Vec<String>) {
        let spec = self.pod().spec.as_ref();
        let named: BTreeSet<&str> = spec
            .and_then(|spec| spec.image_pull_secrets.as_ref())
            .into_iter()
            .flatten()
            .map(|secret| secret.name.as_str())
            .collect();
        let (mut credentials, mut missing) = (Vec::new(), Vec::new());
        for name in named {
            match self.pull_secret(name) {
                Some(found) => credentials.extend(found),
                None => missing.push(name.to_owned()),
            }
        }
        (credentials, missing)
    }

    fn pull_secret(&self, name: &str) -> Option<Vec<Credential>> {
        let key = Key::new(self.object.namespace(), name);
        let object = self.node.config.cache.get(&SECRETS, &key)?;
        let secret: &Secret = object.typed().ok()?;
        let data = secret.data.as_ref()?;
        let parsed = match (data.get(".dockerconfigjson"), data.get(".dockercfg")) {
            (Some(config), _) => DockerConfig::parse(&config.0),
            (None, Some(config)) => DockerConfig::parse_old(&config.0),
            (None, None) => return None,
        };
        match parsed {
            Ok(config) => Some(config.credentials),
            Err(error) => {
                warn!(secret = name, %error, "image pull secret not understood");
                None
            }
        }
    }
}

impl Pulling {
    /// Says how the pull went, and goes on to prepare what was pulled.
    pub(super) fn go_on(self, pulled: PulledImage) -> (ImageNews, BoxFuture<'static, News>) {
        let with_waiting = self.preparing.clock.now().duration_since(self.began).unsigned_abs();
        let PulledImage { image, took } = pulled;
        let news = Pulled { took, with_waiting, size_bytes: image.size_bytes };
        (ImageNews::Pulled(news), self.preparing.prepare(image).boxed())
    }
}

impl Preparing {
    async fn prepare(self, image: Image) -> News {
        News::Prepared(self.try_prepare(image).await.map(Box::new))
    }

    async fn try_prepare(self, image: Image) -> Result<Prepared, PrepareError> {
        let pin = self.keep(&image);
        let image = image.for_command(&self.command).map_err(|message| PrepareError { message })?;
        let program = self.engine.prepare(&image, self.currency).await?;
        let root = match image.root.clone() {
            Some(root) => Some(self.mount(root).await?),
            None => None,
        };
        Ok(Prepared { program, image, root, pin })
    }

    /// Keeps an image from being removed, and notes that it is used now.
    fn keep(&self, image: &Image) -> Option<Pin> {
        let store = self.images.store()?;
        if let Err(error) = store.touch(&image.reference, self.clock.now().into()) {
            debug!(image = %image.reference, %error, "use of the image not noted");
        }
        store.pin(image).inspect_err(|error| warn!(image = %image.reference, %error, "image not kept")).ok()
    }

    /// Shows the root of an image to a container: as it is to those that only read, else as a copy that is fresh at each start.
    async fn mount(self, image: PathBuf) -> Result<Mount, PrepareError> {
        let (host_path, read_only) = match self.root {
            Root::ReadOnly => (image, true),
            Root::Own(own, points) => {
                let place = own.clone();
                let copied = tokio::task::spawn_blocking(move || copy_root(&image, &place, &points)).await;
                let copied = copied.map_err(std::io::Error::other).and_then(|copied| copied);
                copied.map_err(|error| PrepareError {
                    message: format!("make the container's root file system: {error}"),
                })?;
                (own, false)
            }
        };
        let host_path = host_path.canonicalize().map_err(|error| PrepareError {
            message: format!("open the container's root file system: {error}"),
        })?;
        Ok(Mount { host_path, guest_path: "/".to_owned(), read_only })
    }
}

impl Prepared {
    /// Names the image, as a container's status does.
    pub(super) fn image_id(&self) -> String {
        format!("{}@{}", self.image.reference.repository(), self.image.digest)
    }
}

/// The command and its arguments, each the image's where the container gives none. A command of its own is not followed by the
/// image's arguments.
pub(super) fn arguments(spec: &ContainerSpec, image: &ImageConfig, env: &[(String, String)]) -> Vec<String> {
    let value_of = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| env::expand(word, value_of)).collect()
    };
    let (command, args) = (expanded(&spec.command), expanded(&spec.args));
    let mut arguments = if command.is_empty() { image.entrypoint.clone() } else { command.clone() };
    if command.is_empty() && args.is_empty() {
        arguments.extend(image.command.iter().cloned());
    }
    arguments.extend(args);
    arguments
}

/// The variables of the container, and those of its image that it does not set itself.
pub(super) fn with_image(env: Vec<(String, String)>, image: &ImageConfig) -> Vec<(String, String)> {
    let own: BTreeSet<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
    let of_image: Vec<_> =
        image.env.iter().filter(|(name, _)| !own.contains(name.as_str())).cloned().collect();
    of_image.into_iter().chain(env).collect()
}

/// The ports an image says to serve, for a container that says nothing of ports.
pub(super) fn of_image(image: &ImageConfig) -> Vec<(u16, String)> {
    image.ports.iter().map(|port| (*port, String::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_says_goes_before_what_its_image_says() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let image = ImageConfig {
            entrypoint: words(&["/app"]),
            command: words(&["serve"]),
            env: vec![("A".into(), "image".into()), ("B".into(), "image".into())],
            ..ImageConfig::default()
        };
        let check = |command: &[&str], args: &[&str], expected: &[&str]| {
            let given = |given: &[&str]| (!given.is_empty()).then(|| words(given));
            let spec =
                ContainerSpec { command: given(command), args: given(args), ..ContainerSpec::default() };
            let env = [("N".to_owned(), "1".to_owned())];
            assert_eq!(arguments(&spec, &image, &env), words(expected));
        };
        check(&[], &[], &["/app", "serve"]);
        check(&[], &["-n", "$(N)"], &["/app", "-n", "1"]);
        check(&["/other"], &[], &["/other"]);
        check(&["/other"], &["x"], &["/other", "x"]);
        let env = with_image(vec![("B".into(), "pod".into())], &image);
        assert_eq!(env, [("A".into(), "image".into()), ("B".into(), "pod".into())]);
    }
}

//! Plays a script instead of running a guest, for tests of whole clusters under virtual time.
//!
//! A script is text, `;` between its parts, in any order:
//!
//! ```text
//! pull 2s              the image is not there and is pulled in that time; `pull fails WHY`
//! prepare 2s           making the image ready takes that long; `prepare fails WHY`
//! start 1s             the container runs after that long; `start fails WHY`
//! serve 8080           listens there and answers each connection with the pod's name and image
//! fail 8080 from 10s   answers requests there with 503 from then on; `fail 8080 from 10s for 5s`
//! print WORDS          writes a line when it runs
//! repeat               writes each line that it reads, and ends with code 0 when there are no more
//! exit 1 after 3s      ends with that code; without `after` at once; `exit oom after 3s` as out of memory
//! stop 2s              takes that long to end when asked to; `stop never`
//! ```
//!
//! Spans are `250ms`, `3s`, `5m`, `2h`. What a script does not say takes no time and does not happen.

mod commands;
mod play;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;

pub use script::{Script, ScriptError};

use super::{Container, ContainerConfig, Engine, PrepareError, Program, StartError};
use crate::images::{Image, ImageConfig, ImageKind, Reference};
use crate::limits::cpu::Currency;
use play::Player;
use script::Outcome;

/// An engine whose images are scripts. A clone is a reference.
#[derive(Clone)]
pub struct ScriptedEngine {
    clock: Clock,
    scripts: Arc<Mutex<Scripts>>,
}

#[derive(Default)]
struct Scripts {
    /// Those that were pulled.
    pulled: BTreeSet<Reference>,
    by_name: BTreeMap<Reference, Arc<Script>>,
    otherwise: Option<Arc<Script>>,
}

impl ScriptedEngine {
    /// An engine without images.
    pub fn new(clock: Clock) -> Self {
        Self { clock, scripts: Arc::default() }
    }

    /// Also knows `image`, which plays `script`.
    ///
    /// # Panics
    /// If either cannot be read: the test that wrote it is wrong.
    #[must_use]
    pub fn with(self, image: &str, script: &str) -> Self {
        self.register(image, script).expect("an image and its script that can be read");
        self
    }

    /// Lets every image that is not known play `script`.
    ///
    /// # Panics
    /// If the script cannot be read: the test that wrote it is wrong.
    #[must_use]
    pub fn otherwise(self, script: &str) -> Self {
        let script = script.parse().expect("a script that can be read");
        self.scripts().otherwise = Some(Arc::new(script));
        self
    }

    /// Makes `image` play `script` from its next start on.
    pub fn register(&self, image: &str, script: &str) -> Result<(), ScriptError> {
        let reference = image.parse().map_err(|error| ScriptError::new(image, error))?;
        let script = Arc::new(script.parse()?);
        let mut scripts = self.scripts();
        scripts.pulled.remove(&reference);
        scripts.by_name.insert(reference, script);
        drop(scripts);
        Ok(())
    }

    /// Forgets an image.
    pub fn forget(&self, image: &Reference) {
        self.scripts().by_name.remove(image);
    }

    /// The image of that name, as a store has it.
    pub fn image(&self, reference: &Reference) -> Option<Image> {
        let is_elsewhere = self.script(reference)?.pull.is_some();
        if is_elsewhere && !self.scripts().pulled.contains(reference) {
            return None;
        }
        Some(Image {
            reference: reference.clone(),
            digest: format!("script:{}", reference.short_name()),
            path: PathBuf::new(),
            size_bytes: 0,
            kind: ImageKind::Module,
            code: String::new(),
            function: None,
            root: None,
            config: ImageConfig {
                entrypoint: vec![reference.short_name().to_owned()],
                ..ImageConfig::default()
            },
        })
    }

    /// Pulls the image of that name; says how long it took, or why it failed in the words of container runtimes.
    pub async fn pull_image(&self, reference: &Reference) -> Result<(Image, Duration), String> {
        let pull = self.script(reference).map(|script| script.pull.clone().unwrap_or_default());
        let took = match pull {
            Some(Outcome::Takes(span)) => span,
            Some(Outcome::Fails(why)) => return Err(why),
            None => {
                return Err(format!("failed to resolve reference \"{reference}\": {reference}: not found"));
            }
        };
        self.clock.sleep(took).await;
        self.scripts().pulled.insert(reference.clone());
        let image = self.image(reference).ok_or_else(|| format!("{reference} is gone"))?;
        Ok((image, took))
    }

    /// How many images it knows by name.
    pub fn count(&self) -> usize {
        self.scripts().by_name.len()
    }

    fn script(&self, reference: &Reference) -> Option<Arc<Script>> {
        let scripts = self.scripts();
        scripts.by_name.get(reference).or(scripts.otherwise.as_ref()).cloned()
    }

    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for ScriptedEngine {
    fn prepare<'a>(
        &'a self,
        image: &'a Image,
        _currency: Currency,
    ) -> BoxFuture<'a, Result<Arc<dyn Program>, PrepareError>> {
        async move {
            let script = self
                .script(&image.reference)
                .ok_or_else(|| PrepareError { message: format!("no script for {}", image.reference) })?;
            if let Outcome::Fails(message) = &script.prepare {
                let message = message.clone();
                return Err(PrepareError { message });
            }
            self.clock.sleep(script.prepare.span()).await;
            let program: Arc<dyn Program> = Arc::new(ScriptedProgram {
                clock: self.clock.clone(),
                image: image.reference.to_string(),
                script,
            });
            Ok(program)
        }
        .boxed()
    }
}

struct ScriptedProgram {
    clock: Clock,
    image: String,
    script: Arc<Script>,
}

impl Program for ScriptedProgram {
    fn start(&self, config: ContainerConfig) -> Result<Box<dyn Container>, StartError> {
        let script = Arc::clone(&self.script);
        Ok(Box::new(Player::start(script, self.clock.clone(), self.image.clone(), config)))
    }
}

#[cfg(test)]
mod tests;

//! How a container of a worker comes to its image: it is there, or it is pulled.

use std::sync::Arc;

use super::Worker;
use super::container::Maker;
use crate::node::images::{Way, look_up};
use crate::node::machine::{Attempt, Event, ImageNews};
use crate::node::plan::PullPolicy;

impl Worker {
    /// Begins to make an image ready to run, and says how.
    pub(super) fn prepare(
        &mut self,
        index: usize,
        attempt: Attempt,
        image: &str,
        policy: PullPolicy,
    ) -> Event {
        let config = &self.node.config;
        let maker = Maker { engine: Arc::clone(&config.engine), currency: self.limits.currency() };
        match look_up(&config.images, image, policy) {
            Ok(Way::Present(image)) => {
                self.places[index].prepare(maker, image, attempt);
                Event::Image(index, attempt, ImageNews::Present)
            }
            Ok(Way::Pull(reference)) => {
                self.places[index].pull(&self.node, reference, maker, attempt);
                Event::Image(index, attempt, ImageNews::Pulling { missing_secrets: Vec::new() })
            }
            Err(failure) => Event::Prepared(index, attempt, Err(failure)),
        }
    }
}

//! What a container does about news of its image, and how long it waits when the image could not be pulled.
//!
//! As the kubelet: a pull that failed is not tried again before its time, whatever else brings the container to its start
//! meanwhile. `ErrImagePull` shows for a moment, then `ImagePullBackOff` until that time.

use std::time::Duration;

use api::clock::add;
use api::event::Severity;
use jiff::Timestamp;

use super::super::message::{Action, ImageFailure, ImageNews, Pulled};
use super::answers::note;
use super::{ContainerMachine, Context, State};

/// How long the failure itself is shown: about as long as the kubelet takes to look at the pod again.
const SHOWN: Duration = Duration::from_secs(2);

/// A pull that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FailedPull {
    /// When it may be tried again.
    retry_at: Timestamp,
    why: String,
}

impl ContainerMachine {
    pub(in super::super) fn image_news(
        &mut self,
        news: ImageNews,
        context: &Context,
        actions: &mut Vec<Action>,
    ) {
        if self.state != State::Preparing {
            return;
        }
        let image = &self.plan.image;
        match news {
            ImageNews::Present => {
                let message = format!("Container image {image:?} already present on machine");
                actions.push(note(context.index, Severity::Normal, "Pulled", message));
            }
            ImageNews::Pulling { missing_secrets } => {
                if !missing_secrets.is_empty() {
                    let message = format!(
                        "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                        missing_secrets.join(", ")
                    );
                    let reason = "FailedToRetrieveImagePullSecret";
                    actions.push(note(context.index, Severity::Warning, reason, message));
                }
                let message = format!("Pulling image {image:?}");
                actions.push(note(context.index, Severity::Normal, "Pulling", message));
            }
            ImageNews::Pulled(Pulled { took, with_waiting, size_bytes }) => {
                let message = format!(
                    "Successfully pulled image {image:?} in {} ({} including waiting). Image size: {size_bytes} bytes.",
                    span(took),
                    span(with_waiting)
                );
                actions.push(note(context.index, Severity::Normal, "Pulled", message));
            }
        }
    }

    pub(super) fn lack_image(
        &mut self,
        failure: ImageFailure,
        context: &Context,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let image = &self.plan.image;
        let retry_at = add(now, self.tries.next_retry());
        let mut warn =
            |reason, message: String| actions.push(note(context.index, Severity::Warning, reason, message));
        let (reason, message, until) = match failure {
            ImageFailure::InvalidName(why) => {
                let message = format!("Failed to apply default image tag {image:?}: {why}");
                warn("InspectFailed", message.clone());
                warn("Failed", "Error: InvalidImageName".to_owned());
                ("InvalidImageName", message, None)
            }
            ImageFailure::NeverPull => {
                let message = format!("Container image {image:?} is not present with pull policy of Never");
                warn("ErrImageNeverPull", message.clone());
                warn("Failed", "Error: ErrImageNeverPull".to_owned());
                ("ErrImageNeverPull", message, Some(retry_at))
            }
            ImageFailure::NotPulled(why) => {
                let message = format!("failed to pull image {image:?}: {why}");
                warn("Failed", format!("Failed to pull image {image:?}: {why}"));
                warn("Failed", "Error: ErrImagePull".to_owned());
                self.failed_pull = Some(FailedPull { retry_at, why });
                ("ErrImagePull", message, Some(add(now, SHOWN)))
            }
            ImageFailure::Unfit(why) => {
                warn("Failed", format!("Error: {why}"));
                ("CreateContainerError", why, Some(retry_at))
            }
        };
        self.wait(reason, message, until);
    }

    /// Waits, if the last pull failed and its time has not come.
    pub(super) fn backs_off_pulling(
        &mut self,
        index: usize,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(failed) = self.failed_pull.take().filter(|failed| failed.retry_at > now) else {
            return false;
        };
        let words = format!("Back-off pulling image {:?}", self.plan.image);
        let message = format!("{words}: ErrImagePull: {}", failed.why);
        actions.push(note(index, Severity::Normal, "BackOff", words));
        actions.push(note(index, Severity::Warning, "Failed", "Error: ImagePullBackOff".to_owned()));
        self.wait("ImagePullBackOff", message, Some(failed.retry_at));
        self.failed_pull = Some(failed);
        true
    }
}

/// To the millisecond, as Go writes it: `0s`, `350ms`, `1.2s`, `2m0.05s`, `1h0m3s`.
fn span(span: Duration) -> String {
    let millis = span.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = fraction.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_go_writes_them() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        };
        check(0, "0s");
        check(350, "350ms");
        check(1_000, "1s");
        check(1_200, "1.2s");
        check(120_050, "2m0.05s");
        check(3_603_000, "1h0m3s");
    }
}

//! Carries out lifecycle hooks.

use super::ask::Target;
use super::plan::Hook;
use super::{command, http};

/// Does what the hook says, for as long as that takes. Tells what people should know if it went another way than it was
/// meant to, and why it failed, for the status of `container` in `pod`, which is named `name_namespace(uid)`.
pub async fn run_hook(
    hook: &Hook,
    target: &Target,
    container: &str,
    pod: &str,
) -> Result<Option<String>, String> {
    let failed = |what: String, why: String| {
        format!("{what} for Container {container:?} in Pod {pod:?} failed - error: {why}")
    };
    match hook {
        Hook::Exec(words) => {
            let what = || format!("Exec lifecycle hook ([{}])", words.join(" "));
            match command::run(words, target).await {
                Ok(ran) if ran.code == 0 => Ok(None),
                Ok(ran) => {
                    let why =
                        format!("command '{}' exited with {}: {}", words.join(" "), ran.code, ran.errors);
                    Err(format!("{}, message: {:?}", failed(what(), why), ran.output))
                }
                Err(error) => Err(format!("{}, message: \"\"", failed(what(), error.message))),
            }
        }
        Hook::Http(get) => {
            let sent = http::hook(get, target).await;
            sent.map_err(|why| failed(format!("HTTP lifecycle hook ({})", get.path), why))
        }
        Hook::Sleep(span) => {
            target.pause(*span).await;
            Ok(None)
        }
        Hook::Invalid => Err("Cannot run handler: invalid handler".to_owned()),
    }
}

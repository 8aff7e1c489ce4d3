//! Plays scenarios on a simulated cluster.
//!
//! ```text
//! > image NAME SCRIPT         an image and what its containers do
//! > create                    the objects of the manifest in the input
//! > patch KIND/NAME JSON      a merge patch
//! > delete KIND/NAME [SECONDS]
//! > wait SPAN                 time passes: 100ms, 10s, 5m, 2h
//! > get KINDS                 a table of all objects of a kind
//! > show KIND/NAME PATH       one field as JSON
//! > ask SERVICE:PORT TIMES    who answers so many connections
//! ```

use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use api::backend::{DeleteOptions, ListOptions};
use api::{Key, Resource};
use cli::span;

use crate::script::{self, Step};
use crate::show;
use crate::simulated::Simulated;

/// Plays the scenario in `file` and compares what it prints.
pub fn play(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let steps = script::parse(&text)?;
    script::settle(file, &steps, &print(&steps)?)
}

/// What each step prints, on a fresh cluster.
pub fn print(steps: &[Step]) -> Result<Vec<String>> {
    let thread = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    thread.block_on(async {
        let simulated = Simulated::start(1).await?;
        let mut printed = Vec::with_capacity(steps.len());
        for step in steps {
            let output = carry_out(&simulated, step).await;
            printed.push(output.unwrap_or_else(|error| format!("error: {error}\n")));
            simulated.settle().await;
        }
        Ok(printed)
    })
}

async fn carry_out(simulated: &Simulated, step: &Step) -> Result<String> {
    let client = &simulated.cluster.client;
    let (command, rest) = step.command.split_once(' ').unwrap_or((&step.command, ""));
    let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match command {
        "image" => simulated.engine.register(first, rest)?,
        "create" => return create(simulated, &step.input).await,
        "patch" => {
            let (resource, key) = place(first)?;
            client.patch(&resource, &key, "", serde_json::from_str(rest)?).await?;
        }
        "delete" => {
            let (resource, key) = place(first)?;
            let options = DeleteOptions { grace_seconds: rest.parse().ok(), ..DeleteOptions::default() };
            client.delete(&resource, &key, options).await?;
        }
        "wait" => simulated.pass(span::parse(first).map_err(Error::msg)?).await,
        "get" => {
            let list = client.list(&plural(first)?, "", ListOptions::default()).await?;
            return Ok(show::table(&list.items));
        }
        "show" => {
            let (resource, key) = place(first)?;
            let object = client.get(&resource, &key).await?;
            let pointer = format!("/{}", rest.replace('.', "/"));
            let value = object.value().pointer(&pointer).unwrap_or(&serde_json::Value::Null);
            return Ok(format!("{value}\n"));
        }
        "ask" => {
            let (service, port) = first.split_once(':').context("ask SERVICE:PORT TIMES")?;
            let answers = simulated.ask(service, port.parse()?, rest.parse()?).await;
            return Ok(answers.iter().map(|(answer, times)| format!("{times} x {answer}\n")).collect());
        }
        _ => bail!("{command:?} is no command of scenarios"),
    }
    Ok(String::new())
}

async fn create(simulated: &Simulated, manifest: &str) -> Result<String> {
    let mut printed = String::new();
    for document in api::manifest::read("input", manifest)? {
        let text = |name: &str| document.value[name].as_str().unwrap_or_default().to_owned();
        let resource = apiserver::discovery::find(&text("apiVersion"), &text("kind")).map_err(Error::msg)?;
        let namespace = if resource.namespaced { "default" } else { "" };
        let namespace = document.value["metadata"]["namespace"].as_str().unwrap_or(namespace);
        let line = match simulated.cluster.client.create(&resource, namespace, &document.value).await {
            Ok(object) => format!("created {}/{}\n", object.kind(), object.name()),
            Err(status) => format!("error: {status}\n"),
        };
        printed.push_str(&line);
    }
    Ok(printed)
}

/// The resource and key of `deployment/web`, in the namespace `default` or the one of `pod/other:web`.
fn place(text: &str) -> Result<(Resource, Key)> {
    let (kind, name) = text.split_once('/').context("write KIND/NAME")?;
    let resource = plural(&format!("{kind}s"))?;
    let key = match name.split_once(':') {
        Some((namespace, name)) => Key::new(namespace, name),
        None if resource.namespaced => Key::new("default", name),
        None => Key::cluster(name),
    };
    Ok((resource, key))
}

fn plural(name: &str) -> Result<Resource> {
    let found = apiserver::builtin::BUILTINS.iter().map(|kind| kind.resource());
    found.clone().find(|known| known.plural == name).cloned().with_context(|| format!("no resource {name:?}"))
}

//! An operator written with kube-rs against the release binary: its definition, its controller, its finalizer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{self, Event};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Config, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tests::served::{GIVE_UP_AFTER, Served};
use tokio::task::JoinSet;

const MANAGER: &str = "greeter";
const FINALIZER: &str = "example.com/greeter";

/// A text that stands in as many ConfigMaps as are asked for.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Greeting",
    namespaced,
    shortname = "gr",
    status = "GreetingStatus",
    printcolumn = r#"{"name":"Copies", "type":"integer", "jsonPath":".status.copies"}"#
)]
struct GreetingSpec {
    text: String,
    #[schemars(range(min = 1, max = 5))]
    copies: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreetingStatus {
    copies: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_of_kube_rs_runs_unchanged() -> Result<()> {
    let served = tokio::task::spawn_blocking(|| Served::start(&[])).await??;
    let config = Kubeconfig::read_from(served.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let story = async {
        define(&client).await?;
        let mut operator = JoinSet::new();
        operator.spawn(run(client.clone()));
        use_it(&client).await?;
        operator.shutdown().await;
        Ok(())
    };
    tokio::time::timeout(GIVE_UP_AFTER, story).await.context(served.printed())?
}

/// Makes the kind known, and waits until it is served.
async fn define(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply(MANAGER);
    let definition =
        definitions.patch("greetings.example.com", &apply, &Patch::Apply(Greeting::crd())).await?;
    await_condition(definitions, &definition.name_any(), conditions::is_crd_established()).await?;
    Ok(())
}

async fn run(client: Client) {
    let greetings: Api<Greeting> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::all(client.clone());
    Controller::new(greetings, watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(100)), Arc::new(client))
        .for_each(|done| async {
            if let Err(error) = done {
                eprintln!("{error:?}");
            }
        })
        .await;
}

async fn reconcile(
    greeting: Arc<Greeting>,
    client: Arc<Client>,
) -> Result<Action, finalizer::Error<kube::Error>> {
    let client = Client::clone(&client);
    let namespace = greeting.namespace().unwrap_or_default();
    let greetings: Api<Greeting> = Api::namespaced(client.clone(), &namespace);
    finalizer::finalizer(&greetings, FINALIZER, greeting, |event| async {
        match event {
            Event::Apply(greeting) => spread(&client, &greeting).await,
            Event::Cleanup(greeting) => {
                let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
                maps.delete_collection(&DeleteParams::default(), &of(&greeting)).await?;
                Ok(Action::await_change())
            }
        }
    })
    .await
}

/// The ConfigMaps of a greeting.
fn of(greeting: &Greeting) -> ListParams {
    ListParams::default().labels(&format!("greeting={}", greeting.name_any()))
}

/// Has exactly the ConfigMaps that are asked for, and says so in the status.
async fn spread(client: &Client, greeting: &Greeting) -> Result<Action, kube::Error> {
    let (name, namespace) = (greeting.name_any(), greeting.namespace().unwrap_or_default());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let wanted: Vec<String> = (0..greeting.spec.copies).map(|copy| format!("{name}-{copy}")).collect();
    for copy in &wanted {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(copy.clone()),
                labels: Some([("greeting".to_owned(), name.clone())].into()),
                owner_references: Some(greeting.controller_owner_ref(&()).into_iter().collect()),
                ..ObjectMeta::default()
            },
            data: Some([("text".to_owned(), greeting.spec.text.clone())].into()),
            ..ConfigMap::default()
        };
        maps.patch(copy, &PatchParams::apply(MANAGER), &Patch::Apply(map)).await?;
    }
    for surplus in maps.list_metadata(&of(greeting)).await? {
        if !wanted.contains(&surplus.name_any()) {
            maps.delete(&surplus.name_any(), &DeleteParams::default()).await?;
        }
    }
    let greetings: Api<Greeting> = Api::namespaced(client.clone(), &namespace);
    let status = json!({"status": {"copies": wanted.len()}});
    greetings.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(Action::await_change())
}

async fn use_it(client: &Client) -> Result<()> {
    let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let greeting = Greeting::new("day", GreetingSpec { text: "good day".to_owned(), copies: 2 });
    let greeting = greetings.create(&PostParams::default(), &greeting).await?;
    await_copies(&greetings, 2).await?;
    let texts = maps.list(&of(&greeting)).await?.items;
    let texts: Vec<_> = texts.iter().map(|map| map.data.as_ref().and_then(|data| data.get("text"))).collect();
    ensure!(texts == [Some(&"good day".to_owned()); 2], "{texts:?}");

    let more = Patch::Merge(json!({"spec": {"copies": 4}}));
    greetings.patch("day", &PatchParams::default(), &more).await?;
    await_copies(&greetings, 4).await?;
    let fewer = Patch::Merge(json!({"spec": {"copies": 1}}));
    greetings.patch("day", &PatchParams::default(), &fewer).await?;
    await_copies(&greetings, 1).await?;
    ensure!(maps.list(&of(&greeting)).await?.items.len() == 1, "surplus ConfigMaps stayed");

    let too_many = Patch::Merge(json!({"spec": {"copies": 9}}));
    let refused = greetings.patch("day", &PatchParams::default(), &too_many).await.map(|_| ());
    let Err(kube::Error::Api(status)) = refused else {
        anyhow::bail!("9 copies: {refused:?}");
    };
    let words = "Greeting.example.com \"day\" is invalid: spec.copies: Invalid value: 9: spec.copies in body should be \
                 less than or equal to 5";
    ensure!((status.code, status.message.as_str()) == (422, words), "{status:?}");

    greetings.delete("day", &DeleteParams::default()).await?;
    let uid = greeting.uid().context("a uid")?;
    await_condition(greetings.clone(), "day", conditions::is_deleted(&uid)).await?;
    ensure!(maps.list(&of(&greeting)).await?.items.is_empty(), "ConfigMaps outlived their greeting");
    Ok(())
}

async fn await_copies(greetings: &Api<Greeting>, copies: u32) -> Result<()> {
    let has = |greeting: Option<&Greeting>| {
        greeting.and_then(|greeting| greeting.status.as_ref()).is_some_and(|status| status.copies == copies)
    };
    await_condition(greetings.clone(), "day", has).await?;
    Ok(())
}

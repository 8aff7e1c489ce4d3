//! Images for a run: programs beside the manifests are imported, and an image that is nowhere is told before anything starts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use runtime::engine::wasm::TOOLBOX_IMAGE;
use runtime::images::{Image, ImageStore, Reference};
use serde_json::{Value, json};

use super::desired::Desired;
use super::mistake::{Mistake, Mistakes};

/// The annotation by which a pod template follows its programs: it changes when one of them does.
const PROGRAMS: &str = "peapod.dev/programs";

/// Imports each `NAME.wasm` as `localhost/NAME:latest`; gives those whose content is new.
pub fn import(store: &ImageStore, programs: &[PathBuf]) -> Result<Vec<Image>> {
    let imported = programs.iter().map(|program| import_one(store, program));
    imported.filter_map(Result::transpose).collect()
}

fn import_one(store: &ImageStore, program: &Path) -> Result<Option<Image>> {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let context = || format!("import {} as localhost/{name}:latest", program.display());
    let reference = Reference::local(&name).with_context(context)?;
    let before = store.find(&reference);
    let image = store.import_file(program, &reference)?;
    Ok(Some(image).filter(|image| before.is_none_or(|before| before.digest != image.digest)))
}

/// Notes in each pod template which programs it runs, so that a changed program is rolled out as a changed image is.
pub fn stamp(store: &ImageStore, desired: &mut [Desired]) {
    for one in desired {
        let programs: Vec<String> = images(&one.value, TEMPLATE)
            .filter_map(|(.., image)| store.find(&image.parse().ok()?))
            .map(|image| format!("{}@{}", image.reference, image.digest))
            .collect();
        let template = one.value.pointer_mut("/spec/template").and_then(Value::as_object_mut);
        let metadata = template.map(|template| template.entry("metadata").or_insert_with(|| json!({})));
        let annotations = metadata.and_then(Value::as_object_mut);
        let annotations =
            annotations.map(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})));
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.insert(PROGRAMS.to_owned(), programs.join(",").into());
        }
    }
}

/// Checks that every container's image is in the store, or can be in a registry.
pub fn check(store: &ImageStore, desired: &[Desired]) -> Result<(), Mistakes> {
    let mut mistakes = Vec::new();
    for one in desired {
        for spec in [POD, TEMPLATE] {
            for (list, index, image) in images(&one.value, spec) {
                let field = format!("{spec}.{list}[{index}].image");
                mistakes.extend(check_one(store, one, &field, image));
            }
        }
    }
    Mistakes::none_or(mistakes)
}

fn check_one(store: &ImageStore, one: &Desired, field: &str, image: &str) -> Option<Mistake> {
    let sentence = match image.parse::<Reference>() {
        // The API server words what is wrong with the reference itself.
        Err(_) => return None,
        Ok(reference) if store.find(&reference).is_some() => return None,
        Ok(reference) if reference.is_local() => not_in_store(store, image),
        // The node pulls it.
        Ok(_) => return None,
    };
    Some(one.mistake_at(field, &sentence))
}

fn not_in_store(store: &ImageStore, image: &str) -> String {
    let known = store.list().into_iter().map(|image| image.reference.to_string());
    // Every store has the shell; naming it here would only distract.
    let known: Vec<String> = known.filter(|name| name != TOOLBOX_IMAGE).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!(
        "image {image:?} is not in the image store, which has {known}; \
         import it with: peapod image import FILE.wasm --as NAME[:TAG]"
    )
}

/// Where a pod, and whatever makes pods, has its containers.
const POD: &str = "spec";
const TEMPLATE: &str = "spec.template.spec";

/// Containers of a pod that have images.
const LISTS: [&str; 2] = ["initContainers", "containers"];

/// The images of the containers below `spec`, by the containers' places.
fn images<'a>(object: &'a Value, spec: &str) -> impl Iterator<Item = (&'static str, usize, &'a str)> {
    let spec = spec.split('.').try_fold(object, |value, field| value.get(field));
    LISTS.into_iter().flat_map(move |list| {
        let containers = spec.and_then(|spec| spec[list].as_array()).into_iter().flatten();
        let images = containers.map(|container| container["image"].as_str()).enumerate();
        images.filter_map(move |(index, image)| Some((list, index, image?)))
    })
}

//! Configurations of strangers, applied to objects of which others say who owns them.

use api::backend::Body;
use serde_json::Value;

use super::schemas::declared;
use crate::custom::declared::Declared;
use crate::managed::{Manager, Operation, Shape, Versions, entries};
use crate::patch::apply::{Apply, apply, check};
use crate::schema::{self, Type};

/// An object, its owners, a configuration, and the version of a definition if the kind is a custom one; in JSON, with a zero
/// byte between: what was applied changes nothing when it is applied again, and the owners are written so that they are
/// read alike.
pub fn applies(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut next = || serde_json::from_slice::<Value>(parts.next()?).ok();
    let (Some(object), Some(owners), Some(config)) = (next(), next(), next()) else {
        return;
    };
    let declared = next().and_then(declared);
    let kind = Kind::of(&object, declared.as_ref());
    let Some(object) = kind.read(object) else {
        return;
    };
    let mut state = State { owners: written(&owners), object };
    for force in [false, true] {
        let before = state.clone();
        match state.apply(&kind, &config, force) {
            Applied::Refused => assert_eq!(state, before, "a refusal changes nothing"),
            Applied::Done => {
                let once = state.clone();
                assert_eq!(state.apply(&kind, &config, false), Applied::Done, "{config}");
                assert_eq!(state, once, "{config}");
            }
            Applied::Unfit => return,
        }
    }
}

/// The text of the owners that a client sent.
fn written(owners: &Value) -> String {
    let text =
        entries::from_value(owners).map(|mut entries| entries::write(&mut entries)).unwrap_or_default();
    if !text.is_empty() {
        let mut again = entries::parse(&text).expect("owners are read as they were written");
        assert_eq!(entries::write(&mut again), text);
    }
    text
}

enum Kind<'d> {
    Builtin(&'static Type),
    Custom(&'d Declared),
}

impl<'d> Kind<'d> {
    fn of(object: &Value, declared: Option<&'d Declared>) -> Self {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        let pod = || schema::builtin().named("core.v1.Pod").expect("it is a type");
        match declared {
            Some(declared) => Self::Custom(declared),
            None => Self::Builtin(schema::builtin().kind(group, version, text("kind")).unwrap_or_else(pod)),
        }
    }

    fn shape(&self) -> Shape<'_> {
        match self {
            Self::Builtin(of) => Shape::Structure(of),
            Self::Custom(declared) => Shape::Node(
                declared.versions[0]
                    .kind()
                    .ownership()
                    .expect("the owners of a custom kind's fields are known"),
            ),
        }
    }

    /// The object as it is stored.
    fn read(&self, object: Value) -> Option<Value> {
        match self {
            Self::Builtin(of) => schema::normalize(of, object).ok().map(|decoded| decoded.value),
            Self::Custom(declared) => {
                let kind = declared.versions[0].kind().custom()?;
                kind.read(Body::Value(object)).ok().map(|read| read.value)
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Applied {
    Done,
    /// Others own what it would change.
    Refused,
    /// The configuration, or what it leads to, is no object of the kind.
    Unfit,
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    object: Value,
    owners: String,
}

impl State {
    fn apply(&mut self, kind: &Kind<'_>, config: &Value, force: bool) -> Applied {
        if !config.is_object() || check(kind.shape(), config).is_some() {
            return Applied::Unfit;
        }
        let mut entries = entries::parse(&self.owners).unwrap_or_default();
        let version = self.object["apiVersion"].as_str().unwrap_or("v1").to_owned();
        let manager = &Manager::new("stranger", Operation::Apply, &version, "");
        // Whoever owns something owns it in a version that differs in its name only.
        let versions = &entries.iter().fold(Versions::new(&version, kind.shape(), None), |known, entry| {
            known.with(&entry.manager.api_version, kind.shape(), None)
        });
        let request = Apply { versions, config, manager, ignored: &["status"], force };
        let Ok(next) = apply(request, &self.object, &mut entries, "2026-01-02T03:04:05Z") else {
            return Applied::Refused;
        };
        let owners = entries::write(&mut entries);
        if let Some(next) = next {
            let Some(object) = kind.read(next) else {
                return Applied::Unfit;
            };
            self.object = object;
        }
        self.owners = owners;
        Applied::Done
    }
}

//! What a client wants to be shown, as its header Accept says.

use api::Status;
use api::field::FieldError;
use api::status::Reason;
use http::HeaderMap;
use http::header::ACCEPT;

use super::encode::Encoding;
use super::query::Query;

/// How objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As they are.
    Whole,
    /// As rows of a table, with as much of the object as is asked for.
    Table(Include),
    /// Their metadata alone.
    Metadata,
    /// The metadata of a list of them.
    MetadataList,
}

/// What a client wants to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub shape: Shape,
    /// The version of what is shown instead of the objects.
    pub api_version: &'static str,
    pub encoding: Encoding,
}

/// What can be shown at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Whether there are messages for whole objects.
    pub has_protobuf: bool,
    pub is_watch: bool,
}

/// What a media type asks for.
#[derive(Clone, Copy)]
enum Form {
    Whole,
    Table,
    Metadata,
    MetadataList,
}

/// What the row of a table has of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// Which version of the discovery documents is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discovery {
    Legacy,
    LegacyProtobuf,
    V2,
    V2Beta1,
}

/// In which form the document of OpenAPI v2 is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegacySchema {
    Json,
    Protobuf,
}

/// The media type of Kubernetes' messages.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The versions of what is shown instead of objects.
const META_V1: &str = "meta.k8s.io/v1";
const META_V1BETA1: &str = "meta.k8s.io/v1beta1";

/// One of the media types a client takes.
struct MediaType<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaType<'a> {
    fn parse(text: &'a str) -> (Self, f32) {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let media_type = Self { name, parameters };
        let weight = media_type.parameter("q").and_then(|weight| weight.parse().ok());
        (media_type, weight.unwrap_or(1.0))
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        self.is(Encoding::Json)
    }

    fn is(&self, encoding: Encoding) -> bool {
        let own = match encoding {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
            Encoding::Protobuf => PROTOBUF,
        };
        [own, "application/*", "*/*"].iter().any(|known| self.name.eq_ignore_ascii_case(known))
    }

    /// How many of its two words are open.
    fn stars(&self) -> usize {
        self.name.matches('*').count()
    }

    /// Whether it asks for no other stream than there is in this encoding.
    fn streams(&self, encoding: Encoding) -> bool {
        match self.parameter("stream") {
            None | Some("") => true,
            Some(stream) => stream == "watch" && encoding != Encoding::Yaml,
        }
    }

    /// What it asks for, with its version; none if there is no such thing.
    fn form(&self) -> Option<(Form, &'static str)> {
        if ["as", "g", "v"].iter().all(|name| self.parameter(name).is_none()) {
            return Some((Form::Whole, META_V1));
        }
        let api_version = match self.parameter("v") {
            Some("v1") => META_V1,
            Some("v1beta1") => META_V1BETA1,
            _ => return None,
        };
        let form = match self.parameter("as")? {
            "Table" => Form::Table,
            "PartialObjectMetadata" => Form::Metadata,
            "PartialObjectMetadataList" => Form::MetadataList,
            _ => return None,
        };
        (self.parameter("g") == Some("meta.k8s.io")).then_some((form, api_version))
    }

    /// Whether it asks for another representation, by its group, version and kind.
    fn is_as(&self, group: &str, version: &str, kinds: &[&str]) -> bool {
        self.parameter("g") == Some(group)
            && self.parameter("v") == Some(version)
            && self.parameter("as").is_some_and(|kind| kinds.contains(&kind))
    }
}

/// What the client takes, the dearest first. Without a header it takes anything.
fn accepted(headers: &HeaderMap) -> Vec<MediaType<'_>> {
    let texts: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
    let mut weighted: Vec<(MediaType<'_>, f32)> = parts.map(MediaType::parse).collect();
    if weighted.is_empty() {
        weighted.push(MediaType::parse("*/*"));
    }
    weighted.retain(|(_, weight)| *weight > 0.0);
    weighted.sort_by(|(one, one_weight), (other, other_weight)| {
        other_weight.total_cmp(one_weight).then(one.stars().cmp(&other.stars()))
    });
    weighted.into_iter().map(|(media_type, _)| media_type).collect()
}

/// How the objects of an answer are to be shown, by the first that fits of what the client takes.
pub(super) fn wanted(headers: &HeaderMap, query: &Query, offer: Offer) -> Result<Wanted, Status> {
    const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::Yaml, Encoding::Protobuf];
    for media_type in &accepted(headers) {
        for encoding in ENCODINGS.into_iter().filter(|encoding| media_type.is(*encoding)) {
            let Some((form, api_version)) = media_type.form().filter(|_| media_type.streams(encoding)) else {
                continue;
            };
            let fits = match form {
                Form::Whole => encoding != Encoding::Protobuf || offer.has_protobuf,
                Form::Table => encoding != Encoding::Protobuf,
                Form::Metadata | Form::MetadataList => true,
            };
            if !fits {
                continue;
            }
            // Kubernetes looks no further either.
            if offer.is_watch && encoding == Encoding::Yaml {
                return Err(not_acceptable(offer.is_watch));
            }
            let shape = match form {
                Form::Whole => Shape::Whole,
                Form::Table => Shape::Table(include(query)?),
                Form::Metadata => Shape::Metadata,
                Form::MetadataList => Shape::MetadataList,
            };
            return Ok(Wanted { shape, api_version, encoding });
        }
    }
    Err(not_acceptable(offer.is_watch))
}

/// In which encoding the client wants to be told what went wrong.
pub(super) fn encoding_of_failures(headers: &HeaderMap) -> Encoding {
    let offer = Offer { has_protobuf: true, is_watch: false };
    wanted(headers, &Query::default(), offer).map_or(Encoding::Json, |wanted| wanted.encoding)
}

fn include(query: &Query) -> Result<Include, Status> {
    match query.text("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::Nothing),
        Some("Object") => Ok(Include::Object),
        Some(other) => {
            let allowed = ["", "Metadata", "None", "Object"];
            let error = FieldError::unsupported("includeObject", other, &allowed);
            Err(Status::bad_request(format!("Unable to convert to Table as requested: {error}")))
        }
    }
}

/// Which discovery document is to be shown.
pub(super) fn discovery(headers: &HeaderMap) -> Result<Discovery, Status> {
    for media_type in &accepted(headers) {
        if media_type.name.eq_ignore_ascii_case(PROTOBUF) && media_type.parameter("as").is_none() {
            return Ok(Discovery::LegacyProtobuf);
        }
        if !media_type.is_json() {
            continue;
        }
        let is_list = |version| media_type.is_as("apidiscovery.k8s.io", version, &["APIGroupDiscoveryList"]);
        if is_list("v2") {
            return Ok(Discovery::V2);
        }
        if is_list("v2beta1") {
            return Ok(Discovery::V2Beta1);
        }
        if media_type.parameter("as").is_none() {
            return Ok(Discovery::Legacy);
        }
    }
    Err(not_acceptable(false))
}

/// In which form the document of OpenAPI v2 is to be shown; none if the client takes neither.
pub(super) fn legacy_schema(headers: &HeaderMap) -> Option<LegacySchema> {
    const PROTOBUF: [&str; 2] = [
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    ];
    accepted(headers).iter().find_map(|media_type| {
        let is_protobuf = PROTOBUF.iter().any(|known| media_type.name.eq_ignore_ascii_case(known));
        match is_protobuf {
            true => Some(LegacySchema::Protobuf),
            false => media_type.is_json().then_some(LegacySchema::Json),
        }
    })
}

fn not_acceptable(is_watch: bool) -> Status {
    let types = match is_watch {
        true => "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
        false => "application/json, application/yaml, application/vnd.kubernetes.protobuf",
    };
    Status::new(Reason::NotAcceptable, format!("only the following media types are accepted: {types}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])
    }

    const OBJECTS: Offer = Offer { has_protobuf: true, is_watch: false };

    #[test]
    fn the_dearest_of_what_can_be_shown_is_shown() {
        let offered = |offer: Offer, accept: &str, expected: Option<(Shape, Encoding)>| {
            let found = wanted(&headers(accept), &Query::default(), offer).ok();
            assert_eq!(found.map(|found| (found.shape, found.encoding)), expected, "{accept}");
        };
        let row = |accept: &str, expected: Option<(Shape, Encoding)>| offered(OBJECTS, accept, expected);
        let json = |shape| Some((shape, Encoding::Json));
        let whole = |encoding| Some((Shape::Whole, encoding));
        row("*/*", json(Shape::Whole));
        row("application/*", json(Shape::Whole));
        row("application/json", json(Shape::Whole));
        row("application/json;stream=watch", json(Shape::Whole));
        row("application/json;stream=events", None);
        row("application/vnd.kubernetes.protobuf,application/json", whole(Encoding::Protobuf));
        row("application/json,application/vnd.kubernetes.protobuf", json(Shape::Whole));
        row("application/vnd.kubernetes.protobuf", whole(Encoding::Protobuf));
        row("*/*, application/yaml", whole(Encoding::Yaml));
        row("application/cbor, application/yaml", whole(Encoding::Yaml));
        row("text/html;q=0.9, application/*;q=0.1", json(Shape::Whole));
        row("text/html", None);
        let table = Shape::Table(Include::Metadata);
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
            g=meta.k8s.io,application/json";
        row(kubectl, json(table));
        row("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", json(Shape::Whole));
        row("application/json;as=Table;v=v2;g=meta.k8s.io", None);
        row("application/json;as=Status;v=v1;g=meta.k8s.io", None);
        row("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", None);
        row(
            &format!("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,{kubectl}"),
            json(table),
        );
        row("application/json;q=0.1, application/json;as=Table;g=meta.k8s.io;v=v1", json(table));
        row("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", json(Shape::MetadataList));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
            application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        row(metadata, Some((Shape::Metadata, Encoding::Protobuf)));
        let custom =
            |accept: &str, expected| offered(Offer { has_protobuf: false, ..OBJECTS }, accept, expected);
        custom("application/vnd.kubernetes.protobuf,application/json", json(Shape::Whole));
        custom("application/vnd.kubernetes.protobuf", None);
        custom(metadata, Some((Shape::Metadata, Encoding::Protobuf)));
        let watch = |accept: &str, expected| offered(Offer { is_watch: true, ..OBJECTS }, accept, expected);
        watch("application/vnd.kubernetes.protobuf;stream=watch", whole(Encoding::Protobuf));
        watch("application/yaml", None);
        let old =
            wanted(&headers("application/json;as=Table;v=v1beta1;g=meta.k8s.io"), &Query::default(), OBJECTS);
        assert_eq!(old.unwrap().api_version, META_V1BETA1);
        let shown = wanted(&HeaderMap::new(), &Query::default(), OBJECTS).unwrap();
        assert_eq!((shown.shape, shown.encoding), (Shape::Whole, Encoding::Json));
        let nothing = Query::parse(Some("includeObject=None"));
        assert_eq!(
            wanted(&headers(kubectl), &nothing, OBJECTS).unwrap().shape,
            Shape::Table(Include::Nothing)
        );
        let refused = wanted(&headers(kubectl), &Query::parse(Some("includeObject=All")), OBJECTS);
        assert_eq!(
            refused.unwrap_err().message,
            r#"Unable to convert to Table as requested: includeObject: Unsupported value: "All": supported values: "", "Metadata", "None", "Object""#
        );
    }

    #[test]
    fn what_nobody_can_be_shown_is_said_in_kubernetes_words() {
        let row = |is_watch: bool, expected: &str| {
            let refused =
                wanted(&headers("text/html"), &Query::default(), Offer { is_watch, ..OBJECTS }).unwrap_err();
            assert_eq!(
                (refused.code, refused.message),
                (406, format!("only the following media types are accepted: {expected}"))
            );
        };
        row(false, "application/json, application/yaml, application/vnd.kubernetes.protobuf");
        row(true, "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch");
    }

    #[test]
    fn the_document_of_version_2_is_shown_in_two_forms() {
        let row = |accept: &str, expected: Option<LegacySchema>| {
            assert_eq!(legacy_schema(&headers(accept)), expected, "{accept}");
        };
        row("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", Some(LegacySchema::Protobuf));
        row("application/com.github.proto-openapi.spec.v2.v1.0+protobuf", Some(LegacySchema::Protobuf));
        row("application/json", Some(LegacySchema::Json));
        row("*/*", Some(LegacySchema::Json));
        row(
            "application/*;q=0.5, application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            Some(LegacySchema::Protobuf),
        );
        row("text/html", None);
    }

    #[test]
    fn discovery_is_shown_in_the_newest_form_the_client_knows() {
        let row = |accept: &str, expected: Discovery| {
            assert_eq!(discovery(&headers(accept)).unwrap(), expected, "{accept}");
        };
        let (v2, v2beta1) = (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        );
        row(&format!("{v2},{v2beta1},application/json"), Discovery::V2);
        row(&format!("{v2beta1},application/json"), Discovery::V2Beta1);
        row("application/json", Discovery::Legacy);
        row("application/vnd.kubernetes.protobuf,application/json", Discovery::LegacyProtobuf);
        row(&format!("{},{v2}", v2.replace("json", "vnd.kubernetes.protobuf")), Discovery::V2);
        row("*/*", Discovery::Legacy);
    }
}

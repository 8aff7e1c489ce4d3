//! What a client wants to be shown, as its header Accept says.

use api::Status;
use api::status::Reason;
use http::HeaderMap;
use http::header::ACCEPT;

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
    V2,
    V2Beta1,
}

/// In which form the document of OpenAPI v2 is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegacySchema {
    Json,
    Protobuf,
}

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
        ["application/json", "application/*", "*/*"].iter().any(|known| self.name.eq_ignore_ascii_case(known))
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
    weighted.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    weighted.into_iter().map(|(media_type, _)| media_type).collect()
}

/// How the objects of an answer are to be shown.
pub(super) fn shape(headers: &HeaderMap, query: &Query) -> Result<Shape, Status> {
    for media_type in accepted(headers).iter().filter(|media_type| media_type.is_json()) {
        if media_type.parameter("as").is_none() {
            return Ok(Shape::Whole);
        }
        if media_type.is_as("meta.k8s.io", "v1", &["Table"]) {
            return include(query).map(Shape::Table);
        }
        if media_type.is_as("meta.k8s.io", "v1", &["PartialObjectMetadata", "PartialObjectMetadataList"]) {
            return Ok(Shape::Metadata);
        }
    }
    Err(not_acceptable())
}

fn include(query: &Query) -> Result<Include, Status> {
    match query.text("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::Nothing),
        Some("Object") => Ok(Include::Object),
        Some(other) => Err(Status::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}

/// Which discovery document is to be shown.
pub(super) fn discovery(headers: &HeaderMap) -> Result<Discovery, Status> {
    for media_type in accepted(headers).iter().filter(|media_type| media_type.is_json()) {
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
    Err(not_acceptable())
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

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, "only the following media types are accepted: application/json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])
    }

    #[test]
    fn the_dearest_of_what_can_be_shown_is_shown() {
        let row = |accept: &str, expected: Option<Shape>| {
            assert_eq!(shape(&headers(accept), &Query::default()).ok(), expected, "{accept}");
        };
        row("*/*", Some(Shape::Whole));
        row("application/json", Some(Shape::Whole));
        row("application/json;stream=watch", Some(Shape::Whole));
        row("application/vnd.kubernetes.protobuf,application/json", Some(Shape::Whole));
        row("application/vnd.kubernetes.protobuf", None);
        row("text/html;q=0.9, application/*;q=0.1", Some(Shape::Whole));
        let table = Some(Shape::Table(Include::Metadata));
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
            g=meta.k8s.io,application/json";
        row(kubectl, table);
        row("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Some(Shape::Whole));
        row("application/json;as=Table;v=v1beta1;g=meta.k8s.io", None);
        row("application/json;q=0.1, application/json;as=Table;g=meta.k8s.io;v=v1", table);
        row("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Shape::Metadata));
        row(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
            application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Some(Shape::Metadata),
        );
        assert_eq!(shape(&HeaderMap::new(), &Query::default()).unwrap(), Shape::Whole);
        let nothing = Query::parse(Some("includeObject=None"));
        assert_eq!(shape(&headers(kubectl), &nothing).unwrap(), Shape::Table(Include::Nothing));
        assert!(shape(&headers(kubectl), &Query::parse(Some("includeObject=All"))).is_err());
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
    }
}

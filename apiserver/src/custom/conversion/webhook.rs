//! Asks a webhook to convert objects, as many at once as fit a request.

use std::time::Duration;

use api::Status;
use api::status::Reason;
use serde_json::Value;

use super::answer::accepted;
use crate::outgoing::{Address, Outgoing, Reply, Trust};
use crate::tree;

/// So long a webhook may take, as in Kubernetes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One request has so many bytes of objects, or one object: a list is not held in memory twice.
const PORTION_BYTES: usize = 1 << 20;

/// The versions of reviews that can be written and read.
pub const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// A webhook that converts the objects of a custom kind.
#[derive(Debug)]
pub struct Webhook {
    address: Result<Address, String>,
    trust: Result<Trust, String>,
    /// The first of the versions it takes that is known here.
    review_version: Option<&'static str>,
}

impl Webhook {
    /// Reads the part `webhook` of a conversion.
    pub fn read(webhook: &Value) -> Self {
        let config = &webhook["clientConfig"];
        let versions = webhook["conversionReviewVersions"].as_array().into_iter().flatten();
        let known = |version: &Value| REVIEW_VERSIONS.into_iter().find(|known| version == known);
        Self {
            address: Address::of_client_config(config),
            trust: Trust::of_bundle(tree::text(config, "caBundle")),
            review_version: versions.filter_map(known).next(),
        }
    }

    /// Trees of a kind in another version.
    pub async fn convert(
        &self,
        values: &[Value],
        wanted: &str,
        outgoing: Option<&Outgoing>,
    ) -> Result<Vec<Value>, Status> {
        let mut converted = Vec::with_capacity(values.len());
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        let mut rest = values;
        for portion in portions(&texts) {
            let (given, later) = rest.split_at(portion.len());
            rest = later;
            let answered = self.ask(given, portion, wanted, outgoing).await;
            converted.append(&mut answered.map_err(|words| failed(given, &words))?);
        }
        Ok(converted)
    }

    async fn ask(
        &self,
        given: &[Value],
        texts: &[String],
        wanted: &str,
        outgoing: Option<&Outgoing>,
    ) -> Result<Vec<Value>, String> {
        let not_asked = |words: &str| format!("failed: {words}");
        let outgoing = outgoing.ok_or_else(|| not_asked("this server has no way to others"))?;
        let address = self.address.as_ref().map_err(|words| not_asked(words))?;
        let trust = self.trust.as_ref().map_err(|words| not_asked(words))?;
        let none = || not_asked("no supported conversion review versions");
        let version = format!("apiextensions.k8s.io/{}", self.review_version.ok_or_else(none)?);
        // Nothing else is answered on its connection, so the uid of the first object tells a request apart.
        let uid = tree::text(&given[0]["metadata"], "uid").unwrap_or_default();
        let body = review(&version, uid, wanted, texts);
        let reply = outgoing.post(address, trust, body, TIMEOUT).await;
        let answer =
            reply.and_then(Reply::good).and_then(|body| read(&body)).map_err(|words| not_asked(&words))?;
        accepted(given, answer, &version, uid, wanted)
    }
}

/// The objects in runs that fit one request each.
fn portions(texts: &[String]) -> Vec<&[String]> {
    let (mut portions, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > begin && bytes + text.len() > PORTION_BYTES {
            portions.push(&texts[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += text.len();
    }
    portions.extend((begin < texts.len()).then(|| &texts[begin..]));
    portions
}

fn review(version: &str, uid: &str, wanted: &str, texts: &[String]) -> Vec<u8> {
    let (uid, wanted) = (Value::from(uid), Value::from(wanted));
    let objects = texts.join(",");
    format!(
        r#"{{"kind":"ConversionReview","apiVersion":"{version}","request":{{"uid":{uid},"desiredAPIVersion":{wanted},"objects":[{objects}]}}}}"#
    )
    .into_bytes()
}

fn read(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("couldn't get version/kind; json parse error: {error}"))
}

/// Kubernetes takes it for a failure of its own, without a reason.
fn failed(given: &[Value], words: &str) -> Status {
    let text = |field| tree::text(&given[0], field).unwrap_or_default();
    let of = format!("{}, Kind={}", text("apiVersion"), text("kind"));
    Status { code: 500, ..Status::new(Reason::Unknown, format!("conversion webhook for {of} {words}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_objects_are_sent_in_portions() {
        let row = |sizes: &[usize], expected: &[usize]| {
            let texts: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let found: Vec<usize> = portions(&texts).iter().map(|portion| portion.len()).collect();
            assert_eq!(found, expected, "{sizes:?}");
        };
        let half = PORTION_BYTES / 2;
        row(&[], &[]);
        row(&[1], &[1]);
        row(&[half, half], &[2]);
        row(&[half, half, 1], &[2, 1]);
        row(&[half, half + 1, half], &[1, 1, 1]);
        row(&[4 * half, 1, 4 * half], &[1, 1, 1]);
    }
}

//! What users get wrong in how a webhook is reached.

use api::field::FieldError;
use k8s_openapi::api::admissionregistration::v1::ServiceReference;

use crate::names::{Form, port_mistake};
use crate::path::Path;

const FORM: &str = "; desired format: https://host[/path]";

/// Checks a URL or a service, of which there must be one.
pub fn check_client(
    url: Option<&str>,
    service: Option<&ServiceReference>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    match (url, service) {
        (Some(url), None) => check_url(url, &path.child("url"), errors),
        (None, Some(service)) => check_service(service, &path.child("service"), errors),
        _ => errors.push(FieldError::required(*path, "exactly one of url or service is required")),
    }
}

fn check_url(url: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if url.contains(char::is_whitespace) || url.contains(char::is_control) {
        let words = format!("url must be a valid URL: it holds characters that no URL has{FORM}");
        errors.push(FieldError::required(*path, words));
        return;
    }
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, user) = match rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        Some((user, host)) => (host, user),
        None if scheme.is_empty() => ("", ""),
        None => (rest.split('/').next().unwrap_or_default(), ""),
    };
    let mut refuse = |value: &str, words: String| errors.push(FieldError::invalid(*path, value, words));
    if !scheme.eq_ignore_ascii_case("https") {
        refuse(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        refuse(host, format!("host must be specified{FORM}"));
    }
    if !user.is_empty() {
        refuse(user, "user information is not permitted in the URL".to_owned());
    }
    if !fragment.is_empty() {
        refuse(fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !query.is_empty() {
        refuse(query, "query parameters are not permitted in the URL".to_owned());
    }
}

fn check_service(service: &ServiceReference, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if service.name.is_empty() {
        errors.push(FieldError::required(path.child("name"), "service name is required"));
    }
    if service.namespace.is_empty() {
        errors.push(FieldError::required(path.child("namespace"), "service namespace is required"));
    }
    if let Some(port) = service.port
        && let Some(words) = port_mistake(port)
    {
        let words = format!("port is not valid: {words}");
        errors.push(FieldError::invalid(path.child("port"), port, words));
    }
    if let Some(text) = service.path.as_deref() {
        check_path(text, &path.child("path"), errors);
    }
}

fn check_path(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut refuse = |words: String| errors.push(FieldError::invalid(*path, text, words));
    let Some(rest) = text.strip_prefix('/') else {
        refuse("must start with a '/'".to_owned());
        return;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return;
    }
    for (index, segment) in rest.split('/').enumerate() {
        if segment.is_empty() {
            refuse(format!("segment[{index}] may not be empty"));
            continue;
        }
        for mistake in Form::Subdomain.mistakes(segment) {
            refuse(format!("segment[{index}]: {mistake}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_reached_in_one_safe_way() {
        let row = |url: Option<&str>, service: Option<(&str, i32)>, expected: &[&str]| {
            let service = service.map(|(path, port)| ServiceReference {
                name: "s".to_owned(),
                namespace: "n".to_owned(),
                path: Some(path.to_owned()),
                port: Some(port),
            });
            let mut errors = Vec::new();
            check_client(url, service.as_ref(), &Path::new("c"), &mut errors);
            let found: Vec<String> = errors.iter().map(FieldError::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}: {expected}");
            }
        };
        row(None, None, &["c: Required value: exactly one of url or service"]);
        row(Some("https://a"), Some(("/", 1)), &["exactly one"]);
        row(Some("https://a.b:8443/c"), None, &[]);
        row(Some("http://a"), None, &[r#""http": 'https' is the only allowed URL scheme"#]);
        row(Some("https:///x"), None, &["host must be specified"]);
        row(Some("a"), None, &["'https' is the only", "host must be"]);
        row(Some("https://u:p@a/b?c#d"), None, &[r#""u:p": user"#, r#""d": fragments"#, r#""c": query"#]);
        row(None, Some(("/a/b/", 443)), &[]);
        row(None, Some(("a", 0)), &["port is not valid", "must start with a '/'"]);
        row(None, Some(("/a//b", 1)), &["segment[1] may not be empty"]);
        row(None, Some(("/a/_", 1)), &["segment[1]: a lowercase RFC 1123 subdomain"]);
    }
}

//! The form of label keys and values.

const NAME_LIMIT: usize = 63;
const PREFIX_LIMIT: usize = 253;

/// What is wrong with the key of a label, in Kubernetes' words; empty if nothing is.
pub fn check_label_key(key: &str) -> Vec<String> {
    let mut parts = key.split('/');
    let (prefix, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (None, name),
        (Some(prefix), Some(name), None) => (Some(prefix), name),
        _ => {
            return vec![format!(
                "a qualified name {NAME_FORM} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
    };
    let mut wrongs = Vec::new();
    if let Some(prefix) = prefix {
        check_prefix(prefix, &mut wrongs);
    }
    if name.is_empty() {
        wrongs.push("name part must be non-empty".to_owned());
    } else if name.len() > NAME_LIMIT {
        wrongs.push(format!("name part {}", too_long(NAME_LIMIT)));
    }
    if !is_name(name) {
        wrongs.push(format!("name part {NAME_FORM}"));
    }
    wrongs
}

/// What is wrong with the value of a label, in Kubernetes' words; empty if nothing is.
pub fn check_label_value(value: &str) -> Vec<String> {
    let mut wrongs = Vec::new();
    if value.len() > NAME_LIMIT {
        wrongs.push(too_long(NAME_LIMIT));
    }
    if !value.is_empty() && !is_name(value) {
        wrongs.push(VALUE_FORM.to_owned());
    }
    wrongs
}

/// Is it a DNS subdomain as RFC 1123 has it, in lower case: the form of most objects' names?
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= PREFIX_LIMIT && has_form_of_subdomain(text)
}

fn check_prefix(prefix: &str, wrongs: &mut Vec<String>) {
    if prefix.is_empty() {
        wrongs.push("prefix part must be non-empty".to_owned());
        return;
    }
    if prefix.len() > PREFIX_LIMIT {
        wrongs.push(format!("prefix part {}", too_long(PREFIX_LIMIT)));
    }
    if !has_form_of_subdomain(prefix) {
        wrongs.push(format!("prefix part {SUBDOMAIN_FORM}"));
    }
}

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn has_form_of_subdomain(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.split('.').map(str::as_bytes).all(|label| {
        label.first().is_some_and(is_alphanumeric)
            && label.last().is_some_and(is_alphanumeric)
            && label.iter().all(|byte| is_alphanumeric(byte) || *byte == b'-')
    })
}

const NAME_FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used \
    for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const VALUE_FORM: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const SUBDOMAIN_FORM: &str = "a lowercase RFC 1123 subdomain must consist of lower case \
    alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character \
    (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

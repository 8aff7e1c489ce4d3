//! The forms that names may have, and the words Kubernetes has for those that do not.

use std::net::IpAddr;

use api::field::FieldError;

use crate::path::Path;

/// A form of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Labels joined by dots: the names of most objects.
    Subdomain,
    /// One label: the names of namespaces, containers and volumes.
    Label,
    /// One label that starts with a letter: the names of services.
    Label1035,
    /// What can stand between two slashes of a path: the names of roles, such as `system:node`.
    PathSegment,
    /// The canonical form of an address: the names of IPAddresses.
    Address,
}

impl Form {
    /// What is wrong with `name`; empty if nothing is.
    pub fn mistakes(self, name: &str) -> Vec<String> {
        match self {
            Self::PathSegment => return segment_mistakes(name),
            Self::Address => return address_mistake(name).into_iter().collect(),
            Self::Subdomain | Self::Label | Self::Label1035 => {}
        }
        let mut mistakes = Vec::new();
        let most = self.longest();
        if name.len() > most {
            mistakes.push(format!("must be no more than {most} characters"));
        }
        if !self.fits(name) {
            mistakes.push(self.words().to_owned());
        }
        mistakes
    }

    /// Reports what is wrong with the name in a field.
    pub fn check(self, name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        report(name, self.mistakes(name), path, errors);
    }

    /// The same for a name that must be given.
    pub fn require(self, name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        match name {
            "" => errors.push(FieldError::required(*path, "")),
            name => self.check(name, path, errors),
        }
    }

    /// What is wrong with `prefix`, to which a suffix will be added that ends with a letter or digit.
    pub fn prefix_mistakes(self, prefix: &str) -> Vec<String> {
        match prefix.strip_suffix('-') {
            Some(start) => self.mistakes(&format!("{start}a")),
            None => self.mistakes(prefix),
        }
    }

    fn longest(self) -> usize {
        match self {
            Self::Label | Self::Label1035 => 63,
            _ => 253,
        }
    }

    fn fits(self, name: &str) -> bool {
        match self {
            Self::Label => is_label(name),
            Self::Label1035 => is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()),
            _ => name.split('.').all(is_label),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Label => {
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                 start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                 validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            }
            Self::Label1035 => {
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                 alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', \
                 regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            }
            _ => {
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                 must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                 is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            }
        }
    }
}

/// Reports what is wrong with the text in a field.
pub fn report(text: &str, mistakes: Vec<String>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    errors.extend(mistakes.into_iter().map(|words| FieldError::invalid(*path, text, words)));
}

fn segment_mistakes(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    let mut mistakes: Vec<String> = ['/', '%']
        .into_iter()
        .filter(|unwanted| name.contains(*unwanted))
        .map(|unwanted| format!("may not contain '{unwanted}'"))
        .collect();
    // They cannot stand in the keys of the store, nor in the lines of a terminal.
    if name.contains(char::is_control) {
        mistakes.push("may not contain control characters".to_owned());
    }
    mistakes
}

/// What is wrong with an address that must be in the one form all others write.
pub fn address_mistake(text: &str) -> Option<String> {
    match text.parse::<IpAddr>() {
        Err(_) => Some(NOT_AN_ADDRESS.to_owned()),
        Ok(address) if address.to_string() != text => {
            Some(format!("must be in canonical form ({:?})", address.to_string()))
        }
        Ok(_) => None,
    }
}

/// The words for a text that is no address.
pub const NOT_AN_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// What is wrong with a name whose first label may be a star.
pub fn wildcard_mistakes(name: &str) -> Vec<String> {
    let is_wildcard = name.strip_prefix("*.").is_some_and(|rest| Form::Subdomain.fits(rest));
    let mut mistakes = Vec::new();
    if name.len() > Form::Subdomain.longest() {
        mistakes.push("must be no more than 253 characters".to_owned());
    }
    if !is_wildcard {
        mistakes.push(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
             consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
             '*.example.com', regex used for validation is \
             '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    mistakes
}

/// Checks the name of a driver of volumes or devices.
pub fn check_driver(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const LONGEST: usize = 63;
    if name.is_empty() {
        errors.push(FieldError::required(*path, ""));
        return;
    }
    if name.len() > LONGEST {
        errors.push(FieldError::too_long(*path, LONGEST));
    }
    report(name, Form::Subdomain.mistakes(&name.to_lowercase()), path, errors);
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

/// What is wrong with the name of a port (RFC 6335).
pub fn port_name_mistakes(name: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut must = |holds: bool, words: &str| {
        if !holds {
            mistakes.push(words.to_owned());
        }
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    must(name.len() <= 15, "must be no more than 15 characters");
    must(name.bytes().all(allowed), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    must(name.bytes().any(|byte| byte.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    must(!name.contains("--"), "must not contain consecutive hyphens");
    let at_edge = name.starts_with('-') || name.ends_with('-');
    must(!at_edge, "must not begin or end with a hyphen");
    mistakes
}

/// What is wrong with the key of a config map or secret.
pub fn config_key_mistakes(key: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    if key.len() > 253 {
        mistakes.push("must be no more than 253 characters".to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if key.is_empty() || !key.bytes().all(allowed) {
        mistakes.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    if key == "." {
        mistakes.push("must not be '.'".to_owned());
    } else if key == ".." {
        mistakes.push("must not be '..'".to_owned());
    } else if key.starts_with("..") {
        mistakes.push("must not start with '..'".to_owned());
    }
    mistakes
}

/// What is wrong with the name of an environment variable.
pub fn environment_name_mistakes(name: &str) -> Vec<String> {
    let allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    if !name.is_empty() && name.bytes().all(allowed) {
        return Vec::new();
    }
    let words =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
    vec![words.to_owned()]
}

/// What is wrong with a port number.
pub fn port_mistake(port: i32) -> Option<&'static str> {
    (!(1..=65_535).contains(&port)).then_some("must be between 1 and 65535, inclusive")
}

/// The words for a negative number.
pub const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// The words for a field that cannot change.
pub const IMMUTABLE: &str = "field is immutable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_names() {
        let row = |form: Form, name: &str, good: bool| {
            assert_eq!(form.mistakes(name).is_empty(), good, "{form:?} {name:?}");
        };
        row(Form::Subdomain, "a.b-c.9", true);
        row(Form::Subdomain, "a..b", false);
        row(Form::Subdomain, "", false);
        row(Form::Subdomain, "Web", false);
        row(Form::Label, "9-a", true);
        row(Form::Label, "a.b", false);
        row(Form::Label, &"a".repeat(64), false);
        row(Form::Label1035, "9a", false);
        row(Form::Label1035, "a9", true);
        row(Form::PathSegment, "system:node", true);
        row(Form::PathSegment, "a/b", false);
        row(Form::PathSegment, "..", false);
        row(Form::PathSegment, "a\u{0}b", false);
        row(Form::Address, "2001:db8::1", true);
        row(Form::Address, "2001:db8:0::1", false);
        row(Form::Address, "10.0.0.01", false);
        assert!(Form::Label.prefix_mistakes("web-").is_empty());
        assert!(!Form::Label.prefix_mistakes("-web").is_empty());
    }

    #[test]
    fn forms_of_keys_and_ports() {
        assert!(config_key_mistakes("key.name").is_empty());
        assert_eq!(config_key_mistakes("..a"), ["must not start with '..'"]);
        assert!(!config_key_mistakes("a b").is_empty());
        assert!(wildcard_mistakes("*.example.com").is_empty());
        assert!(!wildcard_mistakes("a.*.com").is_empty());
        assert!(port_name_mistakes("http-2").is_empty());
        assert_eq!(port_name_mistakes("80"), ["must contain at least one letter (a-z)"]);
        assert!(!environment_name_mistakes("a=b").is_empty());
        assert!(environment_name_mistakes("my var.1").is_empty());
    }
}

//! The forms that names may have, and the words Kubernetes has for those that do not.

/// A form of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Labels joined by dots: the names of most objects.
    Subdomain,
    /// One label: the names of namespaces, containers and volumes.
    Label,
    /// One label that starts with a letter: the names of services.
    Label1035,
}

impl Form {
    /// What is wrong with `name`; empty if nothing is.
    pub fn mistakes(self, name: &str) -> Vec<String> {
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

    /// What is wrong with `prefix`, to which a suffix will be added that ends with a letter or digit.
    pub fn prefix_mistakes(self, prefix: &str) -> Vec<String> {
        match prefix.strip_suffix('-') {
            Some(start) => self.mistakes(&format!("{start}a")),
            None => self.mistakes(prefix),
        }
    }

    fn longest(self) -> usize {
        match self {
            Self::Subdomain => 253,
            Self::Label | Self::Label1035 => 63,
        }
    }

    fn fits(self, name: &str) -> bool {
        match self {
            Self::Subdomain => name.split('.').all(is_label),
            Self::Label => is_label(name),
            Self::Label1035 => is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Subdomain => {
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                 must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                 is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            }
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
        }
    }
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
        assert!(Form::Label.prefix_mistakes("web-").is_empty());
        assert!(!Form::Label.prefix_mistakes("-web").is_empty());
    }

    #[test]
    fn forms_of_keys_and_ports() {
        assert!(config_key_mistakes("key.name").is_empty());
        assert_eq!(config_key_mistakes("..a"), ["must not start with '..'"]);
        assert!(!config_key_mistakes("a b").is_empty());
        assert!(port_name_mistakes("http-2").is_empty());
        assert_eq!(port_name_mistakes("80"), ["must contain at least one letter (a-z)"]);
        assert!(!environment_name_mistakes("a=b").is_empty());
        assert!(environment_name_mistakes("my var.1").is_empty());
    }
}

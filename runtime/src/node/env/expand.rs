//! Replaces `$(NAME)` in values, commands and arguments.

/// Puts the value of each `$(NAME)` that `value_of` knows in its place; others stay. `$$` is one `$`.
pub fn expand(text: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        expanded.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = reference {
            match value_of(name) {
                Some(value) => expanded.push_str(&value),
                None => expanded.push_str(&rest[start..rest.len() - after.len()]),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_as_in_kubernetes() {
        let check = |text: &str, expected: &str| {
            let value_of = |name: &str| (name == "A").then(|| "one".to_owned());
            assert_eq!(expand(text, value_of), expected);
        };
        check("", "");
        check("x$(A)y$(A)", "xoneyone");
        check("$(B)", "$(B)");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$one");
        check("$A $", "$A $");
        check("$(A", "$(A");
        check("ä$(A)ö", "äoneö");
    }
}

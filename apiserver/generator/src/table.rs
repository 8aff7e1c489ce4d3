//! How the table looks: one line for each type, one indented line for each member.

use std::fmt::Write;

use crate::join::{Member, Row};

const HEADER: &str = "\
# TYPE [meta: has apiVersion and kind] [whole: always owned and replaced as a whole]
#   [kind=API-VERSION,KIND,RESOURCE,SCOPE[,LIST-KIND]]
#  MEMBER[!: required] TAGS TYPE [set | atomic | map=KEYS] [whole | granular] [mergeKey=] [patch=] [default=]
#   [zero: an empty text, 0 or false is a value, not an absence]
#   TAGS lead through messages that JSON flattens. []T: list, {}T: map with strings as keys,
#   (T): wrapped in a message whose member 1 is T.
";

/// The whole table, made from the `sources`.
pub fn render(sources: &str, rows: &[Row<'_>]) -> String {
    let mut text = format!("# Written by apiserver/generator from {sources}; edit nothing here.\n{HEADER}");
    for row in rows {
        text.push_str(&head(row));
        for (name, member) in &row.members {
            text.push_str(&line(name, member));
        }
    }
    text
}

fn head(row: &Row<'_>) -> String {
    let mut head = row.name.clone();
    if row.type_meta {
        head.push_str(" meta");
    }
    if row.atomic {
        head.push_str(" whole");
    }
    if let Some(resource) = row.resource {
        let list_kind = resource.list_kind.iter().fold(String::new(), |_, kind| format!(",{kind}"));
        // Writing to a string cannot fail.
        let _ = write!(
            head,
            " kind={},{},{},{}{list_kind}",
            resource.api_version, resource.kind, resource.plural, resource.scope
        );
    }
    head.push('\n');
    head
}

fn line(name: &str, member: &Member) -> String {
    let tags: Vec<String> = member.tags.iter().map(u32::to_string).collect();
    let required = if member.required { "!" } else { "" };
    let mut line = format!(" {name}{required} {} {}", tags.join("."), member.of);
    for fact in &member.facts {
        line.push(' ');
        line.push_str(fact);
    }
    if member.keeps_zero {
        line.push_str(" zero");
    }
    line.push('\n');
    line
}

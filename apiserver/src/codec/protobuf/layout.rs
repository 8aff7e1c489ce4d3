//! The schema's fields by their tags, with the messages between that JSON flattens.

use std::sync::LazyLock;

use crate::schema::{self, Field, Leaf, Type};

/// One for each type of the schema, in its order.
static LAYOUTS: LazyLock<Vec<Layout>> =
    LazyLock::new(|| schema::builtin().types().iter().map(Layout::new).collect());

/// The place of the one type that others hold by a leaf of its own.
static JSON_SCHEMA: LazyLock<usize> = LazyLock::new(|| place("apiextensions.v1.JSONSchemaProps"));

/// The members of a message, in the order of their tags.
pub struct Layout {
    members: Vec<(u32, Member)>,
}

/// What a tag stands for.
pub enum Member {
    /// A field of the JSON object.
    Field(&'static Field),
    /// A message whose fields are those of the JSON object.
    Flattened(Layout),
}

impl Layout {
    /// The layout of a type.
    pub fn of(of: &Type) -> &'static Self {
        &LAYOUTS[place(of.name)]
    }

    /// The layout of what a field holds, if that is a structure, or may be.
    pub fn of_leaf(leaf: Leaf) -> Option<&'static Self> {
        match leaf {
            Leaf::Struct(place) => LAYOUTS.get(usize::from(place)),
            Leaf::SchemaOrArray | Leaf::SchemaOrBool | Leaf::SchemaOrStrings => LAYOUTS.get(*JSON_SCHEMA),
            _ => None,
        }
    }

    /// The member with this tag.
    pub fn member(&self, tag: u32) -> Option<&Member> {
        let found = self.members.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        Some(&self.members[found].1)
    }

    /// Every member with its tag.
    pub fn members(&self) -> impl Iterator<Item = (u32, &Member)> {
        self.members.iter().map(|(tag, member)| (*tag, member))
    }

    fn new(of: &'static Type) -> Self {
        let mut layout = Self { members: Vec::new() };
        for field in of.fields() {
            let tags: Vec<u32> = field.tags().collect();
            layout.insert(&tags, field);
        }
        layout.sort();
        layout
    }

    fn insert(&mut self, tags: &[u32], field: &'static Field) {
        match *tags {
            // Only the envelope has it.
            [] => {}
            [tag] => self.members.push((tag, Member::Field(field))),
            [tag, ref below @ ..] => {
                for (known, member) in &mut self.members {
                    if let Member::Flattened(layout) = member
                        && *known == tag
                    {
                        return layout.insert(below, field);
                    }
                }
                let mut layout = Self { members: Vec::new() };
                layout.insert(below, field);
                self.members.push((tag, Member::Flattened(layout)));
            }
        }
    }

    fn sort(&mut self) {
        self.members.sort_by_key(|(tag, _)| *tag);
        for (_, member) in &mut self.members {
            if let Member::Flattened(layout) = member {
                layout.sort();
            }
        }
    }
}

fn place(name: &str) -> usize {
    let found = schema::builtin().types().binary_search_by(|of| of.name.cmp(name));
    found.expect("every type there is comes from the schema")
}

#[cfg(test)]
mod tests {
    use super::{LAYOUTS, Layout, Member};

    #[test]
    fn no_two_members_have_the_same_tag() {
        fn check(layout: &Layout) {
            assert!(layout.members.is_sorted_by(|(left, _), (right, _)| left < right));
            for (_, member) in layout.members() {
                if let Member::Flattened(layout) = member {
                    check(layout);
                }
            }
        }
        LAYOUTS.iter().for_each(check);
    }
}

//! Reads YAML texts: builds values from the parser's events, with anchors, aliases and merges.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StrInput, Tag};

use super::tree::{Fields, Tree};
use super::{Again, DEPTH_LIMIT, Problem, Roots, Wrong, kind_of, scalar};

/// What anchors and aliases may copy in one text, in bytes of memory. No manifest written by hand
/// comes near; a "billion laughs" stops early.
const COPIES_LIMIT_BYTES: usize = 16 << 20;
/// About what one value or key takes besides its text.
const VALUE_BYTES: usize = 64;
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// All documents of the text. An empty one is null.
pub(super) fn read(text: &str) -> Result<Roots, Wrong> {
    refuse_control_characters(text)?;
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, anchors: BTreeMap::new(), copied_bytes: 0, again: Vec::new() };
    let mut values = Vec::new();
    loop {
        match reader.next()? {
            (Event::DocumentStart(..), _) => {
                reader.anchors.clear();
                let (event, line) = reader.next()?;
                values.push((line, reader.node(event, line, 0)?.tree));
            }
            (Event::StreamEnd, _) => return Ok(Roots { values, again: reader.again }),
            _ => {}
        }
    }
}

/// The parser takes a zero for the end of the text and the others for letters of strings.
fn refuse_control_characters(text: &str) -> Result<(), Wrong> {
    let is_wrong = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some(position) = text.find(is_wrong) else {
        return Ok(());
    };
    let line = text[..position].matches('\n').count() + 1;
    Err(Wrong::new(line, Problem::ControlCharacter))
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    /// The values of the anchors of the current document that are read to their end.
    anchors: BTreeMap<usize, Node>,
    copied_bytes: usize,
    again: Vec<Again>,
}

/// A value, and what copying it costs.
#[derive(Clone)]
struct Node {
    tree: Tree,
    bytes: usize,
    /// How many collections are within one another; a scalar has none.
    height: usize,
}

impl Node {
    fn text(&self) -> Option<&str> {
        self.tree.value.as_str()
    }
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, usize), Wrong> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => {
                let problem = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => Problem::TooDeep,
                    _ => Problem::Syntax(error.info()),
                };
                Err(Wrong::new(error.marker().line(), problem))
            }
            None => Err(Wrong::new(1, Problem::Syntax("the text ends too early".to_owned()))),
        }
    }

    fn node(&mut self, event: Event<'text>, line: usize, depth: usize) -> Result<Node, Wrong> {
        if depth > DEPTH_LIMIT {
            return Err(Wrong::new(line, Problem::TooDeep));
        }
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, line, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(tag_name);
                let value = scalar::resolve(&text, style == ScalarStyle::Plain, tag.as_deref())
                    .map_err(|problem| Wrong::new(line, problem))?;
                let bytes = VALUE_BYTES + text.len();
                (Node { tree: Tree::scalar(value), bytes, height: 0 }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.object(depth)?, anchor),
            _ => {
                return Err(Wrong::new(line, Problem::Syntax("a value is missing".to_owned())));
            }
        };
        if anchor != 0 {
            self.charge(&node, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, line: usize, depth: usize) -> Result<Node, Wrong> {
        // The parser knows every anchor before it; those without a value yet are around the alias.
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or(Wrong::new(line, Problem::AliasOfItself))?;
        if depth + node.height > DEPTH_LIMIT {
            return Err(Wrong::new(line, Problem::TooDeep));
        }
        self.charge(&node, line)?;
        Ok(node)
    }

    fn charge(&mut self, node: &Node, line: usize) -> Result<(), Wrong> {
        self.copied_bytes += node.bytes;
        if self.copied_bytes > COPIES_LIMIT_BYTES {
            return Err(Wrong::new(line, Problem::ExcessiveAliasing));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut items = Vec::new();
        let (mut bytes, mut height) = (VALUE_BYTES, 0);
        loop {
            let (event, line) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node { tree: Tree::list(items), bytes, height: height + 1 });
            }
            let item = self.node(event, line, depth + 1)?;
            bytes += item.bytes;
            height = height.max(item.height);
            items.push((line, item.tree));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut fields = Fields::default();
        let mut merged = Fields::default();
        let (mut bytes, mut height) = (VALUE_BYTES, 0);
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merges = is_merge(&event);
            let key = self.node(event, line, depth + 1)?;
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line, depth + 1)?;
            bytes += VALUE_BYTES + key.text().map_or(0, str::len) + value.bytes;
            height = height.max(value.height);
            if merges {
                merge(&mut merged, value.tree).map_err(|problem| Wrong::new(value_line, problem))?;
            } else {
                let name = scalar::field_name(key.tree.value)
                    .map_err(|key| Wrong::new(line, Problem::Key(kind_of(&key))))?;
                fields.insert((line, value_line), name, value.tree, &mut self.again);
            }
        }
        Ok(Node { tree: fields.into_tree_over(merged), bytes, height: height + 1 })
    }
}

fn tag_name(tag: &Tag) -> String {
    match tag.suffix_in_namespace(YAML_TAGS) {
        Some(name) => name.into_owned(),
        None => format!("{}{}", tag.handle(), tag.suffix()),
    }
}

fn is_merge(key: &Event<'_>) -> bool {
    match key {
        Event::Scalar(text, style, _, tag) if text == "<<" => match tag {
            None => *style == ScalarStyle::Plain,
            Some(tag) => tag_name(tag) == "merge",
        },
        _ => false,
    }
}

/// Adds the fields of an object, or of a list of objects of which the earlier ones win.
fn merge(merged: &mut Fields, value: Tree) -> Result<(), Problem> {
    value.into_items().into_iter().rev().try_for_each(|object| merged.overlay(object))
}

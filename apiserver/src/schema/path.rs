//! Where in an object we are. A path lives on the stack and becomes text only when there is something to say.

/// Longer names are shown cut: a message is read by people.
const LONGEST_NAME: usize = 128;

/// One step, and the steps above it.
#[derive(Clone, Copy)]
pub struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
    /// How many steps lead here.
    pub depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path { above: None, step: Step::Root, depth: 0 };

    /// A member of a structure.
    pub fn field(&'p self, name: &'p str) -> Path<'p> {
        self.then(Step::Field(name))
    }

    /// An entry of a map.
    pub fn key(&'p self, key: &'p str) -> Path<'p> {
        self.then(Step::Key(key))
    }

    /// An item of a list.
    pub fn index(&'p self, index: usize) -> Path<'p> {
        self.then(Step::Index(index))
    }

    fn then(&'p self, step: Step<'p>) -> Path<'p> {
        Path { above: Some(self), step, depth: self.depth + 1 }
    }

    /// As field errors have it: `metadata.labels[app]`; `body` for the object itself.
    pub fn text(&self) -> String {
        match self.step {
            Step::Root => "body".to_owned(),
            _ => self.render(|text, key| text.extend(["[", key, "]"])),
        }
    }

    /// As findings have it: `metadata.labels.app`.
    pub fn dotted(&self) -> String {
        self.render(|text, key| text.extend([".", key]))
    }

    fn render(&self, write_key: fn(&mut String, &str)) -> String {
        let mut text = match self.above {
            Some(above) => above.render(write_key),
            None => String::new(),
        };
        match self.step {
            Step::Root => {}
            Step::Field(name) if text.is_empty() => text.push_str(&shown(name)),
            Step::Field(name) => text.extend([".", &shown(name)]),
            Step::Key(key) => write_key(&mut text, &shown(key)),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
        text
    }
}

/// A text as a message shows it.
pub fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

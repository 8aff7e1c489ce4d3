//! Expressions in the Common Expression Language, as policies, match conditions and custom kinds hold them.
//!
//! The grammar and the function libraries are those of the crates cel and kube-cel. The evaluation is our own: it counts
//! what it costs, looks into JSON without copying it, keeps the order of maps, says what cel-go says, and never panics.

mod evaluate;
mod library;
mod macros;
mod node;
mod operators;
mod parse;
mod receiver;
mod shown;
mod value;
mod words;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

pub use receiver::Receiver;
pub use value::{Key, Value};
pub use words::is_reserved;

use node::Node;

/// An expression longer than this is refused: cel-go's bound is larger, but nobody writes this much by hand.
const LONGEST: usize = 16 << 10;

/// What one expression may cost, as in Kubernetes.
pub const COST_OF_ONE: u64 = 1_000_000;

/// What all expressions of one policy or one object may cost together, as in Kubernetes.
pub const COST_OF_ALL: u64 = 10_000_000;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The expression cannot be evaluated for these variables.
    #[error("{0}")]
    Failed(String),
    /// It cost more than it may.
    #[error("operation cancelled: actual cost limit exceeded")]
    TooCostly,
}

/// What an expression may still cost.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// A budget of so many steps.
    pub fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// What is left of it.
    pub fn left(&self) -> u64 {
        self.0
    }

    /// Gives one expression of several what it may cost, and takes what it did cost. One that cost too much by itself has
    /// failed; it is too costly only when nothing is left for all.
    pub fn on_one<T>(
        &mut self,
        evaluate: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let given = self.0.min(COST_OF_ONE);
        let mut budget = Self(given);
        let result = evaluate(&mut budget);
        self.0 -= given - budget.0;
        match result {
            Err(Failure::TooCostly) if self.0 > 0 => Err(Failure::Failed(Failure::TooCostly.to_string())),
            result => result,
        }
    }

    fn spend(&mut self, steps: u64) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(steps).ok_or_else(|| {
            self.0 = 0;
            Failure::TooCostly
        })?;
        Ok(())
    }
}

/// What an expression may name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The variables.
    pub variables: &'a [&'a str],
    /// The fields of `variables`: expressions of their own.
    pub composed: &'a [String],
    /// Whether objects can be made with `Object{}` and operations with `JSONPatch{}`.
    pub makes_objects: bool,
}

/// An expression that was compiled.
#[derive(Debug)]
pub struct Expression {
    source: String,
    root: Node,
    names: BTreeSet<String>,
}

impl Expression {
    /// Compiles an expression; an error is in the words of the Kubernetes API.
    pub fn compile(source: &str, names: &Names<'_>) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("expression is too long: at most {LONGEST} bytes are allowed"));
        }
        let (root, used) = parse::parse(source, names)?;
        Ok(Self { source: source.to_owned(), root, names: used })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it names this variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }

    /// Whether every value it can have is of another type than this, as far as that is certain without its variables.
    pub fn is_never(&self, kind: &str) -> bool {
        self.root.kind().is_some_and(|certain| certain != kind)
    }

    /// Its value.
    pub fn evaluate<'a>(&'a self, scope: &Scope<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
        evaluate::evaluate(&self.root, scope, budget)
    }

    /// Its value, a bool.
    pub fn is_true<'a>(&'a self, scope: &Scope<'a>, budget: &mut Budget) -> Result<bool, Failure> {
        match self.evaluate(scope, budget)? {
            Value::Bool(bool) => Ok(bool),
            _ => Err(Failure::Failed("cel expression evaluates to a non-bool value".to_owned())),
        }
    }

    /// Its value, a text.
    pub fn text<'a>(&'a self, scope: &Scope<'a>, budget: &mut Budget) -> Result<String, Failure> {
        match self.evaluate(scope, budget)? {
            Value::Text(text) => Ok(text.into_owned()),
            _ => Err(Failure::Failed("cel expression evaluates to a non-string value".to_owned())),
        }
    }
}

/// The values of the variables.
#[derive(Default)]
pub struct Scope<'a> {
    variables: BTreeMap<&'a str, Value<'a>>,
    composed: &'a [Expression],
    known: RefCell<BTreeMap<usize, Result<Value<'a>, Failure>>>,
}

impl<'a> Scope<'a> {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a variable.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Value<'a>) -> Self {
        self.variables.insert(name, value);
        self
    }

    /// The same with the fields of `variables`, each evaluated when it is first asked for. An expression may only name
    /// those before it.
    #[must_use]
    pub fn with_composed(mut self, composed: &'a [Expression]) -> Self {
        self.composed = composed;
        self
    }

    fn variable(&self, name: &str) -> Option<&Value<'a>> {
        self.variables.get(name)
    }

    fn composed(&self, index: usize, budget: &mut Budget) -> Result<Value<'a>, Failure> {
        if let Some(known) = self.known.borrow().get(&index) {
            return known.clone();
        }
        let missing = || Failure::Failed("no such attribute: variables".to_owned());
        let result = self.composed.get(index).ok_or_else(missing)?.evaluate(self, budget);
        self.known.borrow_mut().insert(index, result.clone());
        result
    }
}

#[cfg(test)]
mod tests;

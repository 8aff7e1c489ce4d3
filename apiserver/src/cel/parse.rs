//! From text to steps. What a stranger wrote may make a parser go deep or panic: it works on a thread of its own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::thread;

use kube_cel::cel::ParseErrors;
use kube_cel::cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};
use kube_cel::cel::parser::Parser;

use super::Names;
use super::library::FUNCTIONS;
use super::macros;
use super::node::{Node, Operator};
use super::receiver;
use super::value::Value;

/// Room for the parser on the longest chain of operators that an expression has room for.
const STACK_BYTES: usize = 64 << 20;

/// Steps within steps, so that evaluation has room on any thread. Chains of && and || are balanced and hardly count.
const DEEPEST: usize = 100;

/// The functions that are evaluated here.
const OWN: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "type",
    "dyn",
    "bool",
    "optional.of",
    "optional.none",
    "optional.ofNonZeroValue",
    "hasValue",
    "value",
    "or",
    "orValue",
];

/// The steps of an expression and the variables it names, or why it is none.
pub fn parse(source: &str, names: &Names<'_>) -> Result<(Node, BTreeSet<String>), String> {
    let work = || {
        let tree =
            Parser::new().enable_optional_syntax(true).parse(source).map_err(|error| said(source, &error))?;
        let mut reader = Reader { source, names, used: BTreeSet::new(), bound: Vec::new() };
        let node = reader.node(tree, 0)?;
        Ok((node, reader.used))
    };
    let failed = |_| "the expression cannot be parsed".to_owned();
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("cel".to_owned()).stack_size(STACK_BYTES);
        let thread =
            builder.spawn_scoped(scope, work).map_err(|error| format!("parse an expression: {error}"))?;
        thread.join().map_err(failed)?
    })
}

/// The mistakes as cel-go shows them.
fn said(source: &str, errors: &ParseErrors) -> String {
    let shown = errors.errors.iter().map(|error| located(source, error.pos, &error.msg));
    shown.collect::<Vec<_>>().join("\n")
}

fn located(source: &str, (line, column): (isize, isize), words: &str) -> String {
    let text = usize::try_from(line - 1).ok().and_then(|line| source.lines().nth(line)).unwrap_or_default();
    let dots = ".".repeat(usize::try_from(column - 1).unwrap_or(0).min(source.len()));
    format!("ERROR: <input>:{line}:{column}: {words}\n | {text}\n | {dots}^")
}

/// Turns the parser's tree into steps.
pub struct Reader<'a> {
    source: &'a str,
    names: &'a Names<'a>,
    used: BTreeSet<String>,
    /// The variables of the walks around.
    pub bound: Vec<String>,
}

impl Reader<'_> {
    pub fn node(&mut self, tree: IdedExpr, depth: usize) -> Result<Node, String> {
        if depth > DEEPEST {
            return Err(format!("the expression is nested deeper than {DEEPEST} levels"));
        }
        match tree.expr {
            Expr::Literal(literal) => Ok(Node::Constant(constant(literal))),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(*select.operand, select.field, select.test, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(fold) => macros::fold(self, *fold, depth),
            Expr::List(list) => {
                let optional = list.optional_indices;
                let items = list.elements.into_iter().enumerate();
                let item = |(index, item)| Ok((self.node(item, depth + 1)?, optional.contains(&index)));
                items.map(item).collect::<Result<_, String>>().map(Node::List)
            }
            Expr::Map(map) => self.entries(map.entries, depth).map(Node::Map),
            Expr::Struct(made) => {
                let name = made.type_name.as_str();
                let known = name == "JSONPatch" || name == "Object" || name.starts_with("Object.");
                if !known || !self.names.makes_objects {
                    return Err(self.undeclared(name));
                }
                self.entries(made.entries, depth).map(Node::Map)
            }
            Expr::Unspecified => Err(located(self.source, (1, 1), "Syntax error: unspecified expression")),
        }
    }

    fn variable(&mut self, name: String) -> Result<Node, String> {
        if let Some(kind) = type_name(&name)
            && !self.bound.contains(&name)
        {
            return Ok(Node::Constant(Value::Type(kind)));
        }
        if !self.bound.contains(&name) && !self.names.variables.contains(&name.as_str()) {
            return Err(self.undeclared(&name));
        }
        if !self.bound.contains(&name) {
            self.used.insert(name.clone());
        }
        Ok(Node::Variable(name))
    }

    fn select(&mut self, operand: IdedExpr, field: String, test: bool, depth: usize) -> Result<Node, String> {
        let composes = matches!(&operand.expr, Expr::Ident(name) if name == "variables");
        if composes
            && !self.names.variables.contains(&"variables")
            && !self.bound.iter().any(|name| name == "variables")
        {
            let index = self.names.composed.iter().position(|name| *name == field);
            return match index {
                Some(_) if test => Ok(Node::Constant(Value::Bool(true))),
                Some(index) => Ok(Node::Composed(index)),
                None => Err(self.mistake("variables", &format!("undefined field '{field}'"))),
            };
        }
        Ok(Node::Select { operand: Box::new(self.node(operand, depth + 1)?), field, test })
    }

    fn call(&mut self, call: CallExpr, depth: usize) -> Result<Node, String> {
        if let (None, Some(operator)) = (&call.target, operator(&call.func_name)) {
            return self.nodes(call.args, depth).map(|parts| Node::Operator(operator, parts));
        }
        let call = match macros::call(self, call, depth)? {
            Ok(node) => return Ok(node),
            Err(call) => call,
        };
        let mut name = call.func_name;
        let mut target = call.target;
        if let Some(Expr::Ident(space)) = target.as_deref().map(|target| &target.expr) {
            let qualified = format!("{space}.{name}");
            if FUNCTIONS.contains(&qualified.as_str()) || OWN.contains(&qualified.as_str()) {
                (name, target) = (qualified, None);
            }
        }
        let is_known = FUNCTIONS.contains(&name.as_str())
            || OWN.contains(&name.as_str())
            || receiver::cost(&name).is_some();
        if !is_known {
            return Err(self.undeclared(&name));
        }
        let target = target.map(|target| self.node(*target, depth + 1).map(Box::new)).transpose()?;
        Ok(Node::Call { name, target, arguments: self.nodes(call.args, depth)? })
    }

    fn nodes(&mut self, trees: Vec<IdedExpr>, depth: usize) -> Result<Vec<Node>, String> {
        trees.into_iter().map(|tree| self.node(tree, depth + 1)).collect()
    }

    fn entries(
        &mut self,
        entries: Vec<IdedEntryExpr>,
        depth: usize,
    ) -> Result<Vec<(Node, Node, bool)>, String> {
        let entry = |entry: IdedEntryExpr| {
            let (key, value, optional) = match entry.expr {
                EntryExpr::StructField(field) => {
                    (Node::Constant(Value::text(field.field)), field.value, field.optional)
                }
                EntryExpr::MapEntry(entry) => (self.node(entry.key, depth + 1)?, entry.value, entry.optional),
            };
            Ok((key, self.node(value, depth + 1)?, optional))
        };
        entries.into_iter().map(entry).collect()
    }

    fn undeclared(&self, name: &str) -> String {
        self.mistake(name, &format!("undeclared reference to '{name}' (in container '')"))
    }

    /// A mistake at the place where this name stands first.
    fn mistake(&self, name: &str, words: &str) -> String {
        let is_part =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        let short = name.rsplit('.').next().unwrap_or(name);
        let place = self.source.match_indices(short).find(|(at, _)| {
            let (before, after) = (&self.source[..*at], &self.source[at + short.len()..]);
            !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        });
        let at = place.map_or(0, |(at, _)| at);
        let before = &self.source[..at];
        let line = before.matches('\n').count() as isize + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as isize + 1;
        located(self.source, (line, column), words)
    }
}

fn constant(literal: LiteralValue) -> Value<'static> {
    match literal {
        LiteralValue::Boolean(bool) => Value::Bool(*bool.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(bytes.inner().to_vec().into()),
        LiteralValue::Double(double) => Value::Double(*double.inner()),
        LiteralValue::Int(int) => Value::Int(*int.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(text) => Value::Text(Cow::Owned(text.inner().to_owned())),
        LiteralValue::UInt(uint) => Value::Uint(*uint.inner()),
    }
}

fn type_name(name: &str) -> Option<&'static str> {
    let known = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];
    known.into_iter().find(|known| *known == name)
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::CONDITIONAL => Operator::Conditional,
        operators::LOGICAL_AND => Operator::And,
        operators::LOGICAL_OR => Operator::Or,
        operators::LOGICAL_NOT => Operator::Not,
        operators::NEGATE => Operator::Negate,
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Modulo,
        operators::EQUALS => Operator::Equals,
        operators::NOT_EQUALS => Operator::NotEquals,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessEquals,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterEquals,
        operators::IN => Operator::In,
        operators::INDEX => Operator::Index,
        operators::OPT_INDEX => Operator::IndexOptional,
        operators::OPT_SELECT => Operator::SelectOptional,
        _ => return None,
    })
}

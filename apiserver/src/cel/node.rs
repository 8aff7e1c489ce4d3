//! What an expression is compiled to.

use super::receiver;
use super::value::Value;

/// A step of an expression.
#[derive(Debug)]
pub enum Node {
    /// A constant.
    Constant(Value<'static>),
    /// A variable.
    Variable(String),
    /// One of the fields of `variables`, by its place.
    Composed(usize),
    /// A field, or whether it is there.
    Select { operand: Box<Node>, field: String, test: bool },
    /// An operator.
    Operator(Operator, Vec<Node>),
    /// A function.
    Call { name: String, target: Option<Box<Node>>, arguments: Vec<Node> },
    /// A list; items marked so are left out if they are absent.
    List(Vec<(Node, bool)>),
    /// A map; entries marked so are left out if they are absent.
    Map(Vec<(Node, Node, bool)>),
    /// Walks through a list or a map.
    Fold(Box<Fold>),
    /// Does something with what may be absent: `optMap` and `optFlatMap`.
    Within { operand: Box<Node>, variable: String, body: Box<Node>, flat: bool },
}

/// Walks through a list or a map.
#[derive(Debug)]
pub struct Fold {
    /// What for.
    pub aim: Aim,
    /// Through what.
    pub range: Node,
    /// The item or the key; with a second variable the index or the key.
    pub variable: String,
    /// The item or the value.
    pub second: Option<String>,
    /// Only for items for which this holds.
    pub filter: Option<Node>,
    /// What is looked at.
    pub body: Node,
}

/// What a walk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    All,
    Exists,
    ExistsOne,
    /// A list of the bodies' values.
    List,
    /// A map of the keys to the bodies' values.
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Conditional,
    And,
    Or,
    Not,
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
    Index,
    /// `a[?b]`
    IndexOptional,
    /// `a.?b`
    SelectOptional,
}

impl Node {
    /// Its type, where that is certain.
    pub fn kind(&self) -> Option<&'static str> {
        use Operator::{And, Equals, Greater, GreaterEquals, In, Less, LessEquals, Not, NotEquals, Or};
        match self {
            Self::Constant(value) => Some(value.kind()),
            Self::Select { test: true, .. } => Some("bool"),
            Self::Operator(
                And | Or | Not | Equals | NotEquals | Less | LessEquals | Greater | GreaterEquals | In,
                _,
            ) => Some("bool"),
            Self::Operator(Operator::Conditional, parts) => match parts.as_slice() {
                [_, one, other] => one.kind().filter(|kind| other.kind() == Some(kind)),
                _ => None,
            },
            Self::Operator(Operator::Add, parts) => parts.iter().find_map(Self::kind),
            Self::Call { name, .. } => {
                receiver::FUNCTIONS.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind)
            }
            Self::List(_) => Some("list"),
            Self::Map(_) => Some("map"),
            Self::Fold(fold) => Some(match fold.aim {
                Aim::All | Aim::Exists | Aim::ExistsOne => "bool",
                Aim::List => "list",
                Aim::Map => "map",
            }),
            _ => None,
        }
    }
}

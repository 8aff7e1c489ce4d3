//! Takes the steps of an expression, each at its cost.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Aim, Fold, Node, Operator};
use super::value::{Key, Value};
use super::{Budget, Failure, Scope, library, operators, receiver};

/// The value of a step with everything below it.
pub fn evaluate<'a>(node: &'a Node, scope: &Scope<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    Evaluation { scope, budget, bound: Vec::new() }.value(node)
}

/// An error that says only this.
pub fn failed<T>(words: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Failed(words.into()))
}

const NO_OVERLOAD: &str = "no such overload";

struct Evaluation<'a, 's> {
    scope: &'s Scope<'a>,
    budget: &'s mut Budget,
    /// The variables of the walks around, the innermost last.
    bound: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Evaluation<'a, '_> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, Failure> {
        self.budget.spend(1)?;
        match node {
            Node::Constant(Value::Text(text)) => Ok(Value::Text(Cow::Borrowed(text))),
            Node::Constant(value) => Ok(value.clone()),
            Node::Variable(name) => self.variable(name),
            Node::Composed(index) => self.scope.composed(*index, self.budget),
            Node::Select { operand, field, test } => {
                let operand = self.value(operand)?;
                operators::select(&operand, field, *test)
            }
            Node::Operator(operator, parts) => self.operator(*operator, parts),
            Node::Call { name, target, arguments } => self.call(name, target.as_deref(), arguments),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Fold(fold) => self.fold(fold),
            Node::Within { operand, variable, body, flat } => {
                let Value::Optional(optional) = self.value(operand)? else {
                    return failed(NO_OVERLOAD);
                };
                let Some(inner) = optional else {
                    return Ok(Value::Optional(None));
                };
                let value = self.with(&[(variable, *inner)], |this| this.value(body))?;
                Ok(if *flat { value } else { Value::Optional(Some(Box::new(value))) })
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Value<'a>, Failure> {
        let bound = self.bound.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value);
        match bound.or_else(|| self.scope.variable(name)) {
            Some(value) => Ok(value.clone()),
            None => failed(format!("no such attribute(s): {name}")),
        }
    }

    fn with<T>(
        &mut self,
        bound: &[(&'a str, Value<'a>)],
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let known = self.bound.len();
        self.bound.extend(bound.iter().cloned());
        let result = work(self);
        self.bound.truncate(known);
        result
    }

    fn operator(&mut self, operator: Operator, parts: &'a [Node]) -> Result<Value<'a>, Failure> {
        match (operator, parts) {
            (Operator::Conditional, [condition, one, other]) => match self.value(condition)? {
                Value::Bool(true) => self.value(one),
                Value::Bool(false) => self.value(other),
                _ => failed(NO_OVERLOAD),
            },
            (Operator::And, [one, other]) => self.either(one, other, false),
            (Operator::Or, [one, other]) => self.either(one, other, true),
            (_, [one]) => {
                let one = self.value(one)?;
                operators::unary(operator, &one)
            }
            (_, [one, other]) => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                self.budget.spend(operators::cost(operator, &one, &other))?;
                operators::binary(operator, one, &other)
            }
            _ => failed(NO_OVERLOAD),
        }
    }

    /// `||` is decided by one that is true and `&&` by one that is false, whatever is wrong with the other.
    fn either(&mut self, one: &'a Node, other: &'a Node, decides: bool) -> Result<Value<'a>, Failure> {
        let mut first = None;
        for part in [one, other] {
            match self.value(part) {
                Ok(Value::Bool(bool)) if bool == decides => return Ok(Value::Bool(bool)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => first = first.or(Some(Failure::Failed(NO_OVERLOAD.to_owned()))),
                Err(Failure::TooCostly) => return Err(Failure::TooCostly),
                Err(failure) => first = first.or(Some(failure)),
            }
        }
        first.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Result<Value<'a>, Failure> {
        let mut list = Vec::with_capacity(items.len());
        for (item, optional) in items {
            list.extend(present(self.value(item)?, *optional)?);
        }
        Ok(Value::list(list))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Result<Value<'a>, Failure> {
        let mut map = BTreeMap::new();
        for (key, value, optional) in entries {
            let Some(key) = self.value(key)?.to_key() else {
                return failed("unsupported key type");
            };
            if let Some(value) = present(self.value(value)?, *optional)? {
                map.insert(key, value);
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn fold(&mut self, fold: &'a Fold) -> Result<Value<'a>, Failure> {
        let range = self.value(&fold.range)?;
        self.budget.spend(range.size() as u64)?;
        let pairs = pairs(&range, fold.second.is_some())?;
        let mut walk = Walk::new(fold.aim);
        for (first, second) in pairs {
            let mut bound = vec![(fold.variable.as_str(), first.clone())];
            bound.extend(fold.second.as_deref().zip(second));
            let wanted = match &fold.filter {
                Some(filter) => self.with(&bound, |this| this.value(filter))?,
                None => Value::Bool(true),
            };
            match wanted {
                Value::Bool(true) => {}
                Value::Bool(false) => continue,
                _ => return failed(NO_OVERLOAD),
            }
            let value = self.with(&bound, |this| this.value(&fold.body));
            if walk.step(first, value)? {
                break;
            }
        }
        walk.end()
    }

    fn call(
        &mut self,
        name: &str,
        target: Option<&'a Node>,
        arguments: &'a [Node],
    ) -> Result<Value<'a>, Failure> {
        let target = target.map(|target| self.value(target)).transpose()?;
        // What is absent may have a value that is never asked for.
        if let ("orValue" | "or", Some(Value::Optional(Some(inner)))) = (name, &target) {
            return Ok(if name == "or" { Value::Optional(Some(inner.clone())) } else { (**inner).clone() });
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        if let Some(cost) = receiver::cost(name) {
            self.budget.spend(cost)?;
            let Some(Value::Receiver(receiver)) = target else {
                return failed(NO_OVERLOAD);
            };
            return receiver.call(name, &values).unwrap_or_else(|| failed(NO_OVERLOAD));
        }
        self.budget.spend(operators::cost_of_call(name, target.as_ref(), &values))?;
        match operators::function(name, target.as_ref(), &values) {
            Some(result) => result,
            None => library::call(name, target.as_ref(), &values),
        }
    }
}

/// What an item or an entry is, if it is there.
fn present(value: Value<'_>, optional: bool) -> Result<Option<Value<'_>>, Failure> {
    match (optional, value) {
        (false, value) => Ok(Some(value)),
        (true, Value::Optional(optional)) => Ok(optional.map(|value| *value)),
        (true, _) => failed(NO_OVERLOAD),
    }
}

type Pair<'a> = (Value<'a>, Option<Value<'a>>);

/// What a walk goes through: items or keys; with two variables indexes and items, or keys and values.
fn pairs<'a>(range: &Value<'a>, two: bool) -> Result<Vec<Pair<'a>>, Failure> {
    if let Some(items) = range.items() {
        let pair = |(index, item)| match two {
            true => (Value::Int(i64::try_from(index).unwrap_or(i64::MAX)), Some(item)),
            false => (item, None),
        };
        return Ok(items.into_iter().enumerate().map(pair).collect());
    }
    match range.entries() {
        Some(entries) => {
            let pair = |(key, value): (Key<'a>, _)| (key.into_value(), two.then_some(value));
            Ok(entries.into_iter().map(pair).collect())
        }
        None => failed(NO_OVERLOAD),
    }
}

/// How far a walk has come.
struct Walk<'a> {
    aim: Aim,
    /// What went wrong first, if that may not matter in the end.
    failure: Option<Failure>,
    decided: bool,
    count: usize,
    list: Vec<Value<'a>>,
    map: BTreeMap<Key<'a>, Value<'a>>,
}

impl<'a> Walk<'a> {
    fn new(aim: Aim) -> Self {
        Self { aim, failure: None, decided: false, count: 0, list: Vec::new(), map: BTreeMap::new() }
    }

    /// Takes the body's value for an item; whether the end is known.
    fn step(&mut self, first: Value<'a>, value: Result<Value<'a>, Failure>) -> Result<bool, Failure> {
        match self.aim {
            Aim::All | Aim::Exists => match value {
                Ok(Value::Bool(bool)) => self.decided = bool == (self.aim == Aim::Exists),
                Err(Failure::TooCostly) => return Err(Failure::TooCostly),
                other => {
                    let failure = other.err().unwrap_or_else(|| Failure::Failed(NO_OVERLOAD.to_owned()));
                    self.failure.get_or_insert(failure);
                }
            },
            Aim::ExistsOne => match value? {
                Value::Bool(bool) => self.count += usize::from(bool),
                _ => return failed(NO_OVERLOAD),
            },
            Aim::List => self.list.push(value?),
            Aim::Map => match first.to_key() {
                Some(key) => drop(self.map.insert(key, value?)),
                None => return failed("unsupported key type"),
            },
        }
        Ok(self.decided)
    }

    fn end(self) -> Result<Value<'a>, Failure> {
        Ok(match self.aim {
            Aim::All | Aim::Exists if self.decided => Value::Bool(self.aim == Aim::Exists),
            Aim::All | Aim::Exists => match self.failure {
                Some(failure) => return Err(failure),
                None => Value::Bool(self.aim == Aim::All),
            },
            Aim::ExistsOne => Value::Bool(self.count == 1),
            Aim::List => Value::list(self.list),
            Aim::Map => Value::Map(Arc::new(self.map)),
        })
    }
}

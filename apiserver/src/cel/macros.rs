//! The words that bind variables: `all`, `exists`, `map` and their like, with one variable and with two.

use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::node::{Aim, Fold, Node};
use super::parse::Reader;

/// A walk that the parser has written out: its shape tells which it was.
pub fn fold(reader: &mut Reader<'_>, written: ComprehensionExpr, depth: usize) -> Result<Node, String> {
    let aim = match &written.accu_init.expr {
        Expr::Literal(LiteralValue::Boolean(bool)) if *bool.inner() => Aim::All,
        Expr::Literal(LiteralValue::Boolean(_)) => Aim::Exists,
        Expr::Literal(_) => Aim::ExistsOne,
        _ => Aim::List,
    };
    let unknown = || "unknown comprehension".to_owned();
    let Expr::Call(CallExpr { func_name, args, .. }) = written.loop_step.expr else {
        return Err(unknown());
    };
    let mut args = args.into_iter();
    let (filter, body) = match (aim, func_name.as_str()) {
        // accumulator && body
        (Aim::All | Aim::Exists, _) => (None, args.nth(1)),
        // body ? accumulator + 1 : accumulator
        (Aim::ExistsOne, _) => (None, args.next()),
        // filter ? accumulator + [body] : accumulator
        (_, operators::CONDITIONAL) => {
            let filter = args.next();
            (filter, args.next().and_then(appended))
        }
        // accumulator + [body]
        _ => (None, args.nth(1).and_then(only_item)),
    };
    let body = body.ok_or_else(unknown)?;
    let parts = Parts { aim, range: written.iter_range, variables: vec![written.iter_var], filter, body };
    parts.read(reader, depth)
}

fn appended(step: IdedExpr) -> Option<IdedExpr> {
    match step.expr {
        Expr::Call(call) => call.args.into_iter().nth(1).and_then(only_item),
        _ => None,
    }
}

fn only_item(list: IdedExpr) -> Option<IdedExpr> {
    match list.expr {
        Expr::List(list) => list.elements.into_iter().next(),
        _ => None,
    }
}

/// A call that is one of the words the parser does not know, or the call again.
pub fn call(reader: &mut Reader<'_>, call: CallExpr, depth: usize) -> Result<Result<Node, CallExpr>, String> {
    let binds = |count: usize| {
        call.args.len() >= count && call.args[..count].iter().all(|name| matches!(name.expr, Expr::Ident(_)))
    };
    let count = call.args.len();
    let (aim, has_filter) = match (call.func_name.as_str(), count) {
        ("all", 3) => (Aim::All, false),
        ("exists", 3) => (Aim::Exists, false),
        ("existsOne" | "exists_one", 3) => (Aim::ExistsOne, false),
        ("transformList", 3 | 4) => (Aim::List, count == 4),
        ("transformMap", 3 | 4) => (Aim::Map, count == 4),
        ("optMap" | "optFlatMap", 2) if binds(1) => return within(reader, call, depth).map(Ok),
        _ => return Ok(Err(call)),
    };
    if !binds(2) {
        return Ok(Err(call));
    }
    let Some(range) = call.target else {
        return Ok(Err(call));
    };
    let mut args = call.args.into_iter();
    let variables = args.by_ref().take(2).filter_map(name).collect();
    let filter = if has_filter { args.next() } else { None };
    let body = args.next().ok_or_else(|| "missing argument".to_owned())?;
    Parts { aim, range: *range, variables, filter, body }.read(reader, depth).map(Ok)
}

fn name(tree: IdedExpr) -> Option<String> {
    match tree.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}

fn within(reader: &mut Reader<'_>, call: CallExpr, depth: usize) -> Result<Node, String> {
    let missing = || "optMap needs a target and a variable".to_owned();
    let operand = reader.node(*call.target.ok_or_else(missing)?, depth + 1)?;
    let mut args = call.args.into_iter();
    let variable = args.next().and_then(name).ok_or_else(missing)?;
    let body = args.next().ok_or_else(missing)?;
    reader.bound.push(variable.clone());
    let body = reader.node(body, depth + 1);
    reader.bound.pop();
    let flat = call.func_name == "optFlatMap";
    Ok(Node::Within { operand: Box::new(operand), variable, body: Box::new(body?), flat })
}

/// The parts of a walk before they are read.
struct Parts {
    aim: Aim,
    range: IdedExpr,
    variables: Vec<String>,
    filter: Option<IdedExpr>,
    body: IdedExpr,
}

impl Parts {
    fn read(self, reader: &mut Reader<'_>, depth: usize) -> Result<Node, String> {
        let range = reader.node(self.range, depth + 1)?;
        let known = reader.bound.len();
        reader.bound.extend(self.variables.iter().cloned());
        let filter = self.filter.map(|filter| reader.node(filter, depth + 1)).transpose();
        let body = reader.node(self.body, depth + 1);
        reader.bound.truncate(known);
        let mut variables = self.variables.into_iter();
        let variable = variables.next().ok_or_else(|| "a variable is missing".to_owned())?;
        let second = variables.next();
        Ok(Node::Fold(Box::new(Fold {
            aim: self.aim,
            range,
            variable,
            second,
            filter: filter?,
            body: body?,
        })))
    }
}

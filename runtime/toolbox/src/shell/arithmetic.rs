//! `$((...))`: whole numbers of 64 bits, as in C.

use super::Shell;
use crate::process::{Failure, failure};

/// Operators of two sides, by how tightly they bind; longer ones first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];
const ASSIGNMENTS: [&str; 11] = ["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "="];
/// Expressions within expressions.
const DEEPEST: usize = 60;

struct Reader<'a> {
    shell: &'a mut Shell,
    text: &'a str,
    at: usize,
    depth: usize,
    /// What is read is not meant: it assigns nothing and divides by nothing.
    is_skipped: bool,
}

impl Shell {
    /// The value of an expression.
    pub(super) fn arithmetic(&mut self, text: &str) -> Result<i64, Failure> {
        self.arithmetic_within(text, 0)
    }

    fn arithmetic_within(&mut self, text: &str, depth: usize) -> Result<i64, Failure> {
        if text.trim().is_empty() {
            return Ok(0);
        }
        let mut reader = Reader { shell: self, text, at: 0, depth, is_skipped: false };
        let value = reader.assignment()?;
        reader.blanks();
        if reader.at < text.len() { Err(reader.wrong()) } else { Ok(value) }
    }
}

impl Reader<'_> {
    fn wrong(&self) -> Failure {
        failure(format!("arithmetic syntax error: {}", self.text))
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, operator: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(operator);
        self.at += if found { operator.len() } else { 0 };
        found
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let name: String =
            self.rest().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let is_name = name.starts_with(|c: char| !c.is_ascii_digit());
        self.at += if is_name { name.len() } else { 0 };
        is_name.then_some(name)
    }

    fn assignment(&mut self) -> Result<i64, Failure> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(failure("arithmetic: nested too deeply"));
        }
        let start = self.at;
        let value = match self.assigned()? {
            Some(value) => value,
            None => {
                self.at = start;
                self.choice()?
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn assigned(&mut self) -> Result<Option<i64>, Failure> {
        let Some(name) = self.name() else { return Ok(None) };
        self.blanks();
        if self.rest().starts_with("==") {
            return Ok(None);
        }
        let Some(operator) = ASSIGNMENTS.into_iter().find(|operator| self.eat(operator)) else {
            return Ok(None);
        };
        let right = self.assignment()?;
        let operator = operator.trim_end_matches('=');
        let value = if operator.is_empty() {
            right
        } else {
            let left = self.value(&name)?;
            self.apply(operator, left, right)?
        };
        if !self.is_skipped {
            self.shell.assign(&name, value.to_string())?;
        }
        Ok(Some(value))
    }

    fn choice(&mut self) -> Result<i64, Failure> {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let first = self.skipping(condition == 0, Self::assignment)?;
        if !self.eat(":") {
            return Err(self.wrong());
        }
        let second = self.skipping(condition != 0, Self::assignment)?;
        Ok(if condition != 0 { first } else { second })
    }

    fn skipping(
        &mut self,
        is_skipped: bool,
        read: impl FnOnce(&mut Self) -> Result<i64, Failure>,
    ) -> Result<i64, Failure> {
        let before = self.is_skipped;
        self.is_skipped |= is_skipped;
        let value = read(self);
        self.is_skipped = before;
        value
    }

    fn binary(&mut self, level: usize) -> Result<i64, Failure> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            self.blanks();
            let found = operators.iter().find(|operator| self.stands_here(operator));
            let Some(operator) = found else { return Ok(left) };
            self.at += operator.len();
            left = match *operator {
                "&&" => i64::from(self.skipping(left == 0, |r| r.binary(level + 1))? != 0 && left != 0),
                "||" => i64::from(self.skipping(left != 0, |r| r.binary(level + 1))? != 0 || left != 0),
                operator => {
                    let right = self.binary(level + 1)?;
                    self.apply(operator, left, right)?
                }
            };
        }
    }

    /// Whether an operator is here, and not the start of a longer one.
    fn stands_here(&self, operator: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(operator) else { return false };
        match operator {
            "|" | "&" => !after.starts_with([operator.chars().next().unwrap_or(' '), '=']),
            "<" | ">" => !after.starts_with(operator),
            _ => true,
        }
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Result<i64, Failure> {
        if matches!(operator, "/" | "%") && right == 0 {
            return if self.is_skipped { Ok(0) } else { Err(failure("divide by zero")) };
        }
        Ok(match operator {
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" => left.wrapping_div(right),
            "%" => left.wrapping_rem(right),
            "<<" => left.wrapping_shl(right as u32),
            ">>" => left.wrapping_shr(right as u32),
            "&" => left & right,
            "|" => left | right,
            "^" => left ^ right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            _ => i64::from(left > right),
        })
    }

    fn unary(&mut self) -> Result<i64, Failure> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(failure("arithmetic: nested too deeply"));
        }
        let value = if self.eat("!") {
            i64::from(self.unary()? == 0)
        } else if self.eat("~") {
            !self.unary()?
        } else if self.eat("-") {
            self.unary()?.wrapping_neg()
        } else if self.eat("+") {
            self.unary()?
        } else if self.eat("(") {
            let value = self.assignment()?;
            if !self.eat(")") {
                return Err(self.wrong());
            }
            value
        } else if let Some(name) = self.name() {
            self.value(&name)?
        } else {
            self.number()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn value(&mut self, name: &str) -> Result<i64, Failure> {
        let text = self.shell.variable(name).unwrap_or_default();
        self.shell.arithmetic_within(&text, self.depth + 1)
    }

    fn number(&mut self) -> Result<i64, Failure> {
        self.blanks();
        let text: String = self.rest().chars().take_while(char::is_ascii_alphanumeric).collect();
        self.at += text.len();
        let (digits, radix) = match text.as_str() {
            hex if hex.starts_with("0x") || hex.starts_with("0X") => (&hex[2..], 16),
            octal if octal.len() > 1 && octal.starts_with('0') => (&octal[1..], 8),
            decimal => (decimal, 10),
        };
        i64::from_str_radix(digits, radix).map_err(|_| self.wrong())
    }
}

//! Reads label selectors as `kubectl get --selector` takes them: `a=b,c!=d,e in (x,y),!f,g,h>1`.

use std::collections::BTreeSet;
use std::fmt;

use super::label::{Operator, Requirement, check_key};

/// The selector cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A requirement of a text is wrong.
    #[error("unable to parse requirement: {0}")]
    Requirement(Box<SelectorError>),
    /// Something else stands where one of these should.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// What stands there; empty at the end.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The key of a label has the wrong form.
    #[error("key: Invalid value: {key:?}: {wrong}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// The value of a label has the wrong form.
    #[error("values[{index}][{key}]: Invalid value: {value:?}: {wrong}")]
    Value {
        /// The key of the label.
        key: String,
        /// Which of the values.
        index: usize,
        /// The value.
        value: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// `in` or `notin` of no value.
    #[error("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")]
    NoValues,
    /// Values where none is compared.
    #[error("values: Invalid value: values set must be empty for exists and does not exist")]
    NeedlessValues,
    /// `>` or `<` of something that is no integer.
    #[error("values[0]: Invalid value: {0:?}: for 'Gt', 'Lt' operators, the value must be an integer")]
    NotAnInteger(String),
    /// An operator that does not exist.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Comma,
    Open,
    Close,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equals => "=",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::End => "",
        })
    }
}

/// The requirements in the text, in its order; none in an empty text.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    if parser.peek() == Token::End {
        return Ok(requirements);
    }
    let mut expected = "!, identifier, or 'end of string'";
    loop {
        if !matches!(parser.peek(), Token::Word(_) | Token::Not) {
            return Err(unexpected(parser.peek(), expected));
        }
        let requirement = parser.requirement();
        requirements.push(requirement.map_err(|error| SelectorError::Requirement(error.into()))?);
        match parser.next() {
            Token::End => return Ok(requirements),
            Token::Comma => expected = "identifier after ','",
            other => return Err(unexpected(other, "',' or 'end of string'")),
        }
    }
}

fn unexpected(found: Token<'_>, expected: &'static str) -> SelectorError {
    SelectorError::Unexpected { found: found.to_string(), expected }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token<'a> {
        const SYMBOLS: [(&str, Token<'static>); 9] = [
            ("==", Token::Equals),
            ("!=", Token::NotEquals),
            ("=", Token::Equals),
            ("!", Token::Not),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Close),
            (">", Token::Greater),
            ("<", Token::Less),
        ];
        let is_space = |c| matches!(c, ' ' | '\t' | '\r' | '\n');
        self.rest = self.rest.trim_start_matches(is_space);
        if self.rest.is_empty() {
            return Token::End;
        }
        for (symbol, token) in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                self.rest = rest;
                return token;
            }
        }
        let end = self.rest.find(|c| is_space(c) || "=!,()><".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Token::Word(word)
    }

    fn peek(&self) -> Token<'a> {
        Parser { rest: self.rest }.next()
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let absent = self.peek() == Token::Not;
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(unexpected(other, "identifier")),
        };
        // Before what follows it: a wrong key is the better explanation.
        check_key(key)?;
        let operator = match self.peek() {
            _ if absent => Operator::DoesNotExist,
            Token::Comma | Token::End => Operator::Exists,
            _ => self.operator()?,
        };
        Requirement::new(key, operator)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.next() {
            Token::Equals => Operator::Equals(self.value()?),
            Token::NotEquals => Operator::NotEquals(self.value()?),
            Token::Word("in") => Operator::In(self.values()?),
            Token::Word("notin") => Operator::NotIn(self.values()?),
            Token::Greater => Operator::GreaterThan(self.integer()?),
            Token::Less => Operator::LessThan(self.integer()?),
            other => return Err(unexpected(other, "in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        if matches!(self.peek(), Token::Comma | Token::End) {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(value) => Ok(value.to_owned()),
            other => Err(unexpected(other, "identifier")),
        }
    }

    fn integer(&mut self) -> Result<i64, SelectorError> {
        let value = self.value()?;
        // A label's value never starts with a sign, but `parse` takes a plus.
        let integer = value.parse().ok().filter(|_| !value.starts_with('+'));
        integer.ok_or(SelectorError::NotAnInteger(value))
    }

    /// `(a,b)`. A place between commas with nothing in it is the empty value; `()` has no value.
    fn values(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        match self.next() {
            Token::Open => {}
            other => return Err(unexpected(other, "'('")),
        }
        let mut values = BTreeSet::new();
        if self.peek() == Token::Close {
            self.next();
            return Ok(values);
        }
        loop {
            values.insert(match self.peek() {
                Token::Word(value) => {
                    self.next();
                    value.to_owned()
                }
                _ => String::new(),
            });
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(unexpected(other, "',' or ')'")),
            }
        }
    }
}

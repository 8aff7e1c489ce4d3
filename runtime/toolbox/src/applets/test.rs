//! `test` and `[`.

use crate::files;
use crate::process::{Failure, Outcome, Process};

pub async fn bracket(process: &mut Process) -> Outcome {
    if process.args.pop().as_deref() != Some("]") {
        return Err(wrong("missing ]"));
    }
    test(process).await
}

pub async fn test(process: &mut Process) -> Outcome {
    let words: Vec<String> = process.args.iter().skip(1).cloned().collect();
    let mut reader = Reader { process, words: &words, at: 0 };
    if words.is_empty() {
        return Ok(1);
    }
    let holds = reader.either()?;
    if reader.at < words.len() {
        return Err(wrong(&format!("{}: unknown operand", words[reader.at])));
    }
    Ok(i32::from(!holds))
}

fn wrong(words: &str) -> Failure {
    Failure { code: 2, words: words.to_owned() }
}

struct Reader<'a> {
    process: &'a Process,
    words: &'a [String],
    at: usize,
}

impl Reader<'_> {
    fn word(&self, ahead: usize) -> Option<&str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.word(0) == Some(word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<bool, Failure> {
        let mut holds = self.both()?;
        while self.eat("-o") {
            holds |= self.both()?;
        }
        Ok(holds)
    }

    fn both(&mut self) -> Result<bool, Failure> {
        let mut holds = self.not()?;
        while self.eat("-a") {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Result<bool, Failure> {
        let is_word =
            self.word(1).is_none() || (self.word(1).is_some_and(is_binary) && self.word(2).is_some());
        if self.word(0) == Some("!") && !is_word {
            self.at += 1;
            return Ok(!self.not()?);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<bool, Failure> {
        let first = self.word(0).ok_or_else(|| wrong("argument expected"))?.to_owned();
        if let (Some(operator), Some(second)) = (self.word(1), self.word(2))
            && is_binary(operator)
        {
            let holds = self.compare(&first, operator, second)?;
            self.at += 3;
            return Ok(holds);
        }
        if first == "(" && self.words.len() > self.at + 1 {
            self.at += 1;
            let holds = self.either()?;
            return if self.eat(")") { Ok(holds) } else { Err(wrong("closing paren expected")) };
        }
        if let Some(letter) = first.strip_prefix('-').filter(|letter| letter.len() == 1)
            && let Some(operand) = self.word(1)
            && let Some(holds) = self.about(letter, operand)
        {
            self.at += 2;
            return Ok(holds);
        }
        self.at += 1;
        Ok(!first.is_empty())
    }

    /// What a letter asks of a word.
    fn about(&self, letter: &str, operand: &str) -> Option<bool> {
        let path = self.process.path(operand);
        let found = || files::facts(&path).ok();
        let link = || files::own_facts(&path).is_ok_and(|facts| facts.letter() == 'l');
        Some(match letter {
            "n" => !operand.is_empty(),
            "z" => operand.is_empty(),
            "e" | "r" | "w" => found().is_some(),
            "x" => found().is_some(),
            "f" => found().is_some_and(|facts| facts.letter() == '-'),
            "d" => found().is_some_and(|facts| facts.is_folder()),
            "s" => found().is_some_and(|facts| facts.bytes > 0),
            "c" => found().is_some_and(|facts| facts.letter() == 'c'),
            "L" | "h" => link(),
            "b" | "p" | "S" | "g" | "u" | "k" => false,
            "t" => match operand {
                "0" => self.process.stdin.is_terminal(),
                "1" => self.process.stdout.is_terminal(),
                _ => self.process.stderr.is_terminal(),
            },
            _ => return None,
        })
    }

    fn compare(&self, left: &str, operator: &str, right: &str) -> Result<bool, Failure> {
        let number =
            |text: &str| text.trim().parse::<i64>().map_err(|_| wrong(&format!("{text}: bad number")));
        let modified = |name: &str| files::facts(&self.process.path(name)).ok().map(|facts| facts.modified);
        Ok(match operator {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-nt" => modified(left) > modified(right),
            "-ot" => modified(left) < modified(right),
            "-ef" => self.process.path(left) == self.process.path(right),
            operator => {
                let order = number(left)?.cmp(&number(right)?);
                match operator {
                    "-eq" => order.is_eq(),
                    "-ne" => order.is_ne(),
                    "-lt" => order.is_lt(),
                    "-le" => order.is_le(),
                    "-gt" => order.is_gt(),
                    _ => order.is_ge(),
                }
            }
        })
    }
}

fn is_binary(word: &str) -> bool {
    let operators =
        ["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];
    operators.contains(&word)
}

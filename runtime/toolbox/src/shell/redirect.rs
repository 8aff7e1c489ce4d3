//! Leads the streams of a command elsewhere.

use std::rc::Rc;

use super::syntax::{Redirection, Target};
use super::{Extra, Shell};
use crate::files;
use crate::process::{Failure, about};
use crate::stream::{Input, Output};

impl Shell {
    /// Leads its streams where a command wants them. The caller puts them back.
    pub(super) async fn redirect(&mut self, redirections: &[Redirection]) -> Result<(), Failure> {
        for Redirection { stream, target } in redirections {
            match target {
                Target::Text(word) => {
                    let text = self.text(word).await?;
                    self.lead_in(*stream, Input::text(text));
                }
                Target::Read(word) => {
                    let name = self.text(word).await?;
                    let input = self.process(vec![String::new()]).open(&name);
                    let cannot = |failure: Failure| Failure {
                        words: format!("can't open {}", failure.words),
                        ..failure
                    };
                    self.lead_in(*stream, input.map_err(cannot)?);
                }
                Target::Write(word) | Target::Append(word) => {
                    let name = self.text(word).await?;
                    let output = self.create(&name, matches!(target, Target::Append(_)))?;
                    self.lead_out(*stream, output);
                }
                Target::Same(word) => {
                    let word = self.text(word).await?;
                    self.lead_as(*stream, &word)?;
                }
            }
        }
        Ok(())
    }

    fn create(&self, name: &str, appends: bool) -> Result<Output, Failure> {
        match name {
            "/dev/null" => return Ok(Output::Nowhere),
            "/dev/stdout" => return Ok(self.streams.output.clone()),
            "/dev/stderr" => return Ok(self.streams.errors.clone()),
            "/dev/tty" | "/proc/1/fd/1" => return Ok(Output::Stdout),
            _ => {}
        }
        let created = files::create(&files::absolute(&self.folder, name), appends);
        let file = created.map_err(|error| {
            let failure = about(name, &error);
            Failure { words: format!("can't create {}", failure.words), ..failure }
        })?;
        Ok(Output::File(Rc::new(file)))
    }

    fn lead_in(&mut self, stream: u32, input: Input) {
        if stream == 0 {
            self.streams.input = input;
        } else {
            self.streams.extra.insert(stream, Extra::In(input));
        }
    }

    fn lead_out(&mut self, stream: u32, output: Output) {
        match stream {
            1 => self.streams.output = output,
            2 => self.streams.errors = output,
            stream => drop(self.streams.extra.insert(stream, Extra::Out(output))),
        }
    }

    fn lead_as(&mut self, stream: u32, word: &str) -> Result<(), Failure> {
        let streams = &self.streams;
        let found = match word {
            "-" => {
                match stream {
                    0 => self.lead_in(0, Input::nothing()),
                    1 | 2 => self.lead_out(stream, Output::Nowhere),
                    stream => drop(self.streams.extra.remove(&stream)),
                }
                return Ok(());
            }
            "0" => Some(Extra::In(streams.input.clone())),
            "1" => Some(Extra::Out(streams.output.clone())),
            "2" => Some(Extra::Out(streams.errors.clone())),
            word => word.parse().ok().and_then(|number: u32| streams.extra.get(&number).cloned()),
        };
        match found {
            Some(Extra::In(input)) => self.lead_in(stream, input),
            Some(Extra::Out(output)) => self.lead_out(stream, output),
            None => return Err(Failure { code: 2, words: format!("{word}: bad file descriptor") }),
        }
        Ok(())
    }
}

//! What a command prints, kept for a test that waits for a line of it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use cli::terminal::Terminal;
use tokio::sync::Notify;

/// When a test gives up on a line that should have come long before.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The text printed so far. A clone is a reference.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Inside>);

#[derive(Default)]
struct Inside {
    text: Mutex<String>,
    grew: Notify,
}

impl Transcript {
    /// A terminal that prints to it.
    pub fn terminal(&self) -> Terminal {
        Terminal::plain(Box::new(self.clone()))
    }

    /// What was printed.
    pub fn text(&self) -> String {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first line, at or after the line `from`, that contains `words`; gives its number and the line.
    pub async fn line(&self, from: usize, words: &str) -> Result<(usize, String)> {
        let search = async {
            loop {
                let text = self.text();
                let found = text.lines().enumerate().skip(from).find(|(_, line)| line.contains(words));
                if let Some((number, line)) = found {
                    return (number, line.to_owned());
                }
                self.0.grew.notified().await;
            }
        };
        let found = tokio::time::timeout(GIVE_UP_AFTER, search).await;
        found.with_context(|| format!("no line with {words:?} after line {from} of:\n{}", self.text()))
    }
}

impl Write for Transcript {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&String::from_utf8_lossy(bytes));
        drop(text);
        self.0.grew.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

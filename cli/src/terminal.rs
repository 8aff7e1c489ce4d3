//! What people see: colours where a person looks, plain text elsewhere, and one status line that repaints itself.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The colours that tell pods apart in a stream of logs.
const PALETTE: [u8; 6] = [36, 33, 32, 35, 34, 96];

/// The output of a command, shared by everything that prints. A clone prints to the same.
#[derive(Clone)]
pub struct Terminal {
    is_coloured: bool,
    repaints: bool,
    screen: Arc<Mutex<Screen>>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    status: String,
}

impl Terminal {
    /// Standard output as it is: coloured if it is a terminal and `NO_COLOR` is not set.
    pub fn standard() -> Self {
        let repaints = std::io::stdout().is_terminal();
        let is_coloured = repaints && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_coloured, repaints, ..Self::plain(Box::new(std::io::stdout())) }
    }

    /// Plain text, line by line, to any writer.
    pub fn plain(out: Box<dyn Write + Send>) -> Self {
        let screen = Screen { out, status: String::new() };
        Self { is_coloured: false, repaints: false, screen: Arc::new(Mutex::new(screen)) }
    }

    /// Whether the status line is repainted; elsewhere each is a line of its own.
    pub fn repaints(&self) -> bool {
        self.repaints
    }

    /// Prints a line above the status line.
    pub fn line(&self, text: &str) {
        let screen = &mut *self.screen();
        // A reader that went away is no reason to stop the cluster.
        let _ = if self.repaints && !screen.status.is_empty() {
            write!(screen.out, "\r\x1b[K{text}\n{}", screen.status)
        } else {
            writeln!(screen.out, "{text}")
        };
        let _ = screen.out.flush();
    }

    /// Shows `text` as the status line: repainted on a terminal, a line of its own elsewhere. Empty clears it.
    pub fn status(&self, text: &str) {
        let screen = &mut *self.screen();
        if screen.status == text {
            return;
        }
        text.clone_into(&mut screen.status);
        let _ = match (self.repaints, text.is_empty()) {
            (true, _) => write!(screen.out, "\r\x1b[K{text}"),
            (false, true) => Ok(()),
            (false, false) => writeln!(screen.out, "{text}"),
        };
        let _ = screen.out.flush();
    }

    /// Bold text.
    pub fn bold(&self, text: &str) -> String {
        self.paint(1, text)
    }

    /// Text that stays in the background.
    pub fn dim(&self, text: &str) -> String {
        self.paint(2, text)
    }

    /// Text that says all is well.
    pub fn good(&self, text: &str) -> String {
        self.paint(32, text)
    }

    /// Text that says something is wrong.
    pub fn bad(&self, text: &str) -> String {
        self.paint(31, text)
    }

    /// Text in a colour that follows from `name`.
    pub fn named(&self, name: &str, text: &str) -> String {
        let sum: usize = name.bytes().map(usize::from).sum();
        self.paint(PALETTE[sum % PALETTE.len()], text)
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

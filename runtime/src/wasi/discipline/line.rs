//! The line being edited, and those before it. Each change says what a terminal has to be sent to show it.

use std::collections::VecDeque;

/// Longer lines are not taken, as by a kernel's terminal.
const LONGEST_LINE: usize = 4096;
/// As many lines are remembered.
const LINES_KEPT: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Line {
    text: Vec<char>,
    /// Where the next character goes.
    at: usize,
    /// The lines before, the newest last.
    earlier: VecDeque<Vec<char>>,
    /// Which of them is shown, counted from the newest, from 1.
    shown: usize,
    /// What was typed before an earlier line was shown.
    typed: Vec<char>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the line, which is an earlier one from now on.
    pub(super) fn submit(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.forget();
        if !text.is_empty() && self.earlier.back() != Some(&text) {
            self.earlier.push_back(text.clone());
            if self.earlier.len() > LINES_KEPT {
                self.earlier.pop_front();
            }
        }
        text.into_iter().collect()
    }

    /// Forgets what was typed.
    pub(super) fn forget(&mut self) {
        self.text.clear();
        self.typed.clear();
        (self.at, self.shown) = (0, 0);
    }

    pub(super) fn insert(&mut self, c: char, echo: &mut Vec<u8>) {
        if self.text.len() >= LONGEST_LINE {
            echo.push(7);
            return;
        }
        self.text.insert(self.at, c);
        show(&self.text[self.at..], echo);
        self.at += 1;
        back(self.text.len() - self.at, echo);
    }

    pub(super) fn left(&mut self, echo: &mut Vec<u8>) {
        if self.at > 0 {
            self.at -= 1;
            back(1, echo);
        }
    }

    pub(super) fn right(&mut self, echo: &mut Vec<u8>) {
        if let Some(c) = self.text.get(self.at) {
            show(&[*c], echo);
            self.at += 1;
        }
    }

    pub(super) fn home(&mut self, echo: &mut Vec<u8>) {
        back(self.at, echo);
        self.at = 0;
    }

    pub(super) fn end(&mut self, echo: &mut Vec<u8>) {
        show(&self.text[self.at..], echo);
        self.at = self.text.len();
    }

    /// Takes away the character before.
    pub(super) fn erase(&mut self, echo: &mut Vec<u8>) {
        if self.at > 0 {
            self.at -= 1;
            back(1, echo);
            self.delete(echo);
        }
    }

    /// Takes away the character under the cursor.
    pub(super) fn delete(&mut self, echo: &mut Vec<u8>) {
        if self.at < self.text.len() {
            self.text.remove(self.at);
            show(&self.text[self.at..], echo);
            echo.push(b' ');
            back(self.text.len() - self.at + 1, echo);
        }
    }

    pub(super) fn cut_start(&mut self, echo: &mut Vec<u8>) {
        while self.at > 0 {
            self.erase(echo);
        }
    }

    pub(super) fn cut_end(&mut self, echo: &mut Vec<u8>) {
        let gone = self.text.len() - self.at;
        self.text.truncate(self.at);
        echo.extend(std::iter::repeat_n(b' ', gone));
        back(gone, echo);
    }

    pub(super) fn cut_word(&mut self, echo: &mut Vec<u8>) {
        let before = |line: &Self| line.at.checked_sub(1).map(|at| line.text[at]);
        while before(self).is_some_and(char::is_whitespace) {
            self.erase(echo);
        }
        while before(self).is_some_and(|c| !c.is_whitespace()) {
            self.erase(echo);
        }
    }

    pub(super) fn older(&mut self, echo: &mut Vec<u8>) {
        if self.shown < self.earlier.len() {
            if self.shown == 0 {
                self.typed = self.text.clone();
            }
            self.shown += 1;
            self.replace(self.earlier[self.earlier.len() - self.shown].clone(), echo);
        }
    }

    pub(super) fn newer(&mut self, echo: &mut Vec<u8>) {
        if self.shown > 0 {
            self.shown -= 1;
            let text = match self.shown {
                0 => std::mem::take(&mut self.typed),
                shown => self.earlier[self.earlier.len() - shown].clone(),
            };
            self.replace(text, echo);
        }
    }

    fn replace(&mut self, text: Vec<char>, echo: &mut Vec<u8>) {
        self.end(echo);
        self.cut_start(echo);
        self.text = text;
        self.end(echo);
    }
}

fn show(text: &[char], echo: &mut Vec<u8>) {
    for c in text {
        echo.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn back(count: usize, echo: &mut Vec<u8>) {
    echo.extend(std::iter::repeat_n(8, count));
}

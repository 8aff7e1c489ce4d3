//! The line discipline of a terminal: what is typed is echoed and edited here, and reaches the guest line by line, as a
//! kernel's terminal driver does it, with a history of lines besides.

mod line;

use line::Line;

/// What a guest is told besides lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// Interrupts and ends of input come as control characters between the lines: the guest is a shell that knows them.
    Within,
    /// They are for whoever runs the guest.
    Apart,
}

/// What came of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// To be shown.
    pub echo: Vec<u8>,
    /// To be read by the guest.
    pub input: Vec<u8>,
    /// The input is over.
    pub ends: bool,
    /// The guest is to be interrupted.
    pub interrupts: bool,
}

const INTERRUPT: u8 = 3;
const END: u8 = 4;
const ESCAPE: u8 = 27;
/// Escape sequences of keys are shorter.
const LONGEST_SEQUENCE: usize = 16;

/// The state of one terminal.
#[derive(Debug)]
pub struct Discipline {
    signals: Signals,
    line: Line,
    /// A character or an escape sequence that is not whole yet.
    begun: Vec<u8>,
}

impl Discipline {
    /// A terminal with nothing typed.
    pub fn new(signals: Signals) -> Self {
        Self { signals, line: Line::default(), begun: Vec::new() }
    }

    /// Takes what was typed.
    pub fn take(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for byte in bytes {
            // What follows an end is for nobody.
            if typed.ends || typed.interrupts {
                break;
            }
            self.take_byte(*byte, &mut typed);
        }
        typed
    }

    fn take_byte(&mut self, byte: u8, typed: &mut Typed) {
        if self.begun.first() == Some(&ESCAPE) {
            self.begun.push(byte);
            self.take_sequence(typed);
            return;
        }
        match byte {
            ESCAPE => self.begun = vec![byte],
            b'\r' | b'\n' => self.submit(typed),
            // Ctrl-C, and Ctrl-\.
            INTERRUPT | 28 => self.interrupt(typed),
            END if self.line.is_empty() => match self.signals {
                Signals::Within => typed.input.push(END),
                Signals::Apart => typed.ends = true,
            },
            // What was typed so far is handed over without an end.
            END => typed.input.extend(self.line.submit().into_bytes()),
            0x7f | 8 => self.line.erase(&mut typed.echo),
            // Ctrl-A, B, E, F, K, N, P, U and W, as editors have them.
            1 => self.line.home(&mut typed.echo),
            2 => self.line.left(&mut typed.echo),
            5 => self.line.end(&mut typed.echo),
            6 => self.line.right(&mut typed.echo),
            11 => self.line.cut_end(&mut typed.echo),
            14 => self.line.newer(&mut typed.echo),
            16 => self.line.older(&mut typed.echo),
            21 => self.line.cut_start(&mut typed.echo),
            23 => self.line.cut_word(&mut typed.echo),
            b'\t' => self.line.insert('\t', &mut typed.echo),
            0..=31 => {}
            byte => self.take_character(byte, typed),
        }
    }

    fn take_character(&mut self, byte: u8, typed: &mut Typed) {
        self.begun.push(byte);
        match std::str::from_utf8(&self.begun) {
            Ok(text) => {
                let text = text.to_owned();
                self.begun.clear();
                text.chars().for_each(|c| self.line.insert(c, &mut typed.echo));
            }
            Err(error) if error.error_len().is_some() => self.begun.clear(),
            Err(_) => {}
        }
    }

    fn take_sequence(&mut self, typed: &mut Typed) {
        let echo = &mut typed.echo;
        match self.begun.as_slice() {
            [_, b'[' | b'O', b'A'] => self.line.older(echo),
            [_, b'[' | b'O', b'B'] => self.line.newer(echo),
            [_, b'[' | b'O', b'C'] => self.line.right(echo),
            [_, b'[' | b'O', b'D'] => self.line.left(echo),
            [_, b'[' | b'O', b'H'] | [_, b'[', b'1' | b'7', b'~'] => self.line.home(echo),
            [_, b'[' | b'O', b'F'] | [_, b'[', b'4' | b'8', b'~'] => self.line.end(echo),
            [_, b'[', b'3', b'~'] => self.line.delete(echo),
            [_, b'[' | b'O'] => return,
            // Parameters, until a letter ends the sequence.
            [_, b'[' | b'O', .., b' '..=b'?'] if self.begun.len() < LONGEST_SEQUENCE => return,
            _ => {}
        }
        self.begun.clear();
    }

    fn submit(&mut self, typed: &mut Typed) {
        self.line.end(&mut typed.echo);
        typed.echo.extend_from_slice(b"\r\n");
        typed.input.extend(self.line.submit().into_bytes());
        typed.input.push(b'\n');
    }

    fn interrupt(&mut self, typed: &mut Typed) {
        self.line.end(&mut typed.echo);
        typed.echo.extend_from_slice(b"^C\r\n");
        self.line.forget();
        match self.signals {
            Signals::Within => typed.input.push(INTERRUPT),
            Signals::Apart => typed.interrupts = true,
        }
    }
}

/// Ends lines as a terminal needs it.
pub fn end_lines(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(bytes.len());
    let mut before = 0;
    for byte in bytes {
        if *byte == b'\n' && before != b'\r' {
            output.push(b'\r');
        }
        output.push(*byte);
        before = *byte;
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signals: Signals, keys: &str, echo: &str, input: &str) {
        let typed = Discipline::new(signals).take(keys.as_bytes());
        let shown = String::from_utf8(typed.echo).expect("text");
        let read = String::from_utf8(typed.input).expect("text");
        assert_eq!((shown.as_str(), read.as_str()), (echo, input), "{keys:?}");
    }

    #[test]
    fn lines_are_echoed_and_edited() {
        let row = |keys: &str, echo: &str, input: &str| check(Signals::Within, keys, echo, input);
        row("ls\r", "ls\r\n", "ls\n");
        row("lx\x7fs\r", "lx\x08 \x08s\r\n", "ls\n");
        row("\x7fls", "ls", "");
        row("a b\x17c\r", "a b\x08 \x08c\r\n", "a c\n");
        row("ab\x15c\r", "ab\x08 \x08\x08 \x08c\r\n", "c\n");
        row("ü\x7fo\r", "ü\x08 \x08o\r\n", "o\n");
        row("ac\x1b[Db\r", "ac\x08bc\x08c\r\n", "abc\n");
        row(
            "one\rtwo\r\x1b[A\x1b[A\r",
            "one\r\ntwo\r\ntwo\x08 \x08\x08 \x08\x08 \x08one\r\n",
            "one\ntwo\none\n",
        );
        row("\x1b[5~x\r", "x\r\n", "x\n");
    }

    #[test]
    fn a_shell_hears_interrupts_and_ends_between_the_lines() {
        let row = |keys: &str, echo: &str, input: &str| check(Signals::Within, keys, echo, input);
        row("ls\x03", "ls^C\r\n", "\x03");
        row("\x04", "", "\x04");
        row("ls\x04", "ls", "ls");
    }

    #[test]
    fn others_are_ended_by_them() {
        let mut discipline = Discipline::new(Signals::Apart);
        let typed = discipline.take(b"a\r\x04b");
        assert_eq!((typed.input.as_slice(), typed.ends, typed.interrupts), (b"a\n".as_slice(), true, false));
        let typed = discipline.take(b"a\x03b");
        assert_eq!((typed.input.as_slice(), typed.ends, typed.interrupts), (b"".as_slice(), false, true));
    }

    #[test]
    fn a_character_may_come_in_parts() {
        let mut discipline = Discipline::new(Signals::Within);
        let [first, second] = "ü".as_bytes() else { panic!("two bytes") };
        assert_eq!(discipline.take(&[*first]).echo, b"");
        assert_eq!(discipline.take(&[*second]).echo, "ü".as_bytes());
        assert_eq!(discipline.take(b"\xffo").echo, b"o");
    }

    #[test]
    fn ends_of_lines_are_a_terminals() {
        assert_eq!(end_lines(b"a\nb\r\n\n"), b"a\r\nb\r\n\r\n");
    }
}

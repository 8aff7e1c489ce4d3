//! Programs that only say something: `echo`, `printf`, `seq`, `yes`, `basename`, `dirname`, `base64`, `true`, `false`.

use crate::files;
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, failure};
use crate::task;

pub async fn succeeded(_: &mut Process) -> Outcome {
    Ok(0)
}

pub async fn failed(_: &mut Process) -> Outcome {
    Ok(1)
}

pub async fn clear(process: &mut Process) -> Outcome {
    process.print("\x1b[H\x1b[J").await?;
    Ok(0)
}

pub async fn help(process: &mut Process) -> Outcome {
    let names: Vec<&str> = super::names().collect();
    process.print(format!("A shell and these programs:\n{}\n", names.join(" "))).await?;
    Ok(0)
}

pub async fn echo(process: &mut Process) -> Outcome {
    let (mut ends_line, mut escapes, mut first) = (true, false, 1);
    while let Some(option) = process.args.get(first) {
        let letters = option.strip_prefix('-').unwrap_or_default();
        if letters.is_empty() || letters.chars().any(|letter| !"neE".contains(letter)) {
            break;
        }
        ends_line &= !letters.contains('n');
        escapes = letters.contains('e') || (escapes && !letters.contains('E'));
        first += 1;
    }
    let mut line = process.args[first.min(process.args.len())..].join(" ").into_bytes();
    if escapes {
        let (escaped, is_over) = unescape(&String::from_utf8_lossy(&line));
        line = escaped;
        ends_line &= !is_over;
    }
    if ends_line {
        line.push(b'\n');
    }
    process.print(line).await?;
    Ok(0)
}

/// What escapes stand for, and whether `\c` ended it.
fn unescape(text: &str) -> (Vec<u8>, bool) {
    let mut output = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            output.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, most: usize| {
            let mut value = None;
            for _ in 0..most {
                let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
                chars.next();
                value = Some(value.unwrap_or(0) * radix + digit);
            }
            value
        };
        match chars.next() {
            None => output.push(b'\\'),
            Some('c') => return (output, true),
            Some('0') => output.push(number(&mut chars, 8, 3).unwrap_or(0) as u8),
            Some('x') => match number(&mut chars, 16, 2) {
                Some(value) => output.push(value as u8),
                None => output.extend_from_slice(b"\\x"),
            },
            Some(digit @ '1'..='7') => {
                let mut value = digit.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
                    chars.next();
                    value = value * 8 + digit;
                }
                output.push(value as u8);
            }
            Some(letter) => match "abefnrtv\\".find(letter) {
                Some(place) => output.push(b"\x07\x08\x1b\x0c\n\r\t\x0b\\"[place]),
                None => output.extend_from_slice(format!("\\{letter}").as_bytes()),
            },
        }
    }
    (output, false)
}

pub async fn printf(process: &mut Process) -> Outcome {
    let first = 1 + usize::from(process.args.get(1).is_some_and(|word| word == "--"));
    let mut values = process.args.clone().into_iter().skip(first);
    let usage = || failure("usage: printf FORMAT [ARG]...");
    let format: Vec<char> = values.next().ok_or_else(usage)?.chars().collect();
    let mut code = 0;
    loop {
        let left = values.len();
        let is_over = print_once(process, &format, &mut values, &mut code).await?;
        // The format is used again as long as it takes something.
        if is_over || values.len() == 0 || values.len() == left {
            return Ok(code);
        }
    }
}

async fn print_once(
    process: &mut Process,
    format: &[char],
    values: &mut impl Iterator<Item = String>,
    code: &mut i32,
) -> Result<bool, Failure> {
    let mut at = 0;
    while at < format.len() {
        if format[at] == '\\' {
            let end = (at + 5).min(format.len());
            let length = escape_length(&format[at..end]);
            let text: String = format[at..at + length].iter().collect();
            let (bytes, is_over) = unescape(&text);
            process.print(bytes).await?;
            if is_over {
                return Ok(true);
            }
            at += length;
        } else if format[at] == '%' {
            let (bytes, length, is_over) = conversion(process, &format[at..], values, code).await?;
            process.print(bytes).await?;
            if is_over {
                return Ok(true);
            }
            at += length;
        } else {
            process.print(format[at].to_string()).await?;
            at += 1;
        }
    }
    Ok(false)
}

fn escape_length(text: &[char]) -> usize {
    let digits = |radix, most: usize| text[2..].iter().take(most).take_while(|c| c.is_digit(radix)).count();
    match text.get(1) {
        None => 1,
        Some('x') => 2 + digits(16, 2),
        Some('0') => 2 + digits(8, 3),
        Some('1'..='7') => 2 + digits(8, 2),
        Some(_) => 2,
    }
}

/// One conversion: its text, how much of the format it takes, and whether it ends all.
async fn conversion(
    process: &mut Process,
    format: &[char],
    values: &mut impl Iterator<Item = String>,
    code: &mut i32,
) -> Result<(Vec<u8>, usize, bool), Failure> {
    let mut at = 1;
    let mut flags = String::new();
    while let Some(flag) = format.get(at).filter(|c| "-+ #0".contains(**c)) {
        flags.push(*flag);
        at += 1;
    }
    let mut size = |at: &mut usize| {
        if format.get(*at) == Some(&'*') {
            *at += 1;
            return values.next().and_then(|value| value.parse::<usize>().ok());
        }
        let digits: String = format[*at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        *at += digits.len();
        digits.parse().ok()
    };
    let width = size(&mut at).unwrap_or(0).min(10_000);
    let mut precision = None;
    if format.get(at) == Some(&'.') {
        at += 1;
        precision = Some(size(&mut at).unwrap_or(0).min(10_000));
    }
    let Some(kind) = format.get(at) else { return Err(failure("%: invalid format")) };
    if *kind == '%' {
        return Ok((b"%".to_vec(), at + 1, false));
    }
    let value = values.next();
    let mut is_over = false;
    let bytes = match kind {
        's' => {
            let text = value.unwrap_or_default();
            precision.map_or(text.clone(), |most| text.chars().take(most).collect()).into_bytes()
        }
        'b' => {
            let (bytes, ends) = unescape(&value.unwrap_or_default());
            is_over = ends;
            bytes
        }
        'c' => value.unwrap_or_default().chars().take(1).collect::<String>().into_bytes(),
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let number = integer(process, value.as_deref(), code).await;
            whole(number, *kind, &flags, precision).into_bytes()
        }
        'f' | 'e' | 'g' => {
            let text = value.unwrap_or_default();
            let number: f64 = if text.is_empty() { 0.0 } else { text.parse().unwrap_or(f64::NAN) };
            let text = match kind {
                'g' => number.to_string(),
                'e' => format!("{number:.*e}", precision.unwrap_or(6)),
                _ => format!("{number:.*}", precision.unwrap_or(6)),
            };
            text.into_bytes()
        }
        kind => return Err(failure(format!("%{kind}: invalid format"))),
    };
    Ok((padded(bytes, width, &flags, *kind), at + 1, is_over))
}

async fn integer(process: &mut Process, text: Option<&str>, code: &mut i32) -> i64 {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return 0 };
    if let Some(c) = text.strip_prefix(['\'', '"']).and_then(|rest| rest.chars().next()) {
        return i64::from(u32::from(c));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let parsed = match digits {
        hex if hex.starts_with("0x") || hex.starts_with("0X") => i64::from_str_radix(&hex[2..], 16),
        octal if octal.len() > 1 && octal.starts_with('0') => i64::from_str_radix(octal, 8),
        decimal => decimal.parse(),
    };
    match parsed {
        Ok(number) => sign * number,
        Err(_) => {
            process.complain(&format!("{text}: invalid number")).await;
            *code = 1;
            0
        }
    }
}

fn whole(number: i64, kind: char, flags: &str, precision: Option<usize>) -> String {
    let digits = match kind {
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        'o' => format!("{number:o}"),
        'u' => (number as u64).to_string(),
        _ => number.unsigned_abs().to_string(),
    };
    let digits = format!("{digits:0>width$}", width = precision.unwrap_or(0));
    let is_signed = matches!(kind, 'd' | 'i');
    let sign = match () {
        () if is_signed && number < 0 => "-",
        () if is_signed && flags.contains('+') => "+",
        () if is_signed && flags.contains(' ') => " ",
        () if flags.contains('#') && kind == 'x' => "0x",
        () => "",
    };
    format!("{sign}{digits}")
}

fn padded(mut bytes: Vec<u8>, width: usize, flags: &str, kind: char) -> Vec<u8> {
    let length = String::from_utf8_lossy(&bytes).chars().count();
    let missing = width.saturating_sub(length);
    if flags.contains('-') {
        bytes.extend(std::iter::repeat_n(b' ', missing));
        return bytes;
    }
    let with_zeros = flags.contains('0') && !"sbc".contains(kind);
    let sign = usize::from(with_zeros && bytes.first().is_some_and(|first| b"+- ".contains(first)));
    let fill = if with_zeros { b'0' } else { b' ' };
    bytes.splice(sign..sign, std::iter::repeat_n(fill, missing));
    bytes
}

pub async fn seq(process: &mut Process) -> Outcome {
    let mut words: Vec<String> = process.args[1..].to_vec();
    let mut separator = "\n".to_owned();
    if words.first().is_some_and(|word| word == "-s") && words.len() > 1 {
        separator = words.remove(1);
        words.remove(0);
    }
    let number = |word: &String| word.parse::<f64>().map_err(|_| failure(format!("invalid number '{word}'")));
    let numbers: Vec<f64> = words.iter().map(number).collect::<Result<_, _>>()?;
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1.0, 1.0, *last),
        [first, last] => (*first, 1.0, *last),
        [first, step, last] if *step != 0.0 => (*first, *step, *last),
        _ => return Err(failure("usage: seq [FIRST [STEP]] LAST")),
    };
    let places = words.iter().map(|word| word.split_once('.').map_or(0, |(_, digits)| digits.len())).max();
    let mut count: f64 = 0.0;
    loop {
        let value = first + count * step;
        if (step > 0.0 && value > last) || (step < 0.0 && value < last) {
            break;
        }
        let before = if count > 0.0 { &separator } else { "" };
        process.print(format!("{before}{value:.*}", places.unwrap_or(0))).await?;
        count += 1.0;
    }
    if count > 0.0 {
        process.print("\n").await?;
    }
    Ok(0)
}

pub async fn yes(process: &mut Process) -> Outcome {
    let words = process.args[1..].join(" ");
    let line = if words.is_empty() { "y\n".to_owned() } else { format!("{words}\n") };
    loop {
        process.print(&line).await?;
        task::yield_now().await;
    }
}

pub async fn basename(process: &mut Process) -> Outcome {
    let [_, path, rest @ ..] = process.args.as_slice() else { return Err(failure("missing operand")) };
    let mut base = if path.trim_end_matches('/').is_empty() { "/" } else { files::base(path) };
    if let Some(end) = rest.first() {
        base = base.strip_suffix(end.as_str()).filter(|base| !base.is_empty()).unwrap_or(base);
    }
    let line = format!("{base}\n");
    process.print(line).await?;
    Ok(0)
}

pub async fn dirname(process: &mut Process) -> Outcome {
    let path = process.args.get(1).ok_or_else(|| failure("missing operand"))?;
    let line = format!("{}\n", files::parent(path));
    process.print(line).await?;
    Ok(0)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub async fn base64(process: &mut Process) -> Outcome {
    let options = Options::read(process, "di", "w", &[("decode", 'd'), ("wrap", 'w')])?;
    let bytes = process.open(&options.files()[0])?.read_all(64 << 20).await?;
    if options.has('d') {
        let decoded = decode(&bytes).ok_or_else(|| failure("invalid input"))?;
        process.print(decoded).await?;
        return Ok(0);
    }
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let value = (0..3).fold(0, |value, place| value << 8 | u32::from(*group.get(place).unwrap_or(&0)));
        for place in 0..4 {
            let digit = DIGITS[(value >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { digit } else { b'=' });
        }
    }
    let width = options.number('w')?.unwrap_or(76) as usize;
    for line in text.chunks(if width == 0 { text.len().max(1) } else { width }) {
        process.print(line).await?;
        if width > 0 {
            process.print("\n").await?;
        }
    }
    Ok(0)
}

fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut output, mut value, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in bytes.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=') {
        value = value << 6 | DIGITS.iter().position(|digit| digit == byte)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            output.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    Some(output)
}

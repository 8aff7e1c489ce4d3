//! Programs about sizes and contents: `du`, `df`, `stat`, `sha256sum`.

use super::list::human;
use super::system::{Time, seconds_since_epoch};
use crate::files;
use crate::options::Options;
use crate::process::{Outcome, Process, about, failure};
use crate::task::{self, Boxed};

pub async fn du(process: &mut Process) -> Outcome {
    let options = Options::read(process, "shkamcx", "d", &[("max-depth", 'd'), ("summarize", 's')])?;
    let most =
        if options.has('s') { 0 } else { options.number('d')?.map_or(usize::MAX, |most| most as usize) };
    let names = if options.rest.is_empty() { vec![".".to_owned()] } else { options.rest.clone() };
    let mut total = 0;
    for name in names {
        files::own_facts(&process.path(&name)).map_err(|error| about(&name, &error))?;
        total += walk(process, &options, name, 0, most).await?;
    }
    if options.has('c') {
        process.print(format!("{}\ttotal\n", size(&options, total))).await?;
    }
    Ok(0)
}

fn walk<'a>(
    process: &'a mut Process,
    options: &'a Options,
    shown: String,
    depth: usize,
    most: usize,
) -> Boxed<'a, Result<u64, crate::process::Failure>> {
    Box::pin(async move {
        task::yield_now().await;
        let path = process.path(&shown);
        // What has gone meanwhile takes nothing.
        let Ok(facts) = files::own_facts(&path) else { return Ok(0) };
        let mut bytes = facts.bytes;
        if facts.is_folder() {
            bytes = 0;
            for name in files::list(&path).unwrap_or_default() {
                bytes += walk(process, options, files::within(&shown, &name), depth + 1, most).await?;
            }
        }
        if depth <= most && (facts.is_folder() || depth == 0 || options.has('a')) {
            process.print(format!("{}\t{shown}\n", size(options, bytes))).await?;
        }
        Ok(bytes)
    })
}

fn size(options: &Options, bytes: u64) -> String {
    match () {
        () if options.has('h') => human(bytes),
        () if options.has('m') => bytes.div_ceil(1 << 20).to_string(),
        () => bytes.div_ceil(1 << 10).to_string(),
    }
}

/// How large the disk behind a mount is, WASI does not tell.
pub async fn df(process: &mut Process) -> Outcome {
    process.print("Filesystem           1K-blocks      Used Available Use% Mounted on\n").await?;
    for mount in files::mounts() {
        process.print(format!("volume                       -         -         -    - {mount}\n")).await?;
    }
    Ok(0)
}

pub async fn stat(process: &mut Process) -> Outcome {
    let options = Options::read(process, "Lt", "c", &[("format", 'c')])?;
    for name in &options.rest {
        let path = process.path(name);
        let found = if options.has('L') { files::facts(&path) } else { files::own_facts(&path) };
        let facts = found.map_err(|error| about(&format!("can't stat '{name}'"), &error))?;
        let kind = match facts.letter() {
            '-' => "regular file",
            'd' => "directory",
            'l' => "symbolic link",
            _ => "special file",
        };
        let modified = seconds_since_epoch(facts.modified);
        let time = Time::at(modified).format("%Y-%m-%d %H:%M:%S");
        let text = match options.value('c') {
            Some(format) => {
                let parts = [
                    ("%n", name.clone()),
                    ("%s", facts.bytes.to_string()),
                    ("%F", kind.to_owned()),
                    ("%Y", modified.to_string()),
                    ("%y", time),
                    ("%a", if facts.is_folder() { "755" } else { "644" }.to_owned()),
                ];
                let text =
                    parts.into_iter().fold(format.to_owned(), |text, (sign, part)| text.replace(sign, &part));
                format!("{text}\n")
            }
            None => format!("  File: {name}\n  Size: {:<15} {kind}\nModify: {time}\n", facts.bytes),
        };
        process.print(text).await?;
    }
    Ok(0)
}

pub async fn sha256sum(process: &mut Process) -> Outcome {
    let options = Options::read(process, "bt", "", &[])?;
    for name in options.files() {
        let input = process.open(&name)?;
        let mut hash = Sha256::default();
        loop {
            let bytes = input.read().await?;
            if bytes.is_empty() {
                break;
            }
            hash.add(&bytes);
        }
        process.print(format!("{}  {name}\n", hash.finish())).await?;
    }
    if options.has('c') {
        return Err(failure("checking is not supported"));
    }
    Ok(0)
}

/// SHA-256 (FIPS 180-4).
struct Sha256 {
    state: [u32; 8],
    block: Vec<u8>,
    bytes: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        let roots = roots(8, 2);
        Self { state: std::array::from_fn(|place| roots[place]), block: Vec::new(), bytes: 0 }
    }
}

/// The first 32 bits behind the point of the roots of the first primes.
fn roots(count: usize, power: u32) -> Vec<u32> {
    let is_prime = |number: &u64| {
        (2..*number).take_while(|divisor| divisor * divisor <= *number).all(|divisor| number % divisor != 0)
    };
    let fraction = |prime: u64| {
        // Whole numbers: a float's root would not be exact enough for the last bits.
        let target = u128::from(prime) << (32 * power);
        let (mut low, mut high) = (0_u128, 1 << 40);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if middle.pow(power) <= target { low = middle } else { high = middle }
        }
        low as u32
    };
    (2..).filter(is_prime).take(count).map(fraction).collect()
}

impl Sha256 {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.block.extend_from_slice(bytes);
        let whole = self.block.len() / 64 * 64;
        let rest = self.block.split_off(whole);
        let blocks = std::mem::replace(&mut self.block, rest);
        let constants = roots(64, 3);
        blocks.chunks(64).for_each(|block| self.mix(block, &constants));
    }

    fn mix(&mut self, block: &[u8], constants: &[u32]) {
        let mut words: Vec<u32> =
            block.chunks(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect();
        for place in 16..64 {
            let (early, late) = (words[place - 15], words[place - 2]);
            let first = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
            let second = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
            let sum =
                words[place - 16].wrapping_add(first).wrapping_add(words[place - 7]).wrapping_add(second);
            words.push(sum);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
        for (word, constant) in words.iter().zip(constants) {
            let big = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let first = h.wrapping_add(big).wrapping_add(choice).wrapping_add(*constant).wrapping_add(*word);
            let small = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let second = small.wrapping_add((a & b) ^ (a & c) ^ (b & c));
            (h, g, f, e) = (g, f, e, d.wrapping_add(first));
            (d, c, b, a) = (c, b, a, first.wrapping_add(second));
        }
        for (state, part) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *state = state.wrapping_add(part);
        }
    }

    fn finish(mut self) -> String {
        let bits = self.bytes * 8;
        let zeros = (119 - self.block.len() % 64) % 64;
        let mut end = vec![0x80];
        end.extend(std::iter::repeat_n(0, zeros));
        end.extend(bits.to_be_bytes());
        self.add(&end);
        self.state.iter().map(|word| format!("{word:08x}")).collect()
    }
}

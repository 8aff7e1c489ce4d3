//! A pipe behaves as a model of a byte stream with half-close does.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// What a pipe must do, said as simply as possible: each side of the model owns what is on its way to it.
#[derive(Default)]
struct Model {
    sides: [Option<Side>; 2],
}

#[derive(Default, Clone)]
struct Side {
    incoming: VecDeque<u8>,
    end: Option<End>,
    /// What this side hears when it writes after the other side is gone.
    refusal: Option<ErrorKind>,
    finished: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<usize>),
    Read(usize, usize),
    Finish(usize),
    Close(usize),
    Reset(usize),
}

type Outcome = Poll<Result<usize, ErrorKind>>;

impl Model {
    fn write(&mut self, side: usize, bytes: &[u8]) -> Outcome {
        let own = self.sides[side].as_ref().unwrap();
        if let Some(refusal) = own.refusal {
            return Poll::Ready(Err(refusal));
        }
        if own.finished {
            return Poll::Ready(Err(ErrorKind::BrokenPipe));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let other = self.sides[1 - side].as_mut().unwrap();
        let fits = bytes.len().min(CAPACITY - other.incoming.len());
        if fits == 0 {
            return Poll::Pending;
        }
        other.incoming.extend(&bytes[..fits]);
        Poll::Ready(Ok(fits))
    }

    fn read(&mut self, side: usize, most: usize) -> (Outcome, Vec<u8>) {
        let own = self.sides[side].as_mut().unwrap();
        let read: Vec<u8> = own.incoming.drain(..most.min(own.incoming.len())).collect();
        let outcome = match (read.len(), own.end) {
            (0, None) if most > 0 => Poll::Pending,
            (0, Some(End::Reset)) if most > 0 => Poll::Ready(Err(ErrorKind::ConnectionReset)),
            (count, _) => Poll::Ready(Ok(count)),
        };
        (outcome, read)
    }

    fn finish(&mut self, side: usize) {
        self.sides[side].as_mut().unwrap().finished = true;
        if let Some(other) = &mut self.sides[1 - side] {
            other.end.get_or_insert(End::Finished);
        }
    }

    fn close(&mut self, side: usize) {
        let own = self.sides[side].take().unwrap();
        if let Some(other) = &mut self.sides[1 - side] {
            other.end.get_or_insert(if own.incoming.is_empty() { End::Finished } else { End::Reset });
            other.refusal.get_or_insert(ErrorKind::BrokenPipe);
        }
    }

    fn reset(&mut self, side: usize) {
        self.sides[side] = None;
        if let Some(other) = &mut self.sides[1 - side] {
            other.incoming.clear();
            other.end = Some(End::Reset);
            other.refusal = Some(ErrorKind::ConnectionReset);
        }
    }

    fn must_wake_reader(&self, side: usize) -> bool {
        self.sides[side].as_ref().is_some_and(|own| own.end.is_some() || !own.incoming.is_empty())
    }

    fn must_wake_writer(&self, side: usize) -> bool {
        let gone = self.sides[side].as_ref().is_some_and(|own| own.refusal.is_some());
        let room = |other: &Side| CAPACITY - other.incoming.len() >= WORTH_WAKING;
        gone || self.sides[1 - side].as_ref().is_some_and(room)
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A pipe beside its model; each end remembers the wakers of reads and writes that had to wait.
struct Pair {
    pipes: [Option<Pipe>; 2],
    model: Model,
    readers: [Option<Arc<Woken>>; 2],
    writers: [Option<Arc<Woken>>; 2],
    next_byte: u8,
}

impl Pair {
    fn new() -> Self {
        let (near, far) = Pipe::pair();
        let model = Model { sides: [Some(Side::default()), Some(Side::default())] };
        Self {
            pipes: [Some(near), Some(far)],
            model,
            readers: Default::default(),
            writers: Default::default(),
            next_byte: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        let (Step::Write(side, _)
        | Step::Read(side, _)
        | Step::Finish(side)
        | Step::Close(side)
        | Step::Reset(side)) = *step;
        let Some(pipe) = &self.pipes[side] else {
            return;
        };
        match step {
            Step::Write(_, lengths) => self.write(side, lengths),
            Step::Read(_, most) => self.read(side, *most),
            Step::Finish(_) => {
                pipe.finish();
                self.model.finish(side);
            }
            Step::Close(_) => {
                self.pipes[side] = None;
                self.model.close(side);
            }
            Step::Reset(_) => {
                pipe.reset();
                self.pipes[side] = None;
                self.model.reset(side);
            }
        }
        self.check_wakes();
    }

    fn write(&mut self, side: usize, lengths: &[usize]) {
        let mut byte = self.next_byte;
        let mut fresh = || {
            byte = byte.wrapping_mul(5).wrapping_add(1);
            byte
        };
        let parts: Vec<Vec<u8>> =
            lengths.iter().map(|length| (0..*length).map(|_| fresh()).collect()).collect();
        self.next_byte = byte;
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let woken = Arc::<Woken>::default();
        let waker = Arc::clone(&woken).into();
        let pipe = self.pipes[side].as_ref().unwrap();
        let outcome = pipe.poll_write(&mut Context::from_waker(&waker), &slices);
        let outcome = outcome.map_err(|error| error.kind());
        assert_eq!(outcome, self.model.write(side, &parts.concat()));
        self.writers[side] = outcome.is_pending().then_some(woken);
    }

    fn read(&mut self, side: usize, most: usize) {
        let mut bytes = vec![0; most];
        let mut buffer = ReadBuf::new(&mut bytes);
        let woken = Arc::<Woken>::default();
        let waker = Arc::clone(&woken).into();
        let pipe = self.pipes[side].as_ref().unwrap();
        let outcome = pipe.poll_read(&mut Context::from_waker(&waker), &mut buffer);
        let outcome = outcome.map_ok(|()| buffer.filled().len()).map_err(|error| error.kind());
        assert_eq!((outcome, buffer.filled().to_vec()), self.model.read(side, most));
        self.readers[side] = outcome.is_pending().then_some(woken);
    }

    fn check_wakes(&self) {
        for side in 0..2 {
            if self.pipes[side].is_none() {
                continue;
            }
            if let Some(reader) = &self.readers[side] {
                assert_eq!(
                    reader.0.load(Ordering::Relaxed),
                    self.model.must_wake_reader(side),
                    "reader {side}"
                );
            }
            if let Some(writer) = &self.writers[side] {
                assert_eq!(
                    writer.0.load(Ordering::Relaxed),
                    self.model.must_wake_writer(side),
                    "writer {side}"
                );
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2_usize;
    let length = prop_oneof![0..10_usize, 0..CAPACITY, Just(CAPACITY)];
    prop_oneof![
        12 => (side.clone(), prop::collection::vec(length.clone(), 1..4)).prop_map(|(side, parts)| Step::Write(side, parts)),
        12 => (side.clone(), length).prop_map(|(side, most)| Step::Read(side, most)),
        2 => side.clone().prop_map(Step::Finish),
        1 => side.clone().prop_map(Step::Close),
        1 => side.prop_map(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipe_behaves_as_two_byte_streams_with_half_close(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        steps.iter().for_each(|step| pair.take(step));
    }
}

#[test]
fn an_idle_pipe_holds_no_buffer() {
    let mut pair = Pair::new();
    pair.take(&Step::Write(0, vec![CAPACITY]));
    let held = |pair: &Pair| lock(&pair.pipes[0].as_ref().unwrap().outgoing.0).buffer.capacity();
    assert!(held(&pair) >= CAPACITY);
    pair.take(&Step::Read(1, CAPACITY));
    assert_eq!(held(&pair), 0);
}

//! Frames of HTTP/2 that no client library would send.

use super::raw::{MAP, MAPS, api};
use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Why the server gave up a connection: some of the codes of RFC 9113. The library takes some more precise ones for the
/// first.
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One header that is neither indexed nor compressed.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The headers of a POST of an object.
fn post(more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", "POST"), (":scheme", "https"), (":path", MAPS), (":authority", "x")];
    let all = own.iter().chain(&[("content-type", "application/json")]).chain(more);
    all.flat_map(|(name, value)| header(name, value)).collect()
}

/// What follows the preface, and why the server gives up; none if it answers or only ends.
fn conversations() -> Vec<(&'static str, Vec<u8>, Option<u32>)> {
    let begun = |more: &[(&str, &str)]| frame(HEADERS, END_HEADERS, 1, &post(more));
    let row = |name, frames: Vec<Vec<u8>>, code| (name, frames.concat(), code);
    let too_many: Vec<Vec<u8>> = (0..20_000).map(|_| frame(CONTINUATION, 0, 1, &header("x", "y"))).collect();
    let resets = (0..5_000).flat_map(|at| {
        let stream = 2 * at + 1;
        [frame(HEADERS, END_HEADERS, stream, &post(&[])), frame(RESET, 0, stream, &[0, 0, 0, 8])]
    });
    vec![
        row("a frame longer than allowed", vec![frame(DATA, 0, 1, &[b'x'; 20_000])], Some(FRAME_SIZE_ERROR)),
        row("settings of an odd length", vec![frame(SETTINGS, 0, 0, &[0; 5])], Some(PROTOCOL_ERROR)),
        row("settings of a stream", vec![frame(SETTINGS, 0, 1, &[])], Some(PROTOCOL_ERROR)),
        row("a ping of an odd length", vec![frame(PING, 0, 0, &[0; 7])], Some(PROTOCOL_ERROR)),
        row("data of no stream", vec![frame(DATA, 0, 0, b"x")], Some(PROTOCOL_ERROR)),
        row("data before headers", vec![frame(DATA, 0, 1, b"x")], Some(PROTOCOL_ERROR)),
        row("headers of no stream", vec![frame(HEADERS, END_HEADERS, 0, &post(&[]))], Some(PROTOCOL_ERROR)),
        row("a stream of the server", vec![frame(HEADERS, END_HEADERS, 2, &post(&[]))], Some(PROTOCOL_ERROR)),
        row("a continuation of nothing", vec![frame(CONTINUATION, 0, 1, &[])], Some(PROTOCOL_ERROR)),
        row(
            "headers that are no code",
            vec![frame(HEADERS, END_HEADERS, 1, &[0xff; 64])],
            Some(PROTOCOL_ERROR),
        ),
        row(
            "a window too large",
            vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])],
            Some(FLOW_CONTROL_ERROR),
        ),
        row("a window that does not grow", vec![frame(WINDOW_UPDATE, 0, 0, &[0; 4])], Some(PROTOCOL_ERROR)),
        row(
            "headers without end",
            [vec![frame(HEADERS, 0, 1, &post(&[]))], too_many].concat(),
            Some(ENHANCE_YOUR_CALM),
        ),
        row("requests taken back at once", resets.collect(), Some(ENHANCE_YOUR_CALM)),
        row(
            "a body shorter than it says",
            vec![begun(&[("content-length", "999")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row(
            "a body longer than it says",
            vec![begun(&[("content-length", "5")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row(
            "a length below zero",
            vec![begun(&[("content-length", "-1")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row(
            "a header of a connection",
            vec![begun(&[("connection", "close")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row(
            "a header in capitals",
            vec![begun(&[("X-Y", "z")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row(
            "a path twice",
            vec![begun(&[(":path", "/x")]), frame(DATA, END_STREAM, 1, MAP.as_bytes())],
            None,
        ),
        row("a body that never ends", vec![begun(&[]), frame(DATA, 0, 1, MAP.as_bytes())], None),
    ]
}

/// The code in the farewell of the server, and whether it answered a request well.
fn read(mut answer: &[u8]) -> (Option<u32>, bool) {
    let (mut farewell, mut has_headers) = (None, false);
    while let Some((head, rest)) = answer.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        match head[3] {
            GO_AWAY => farewell = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
            // The static table of HPACK has 200 at the eighth place; 201 is not in it.
            HEADERS => has_headers |= payload.first() == Some(&0x88),
            _ => {}
        }
        answer = rest;
    }
    (farewell.filter(|code| *code != 0), has_headers)
}

#[tokio::test]
async fn wrong_frames_end_the_connection_and_store_nothing() {
    let world = start_before(|_| {}, api).await;
    let mut wrong = Vec::new();
    for (name, frames, expected) in conversations() {
        let bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frames].concat();
        let (found, is_well) = read(&world.send(HTTP2, &bytes).await);
        if is_well || expected.is_some() && found != expected {
            wrong.push(format!("{name}: expected {expected:?}, found {found:?} {is_well}"));
        }
    }
    for preface in [&b"nonsense"[..], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b""] {
        let (_, is_well) = read(&world.send(HTTP2, preface).await);
        assert!(!is_well, "{preface:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!world.maps().await.contains(&"smuggled".to_owned()));
}

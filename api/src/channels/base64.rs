//! The bytes of messages that are text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

pub(super) fn decode(text: &[u8]) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

pub(super) fn encode(bytes: &[u8], text: &mut String) {
    STANDARD.encode_string(bytes, text);
}

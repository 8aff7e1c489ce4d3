//! The body of a LIST: the objects' own bytes one after the other, a piece at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::codec::protobuf::wire;

/// A piece is sent when it has this many bytes: some TLS records, and little to hold beside the objects themselves.
const PIECE: usize = 64 << 10;

/// A list whose length is known and whose text is put together while it is sent.
pub(super) struct ListBody {
    head: Option<Vec<u8>>,
    items: vec::IntoIter<Bytes>,
    glue: Glue,
    left: u64,
}

/// What stands around the items.
#[derive(Clone, Copy)]
enum Glue {
    /// Commas between them, and brackets behind them.
    Json,
    /// The tag and the length before each.
    Protobuf(u32),
}

impl ListBody {
    /// A list of objects behind `head`, which ends with the opening bracket.
    pub fn json(head: Vec<u8>, items: Vec<Bytes>) -> Self {
        let commas = items.len().saturating_sub(1);
        let texts: usize = items.iter().map(Bytes::len).sum();
        let left = (head.len() + texts + commas + END.len()) as u64;
        Self { head: Some(head), items: items.into_iter(), glue: Glue::Json, left }
    }

    /// A list of messages behind `metadata` bytes of its own message; `head` is made when the length of that is known, and has
    /// them at its end.
    pub fn protobuf(
        metadata: usize,
        head: impl FnOnce(usize) -> Vec<u8>,
        tag: u32,
        items: Vec<Bytes>,
    ) -> Self {
        let mut before = Vec::new();
        let messages: usize = items
            .iter()
            .map(|item| {
                before.clear();
                wire::run_head(&mut before, tag, item.len());
                before.len() + item.len()
            })
            .sum();
        let head = head(metadata + messages);
        let left = (head.len() + messages) as u64;
        Self { head: Some(head), items: items.into_iter(), glue: Glue::Protobuf(tag), left }
    }
}

impl Glue {
    fn before(self, item: &Bytes, is_first: bool, piece: &mut BytesMut) {
        match self {
            Self::Json if is_first => {}
            Self::Json => piece.extend_from_slice(b","),
            Self::Protobuf(tag) => {
                let mut before = Vec::with_capacity(8);
                wire::run_head(&mut before, tag, item.len());
                piece.extend_from_slice(&before);
            }
        }
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Json => END,
            Self::Protobuf(_) => b"",
        }
    }
}

const END: &[u8] = b"]}";

impl HttpBody for ListBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let room = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = BytesMut::with_capacity(room);
        let mut first = false;
        if let Some(head) = self.head.take() {
            piece.extend_from_slice(&head);
            first = true;
        }
        let glue = self.glue;
        while piece.len() < PIECE {
            let Some(item) = self.items.next() else {
                piece.extend_from_slice(glue.end());
                break;
            };
            glue.before(&item, first, &mut piece);
            piece.extend_from_slice(&item);
            first = false;
        }
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    const SIZES: [(usize, usize); 5] = [(0, 0), (1, 10), (3, 10), (500, 1000), (5, 100_000)];

    #[tokio::test]
    async fn a_list_of_any_length_is_one_json_text_of_the_length_it_says() {
        for (count, size) in SIZES {
            let item = |number: usize| {
                let value = json!({"metadata": {"name": number.to_string()}, "data": "x".repeat(size)});
                Bytes::from(value.to_string())
            };
            let body = ListBody::json(br#"{"items":["#.to_vec(), (0..count).map(item).collect());
            let said = body.size_hint().exact().unwrap();
            let bytes = body.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len() as u64, said);
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["items"].as_array().unwrap().len(), count);
        }
    }

    #[tokio::test]
    async fn a_list_of_any_length_is_one_message_of_the_length_it_says() {
        for (count, size) in SIZES {
            let items = (0..count).map(|number| Bytes::from(vec![number as u8; size])).collect();
            let head = |length: usize| {
                let mut head = Vec::new();
                wire::run_head(&mut head, 9, length);
                wire::text(&mut head, 1, "m");
                head
            };
            let body = ListBody::protobuf(3, head, 2, items);
            let said = body.size_hint().exact().unwrap();
            let bytes = body.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len() as u64, said);
            let (tag, message) = wire::Reader::new(&bytes).next().unwrap().unwrap();
            let members = wire::Reader::new(message.bytes().unwrap()).map(Result::unwrap);
            let found: Vec<(u32, usize)> =
                members.map(|(tag, member)| (tag, member.bytes().unwrap().len())).collect();
            let expected: Vec<(u32, usize)> =
                std::iter::once((1, 1)).chain((0..count).map(|_| (2, size))).collect();
            assert_eq!((tag, found), (9, expected));
        }
    }
}

//! The body of a LIST: the objects' own bytes one after the other, a piece at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use api::Object;
use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

/// A piece is sent when it has this many bytes: some TLS records, and little to hold beside the objects themselves.
const PIECE: usize = 64 << 10;

/// A list whose length is known and whose text is put together while it is sent.
pub(super) struct ListBody {
    head: Option<Vec<u8>>,
    objects: vec::IntoIter<Object>,
    left: u64,
}

impl ListBody {
    /// A list of objects behind `head`, which ends with the opening bracket.
    pub fn new(head: Vec<u8>, objects: Vec<Object>) -> Self {
        let commas = objects.len().saturating_sub(1);
        let texts: usize = objects.iter().map(|object| object.json().len()).sum();
        let left = (head.len() + texts + commas + END.len()) as u64;
        Self { head: Some(head), objects: objects.into_iter(), left }
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
        while piece.len() < PIECE {
            let Some(object) = self.objects.next() else {
                piece.extend_from_slice(END);
                break;
            };
            if !first {
                piece.extend_from_slice(b",");
            }
            piece.extend_from_slice(object.json());
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

    #[tokio::test]
    async fn a_list_of_any_length_is_one_json_text_of_the_length_it_says() {
        for (count, size) in [(0, 0), (1, 10), (3, 10), (500, 1000), (5, 100_000)] {
            let object = |number: usize| {
                let value = json!({"metadata": {"name": number.to_string()}, "data": "x".repeat(size)});
                Object::from_value(value).unwrap()
            };
            let body = ListBody::new(br#"{"items":["#.to_vec(), (0..count).map(object).collect());
            let said = body.size_hint().exact().unwrap();
            let bytes = body.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len() as u64, said);
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["items"].as_array().unwrap().len(), count);
        }
    }
}

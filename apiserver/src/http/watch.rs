//! The body of a WATCH: one line of JSON for each event, for as long as the client asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use api::backend::ObjectList;
use api::watch::{WatchEvent, WatchStream};
use api::{Object, Revision, Status};
use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http_body::Frame;
use serde_json::json;

use super::accept::Shape;
use super::metrics::Running;
use super::reply::View;

/// Events that are there together are sent together up to this many bytes.
const PIECE: usize = 64 << 10;

/// The marker of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The events of a watch as text. Nothing is queued here: events are taken as the connection takes their text.
pub(super) struct Lines {
    events: WatchStream,
    /// Comes when the watch has lasted as long as it may, or the server stops.
    end: BoxFuture<'static, ()>,
    writer: Writer,
    ended: bool,
    _running: Running,
}

/// Writes events as lines.
struct Writer {
    view: View,
    now: Box<dyn Fn() -> jiff::Timestamp + Send>,
    /// Whether the columns of the table were sent.
    columns_sent: bool,
}

impl Lines {
    pub fn new(
        events: WatchStream,
        view: View,
        now: impl Fn() -> jiff::Timestamp + Send + 'static,
        end: BoxFuture<'static, ()>,
        running: Running,
    ) -> Self {
        let writer = Writer { view, now: Box::new(now), columns_sent: false };
        Self { events, end, writer, ended: false, _running: running }
    }

    /// A watch that fails at once, as clients expect it: in the stream.
    pub fn failed(status: Status, view: View, running: Running) -> Self {
        let events = futures::stream::iter([WatchEvent::Error(status)]);
        let now = || jiff::Timestamp::UNIX_EPOCH;
        Self::new(Box::pin(events), view, now, Box::pin(std::future::pending()), running)
    }
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.ended || this.end.as_mut().poll(context).is_ready() {
            this.ended = true;
            return Poll::Ready(None);
        }
        let mut piece = BytesMut::new();
        while piece.len() < PIECE && !this.ended {
            match this.events.as_mut().poll_next(context) {
                Poll::Ready(Some(event)) => {
                    this.ended = this.writer.write(&mut piece, &event).is_err();
                }
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if piece.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        match piece.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(Frame::data(piece.freeze())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Writer {
    /// Writes one event; an error, told in the stream, is the last.
    fn write(&mut self, text: &mut BytesMut, event: &WatchEvent) -> Result<(), ()> {
        let (name, shown) = match event {
            WatchEvent::Added(object) => ("ADDED", self.object(object)),
            WatchEvent::Modified(object) => ("MODIFIED", self.object(object)),
            WatchEvent::Deleted(object) => ("DELETED", self.object(object)),
            WatchEvent::Bookmark { revision, initial_events_end } => {
                ("BOOKMARK", self.bookmark(*revision, *initial_events_end))
            }
            WatchEvent::Error(status) => ("ERROR", Err(status.clone())),
        };
        let (name, shown, result) = match shown {
            Ok(shown) => (name, shown, Ok(())),
            Err(status) => ("ERROR", status.to_value().to_string().into(), Err(())),
        };
        text.reserve(shown.len() + 40);
        text.extend_from_slice(b"{\"type\":\"");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\",\"object\":");
        text.extend_from_slice(&shown);
        text.extend_from_slice(b"}\n");
        result
    }

    fn object(&mut self, object: &Object) -> Result<Bytes, Status> {
        match self.view.shape {
            Shape::Whole => Ok(object.json().clone()),
            Shape::Metadata => Ok(super::table::metadata(object).into()),
            Shape::Table(_) => self.table(object.revision(), std::slice::from_ref(object)),
        }
    }

    fn bookmark(&mut self, revision: Revision, initial_events_end: bool) -> Result<Bytes, Status> {
        if let Shape::Table(_) = self.view.shape {
            return self.table(revision, &[]);
        }
        let resource = self.view.resource();
        let (kind, api_version) = match self.view.shape {
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            _ => (resource.kind.as_ref(), resource.api_version()),
        };
        let mut object = json!({
            "kind": kind,
            "apiVersion": api_version,
            "metadata": {"resourceVersion": revision.to_string(), "creationTimestamp": null},
        });
        if initial_events_end {
            object["metadata"]["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        Ok(object.to_string().into())
    }

    fn table(&mut self, revision: Revision, objects: &[Object]) -> Result<Bytes, Status> {
        let Shape::Table(include) = self.view.shape else {
            return Ok(Bytes::new());
        };
        let list = ObjectList { revision, ..ObjectList::default() };
        self.view.layout.now = (self.now)();
        let table = self.view.layout.table(&list, objects, include, !self.columns_sent)?;
        self.columns_sent = true;
        Ok(table.into())
    }
}

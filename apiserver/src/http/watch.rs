//! The body of a WATCH: one line of JSON or one frame of protobuf for each event, for as long as the client asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use api::backend::ObjectList;
use api::watch::{WatchEvent, WatchStream};
use api::{Clock, Object, Resource, Revision, Status};
use axum::body::HttpBody;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::Frame;
use serde_json::{Value, json};

use super::accept::{Include, Shape, Wanted};
use super::metrics::Running;
use super::reply::View;
use super::watchers::Watching;

/// Events that are there together are sent together up to this many bytes.
const PIECE: usize = 64 << 10;

/// The marker of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The events of a watch as bytes. Nothing is queued here: events are taken as the connection takes their bytes.
pub(super) struct Lines {
    events: WatchStream,
    /// Comes when the watch has lasted as long as it may, or the server stops.
    end: BoxFuture<'static, ()>,
    writer: Writer,
    ended: bool,
    turns: Option<Turns>,
    /// Until it is this watch's turn again.
    rest: Option<BoxFuture<'static, ()>>,
    _running: Running,
}

/// Leaves others their turn.
pub(super) struct Turns {
    pub clock: Clock,
    pub watching: Watching,
}

/// Writes events.
struct Writer {
    view: View,
    now: Box<dyn Fn() -> jiff::Timestamp + Send>,
    /// Whether the columns of the table were sent.
    columns_sent: bool,
}

impl Turns {
    fn rest(&self) -> Option<BoxFuture<'static, ()>> {
        let (clock, span) = (self.clock.clone(), self.watching.rest()?);
        Some(Box::pin(async move { clock.sleep(span).await }))
    }
}

impl Lines {
    pub fn new(
        events: WatchStream,
        view: View,
        turns: Turns,
        end: BoxFuture<'static, ()>,
        running: Running,
    ) -> Self {
        let clock = turns.clock.clone();
        let writer = Writer { view, now: Box::new(move || clock.now()), columns_sent: false };
        Self { events, end, writer, ended: false, turns: Some(turns), rest: None, _running: running }
    }

    /// A watch that fails at once, as clients expect it: in the stream.
    pub fn failed(status: Status, view: View, running: Running) -> Self {
        let events = futures::stream::iter([WatchEvent::Error(status)]);
        let now = || jiff::Timestamp::UNIX_EPOCH;
        let writer = Writer { view, now: Box::new(now), columns_sent: false };
        let end = Box::pin(std::future::pending());
        let events = Box::pin(events);
        Self { events, end, writer, ended: false, turns: None, rest: None, _running: running }
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
        if let Some(rest) = &mut this.rest {
            ready!(rest.as_mut().poll(context));
            this.rest = None;
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE && !this.ended {
            match this.events.as_mut().poll_next(context) {
                Poll::Ready(Some(event)) => {
                    this.ended = this.writer.write(&mut piece, &event).is_err();
                }
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if piece.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    this.rest = this.turns.as_ref().and_then(Turns::rest);
                    break;
                }
            }
        }
        match piece.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Writer {
    /// Writes one event; an error, told in the stream, is the last.
    fn write(&mut self, piece: &mut Vec<u8>, event: &WatchEvent) -> Result<(), ()> {
        let encoding = self.view.wanted.encoding;
        let (name, shown) = match event {
            WatchEvent::Added(object) => ("ADDED", self.object(object)),
            WatchEvent::Modified(object) => ("MODIFIED", self.object(object)),
            WatchEvent::Deleted(object) => ("DELETED", self.object(object)),
            WatchEvent::Bookmark { revision, initial_events_end } => {
                ("BOOKMARK", self.bookmark(*revision, *initial_events_end))
            }
            WatchEvent::Error(status) => ("ERROR", Err(status.clone())),
        };
        match shown {
            Ok(shown) => {
                encoding.event(name, &shown, piece);
                Ok(())
            }
            Err(status) => {
                // A Status can be written in every encoding.
                let shown = encoding.tree(&status.to_value()).unwrap_or_default();
                encoding.event("ERROR", &shown, piece);
                Err(())
            }
        }
    }

    fn object(&mut self, object: &Object) -> Result<Bytes, Status> {
        let Wanted { shape, api_version, encoding } = self.view.wanted;
        match shape {
            Shape::Whole => encoding.object(object),
            Shape::Metadata | Shape::MetadataList => encoding.metadata(object, api_version),
            Shape::Table(include) => self.table(include, object.revision(), std::slice::from_ref(object)),
        }
    }

    fn bookmark(&mut self, revision: Revision, initial_events_end: bool) -> Result<Bytes, Status> {
        let Wanted { shape, api_version, encoding } = self.view.wanted;
        let resource = self.view.resource();
        let own_version = resource.api_version();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        match shape {
            Shape::Table(include) => {
                let object = bookmarked(resource, metadata)?;
                // Not every kind has a row for an object with nothing in it.
                let row = self.table(include, revision, std::slice::from_ref(&object));
                row.or_else(|_| self.table(include, revision, &[]))
            }
            Shape::Whole => encoding.bookmark(&resource.kind, &own_version, &metadata),
            Shape::Metadata | Shape::MetadataList => {
                encoding.bookmark("PartialObjectMetadata", api_version, &metadata)
            }
        }
    }

    fn table(&mut self, include: Include, revision: Revision, objects: &[Object]) -> Result<Bytes, Status> {
        let list = ObjectList { revision, ..ObjectList::default() };
        self.view.layout.now = (self.now)();
        let with_columns = !self.columns_sent;
        let table =
            self.view.layout.table(self.view.wanted.api_version, &list, objects, include, with_columns)?;
        self.columns_sent = true;
        Ok(table.into())
    }
}

/// An object with nothing but its kind and the metadata of a bookmark.
fn bookmarked(resource: &Resource, metadata: Value) -> Result<Object, Status> {
    let object = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
    Object::from_value(object).map_err(Status::internal)
}

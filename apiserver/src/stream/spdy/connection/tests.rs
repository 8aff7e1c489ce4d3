//! A client that writes frames by hand, and strangers that write anything.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tokio::io::DuplexStream;

use super::*;

struct Client {
    io: DuplexStream,
    packer: Packer,
    unpacker: Unpacker,
}

impl Client {
    fn new(io: DuplexStream) -> Self {
        Self { io, packer: Packer::new(), unpacker: Unpacker::default() }
    }

    async fn open(&mut self, stream: u32, kind: &str) {
        let headers = Headers::from([("streamtype".to_owned(), kind.to_owned())]);
        let frame = frame::open(stream, &headers, &mut self.packer).unwrap();
        self.io.write_all(&frame).await.unwrap();
    }

    async fn say(&mut self, stream: u32, text: &str, is_last: bool) {
        self.io.write_all(&frame::data(stream, text.len(), is_last)).await.unwrap();
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next frame, in short; empty at the end.
    async fn hear(&mut self) -> String {
        let mut head = [0; HEAD_BYTES];
        if self.io.read_exact(&mut head).await.is_err() {
            return String::new();
        }
        match Head::read(head).unwrap() {
            Head::Data { stream, is_last, length } => {
                let mut bytes = vec![0; length as usize];
                self.io.read_exact(&mut bytes).await.unwrap();
                let end = if is_last { " end" } else { "" };
                format!("{stream}: {}{end}", String::from_utf8_lossy(&bytes))
            }
            Head::Control { kind, flags, length } => {
                let mut body = vec![0; length as usize];
                self.io.read_exact(&mut body).await.unwrap();
                match frame::control(kind, flags, &body, &mut self.unpacker).unwrap() {
                    Control::Nothing => format!("reply {}", body[3]),
                    other => format!("{other:?}"),
                }
            }
        }
    }
}

fn is_echo(headers: &Headers) -> bool {
    headers.get("streamtype").is_some_and(|kind| kind == "echo")
}

#[tokio::test]
async fn streams_are_taken_answered_and_ended() {
    let (near, far) = tokio::io::duplex(64);
    let (arrivals, mut arrived) = mpsc::channel::<Arrival>(1);
    let work = async {
        let mut pipe = arrived.recv().await.unwrap().pipe;
        drop(arrived);
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        pipe.write_all(text.to_uppercase().as_bytes()).await.unwrap();
    };
    let talk = async {
        let mut client = Client::new(far);
        client.open(1, "echo").await;
        assert_eq!(client.hear().await, "reply 1");
        client.open(3, "other").await;
        assert_eq!(client.hear().await, "Reset(3)");
        client.open(2, "echo").await;
        assert_eq!(client.hear().await, "Reset(2)");
        client.io.write_all(&frame::ping(9)).await.unwrap();
        assert_eq!(client.hear().await, "Ping(9)");
        client.say(1, "hello ", false).await;
        client.say(77, "nobody", false).await;
        client.say(1, "there", true).await;
        assert_eq!(client.hear().await, "1: HELLO THERE");
        assert_eq!(client.hear().await, "1:  end");
        assert_eq!(client.hear().await, "GoAway");
        assert_eq!(client.hear().await, "");
    };
    tokio::join!(serve(near, is_echo, arrivals), work, talk);
}

#[tokio::test]
async fn more_streams_than_there_is_room_for_are_refused() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (arrivals, mut arrived) = mpsc::channel::<Arrival>(MOST_STREAMS);
    let talk = async {
        let mut client = Client::new(far);
        for place in 0..MOST_STREAMS as u32 {
            client.open(2 * place + 1, "echo").await;
            assert!(client.hear().await.starts_with("reply"));
        }
        let next = 2 * MOST_STREAMS as u32 + 1;
        client.open(next, "echo").await;
        assert_eq!(client.hear().await, format!("Reset({next})"));
        drop(arrived.recv().await.unwrap());
        assert_eq!(client.hear().await, "1:  end");
        client.open(next + 2, "echo").await;
        assert!(client.hear().await.starts_with("reply"));
    };
    tokio::join!(serve(near, is_echo, arrivals), talk);
}

proptest! {
    #[test]
    fn no_bytes_break_a_connection(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let (arrivals, arrived) = mpsc::channel(1);
            drop(arrived);
            far.write_all(&bytes).await.unwrap();
            drop(far);
            serve(near, is_echo, arrivals).await;
        });
    }
}

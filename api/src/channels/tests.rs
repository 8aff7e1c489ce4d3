//! Both roles over a connection in memory, in every form.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

const FORMS: [Form; 3] = [Form::ENDING, Form::NUMBERED, Form::NUMBERED_TEXT];

fn channels(ways: &[(u8, Way)]) -> (Vec<Channel>, Vec<Pipe>) {
    let make = |(number, way): &(u8, Way)| {
        let (near, far) = pipe();
        (Channel { number: *number, way: *way, pipe: near }, far)
    };
    ways.iter().map(make).unzip()
}

async fn all(pipe: &mut Pipe) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn what_is_sent_arrives_and_the_outcome_last() {
    for form in FORMS {
        let (near, far) = tokio::io::duplex(100);
        let (served, mut server) = channels(&[(0, Way::In), (1, Way::Out), (3, Way::Last)]);
        let (asked, mut client) = channels(&[(0, Way::Out), (1, Way::In), (3, Way::In)]);
        let output = vec![7; 200_000];
        let work = async {
            let mut input = [0; 5];
            server[0].read_exact(&mut input).await.unwrap();
            assert_eq!(&input, b"hello");
            server[2].write_all(b"done").await.unwrap();
            server[2].shutdown().await.unwrap();
            server[1].write_all(&output).await.unwrap();
            server.clear();
        };
        let talk = async {
            client[0].write_all(b"hello").await.unwrap();
            let mut received = vec![0; output.len()];
            client[1].read_exact(&mut received).await.unwrap();
            assert_eq!(received, output);
            assert_eq!(all(&mut client[2]).await, b"done", "{form:?}");
        };
        let serve = carry(near, Role::Server, form, served, &[]);
        let ask = carry(far, Role::Client, form, asked, &[]);
        tokio::join!(serve, ask, work, talk);
    }
}

#[tokio::test]
async fn the_end_of_a_channel_is_told_where_the_form_can() {
    let (near, far) = tokio::io::duplex(100);
    let (served, mut server) = channels(&[(0, Way::In), (1, Way::Out)]);
    let (asked, mut client) = channels(&[(0, Way::Out), (1, Way::In)]);
    let greeting = [(1, Bytes::from_static(b"hi "))];
    let serve = carry(near, Role::Server, Form::ENDING, served, &greeting);
    let ask = carry(far, Role::Client, Form::ENDING, asked, &[]);
    let work = async {
        let input = all(&mut server[0]).await;
        server[1].write_all(&input).await.unwrap();
        server.clear();
    };
    let talk = async {
        client[0].write_all(b"there").await.unwrap();
        client[0].shutdown().await.unwrap();
        assert_eq!(all(&mut client[1]).await, b"hi there");
    };
    tokio::join!(serve, ask, work, talk);
}

#[tokio::test]
async fn a_client_that_goes_ends_the_server() {
    let (near, far) = tokio::io::duplex(100);
    let (served, mut server) = channels(&[(0, Way::In), (1, Way::Out)]);
    drop(far);
    carry(near, Role::Server, Form::ENDING, served, &[]).await;
    assert_eq!(all(&mut server[0]).await, b"");
    assert!(server[1].write_all(b"x").await.is_err());
}

#[test]
fn messages_are_read_as_they_are_written() {
    let row = |form: Form, number: u8, message: Message| {
        let bytes = Bytes::from_static(b"ab");
        assert_eq!(write(form, number, &bytes), message);
        assert_eq!(read(form, message.into_data()), Some((number, bytes)));
    };
    row(Form::ENDING, 3, Message::binary(&b"\x03ab"[..]));
    row(Form::NUMBERED_TEXT, 1, Message::text("1YWI="));
    row(Form::BARE, 0, Message::binary(&b"ab"[..]));
    row(Form::BARE_TEXT, 0, Message::text("YWI="));
}

proptest! {
    #[test]
    fn no_message_breaks_the_reader(bytes: Vec<u8>) {
        for form in [Form::ENDING, Form::NUMBERED_TEXT, Form::BARE, Form::BARE_TEXT] {
            let _ = read(form, Bytes::from(bytes.clone()));
        }
    }
}

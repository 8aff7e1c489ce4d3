//! Which protocol is spoken on an upgraded connection: what the client offers, and the first of it that is known here.

use api::channels::Form;
use http::HeaderMap;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

/// Where clients that speak SPDY say which versions they know.
pub const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// What a client offers to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// WebSocket, with these sub-protocols; it may offer none.
    WebSocket {
        /// What the answer is made of.
        key: String,
        /// By preference.
        protocols: Vec<String>,
    },
    /// SPDY/3.1, with these versions.
    Spdy {
        /// By preference.
        protocols: Vec<String>,
    },
}

/// A protocol for commands in containers, older or newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The first: the outcome is told in words.
    V1,
    /// Fixes that concern clients.
    V2,
    /// The size of the terminal can change.
    V3,
    /// The outcome is told as a Status.
    V4,
    /// The end of the input can be told over WebSocket too.
    V5,
}

/// What is spoken, and the name by which it was asked for; empty if by none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<T> {
    /// The name.
    pub name: &'static str,
    /// What is spoken.
    pub spoken: T,
}

/// How a command in a container is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Over WebSocket.
    WebSocket(Form, Version),
    /// Over SPDY.
    Spdy(Version),
}

/// How ports are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// Two channels of a WebSocket for each port.
    WebSocket(Form),
    /// Two streams of SPDY for each connection.
    Spdy,
    /// The same, with SPDY in the messages of a WebSocket.
    Tunnel,
}

/// Nothing of the offer is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]", .offered.join(" "), .known.join(" "))]
pub struct NothingKnown {
    offered: Vec<String>,
    /// What is known.
    pub known: Vec<&'static str>,
}

const COMMANDS_WEBSOCKET: [(&str, Command); 6] = [
    ("v5.channel.k8s.io", Command::WebSocket(Form::NUMBERED, Version::V5)),
    ("v4.channel.k8s.io", Command::WebSocket(Form::NUMBERED, Version::V4)),
    ("v4.base64.channel.k8s.io", Command::WebSocket(Form::NUMBERED_TEXT, Version::V4)),
    ("channel.k8s.io", Command::WebSocket(Form::NUMBERED, Version::V1)),
    ("base64.channel.k8s.io", Command::WebSocket(Form::NUMBERED_TEXT, Version::V1)),
    ("", Command::WebSocket(Form::NUMBERED, Version::V1)),
];

const COMMANDS_SPDY: [(&str, Command); 5] = [
    ("v5.channel.k8s.io", Command::Spdy(Version::V5)),
    ("v4.channel.k8s.io", Command::Spdy(Version::V4)),
    ("v3.channel.k8s.io", Command::Spdy(Version::V3)),
    ("v2.channel.k8s.io", Command::Spdy(Version::V2)),
    ("channel.k8s.io", Command::Spdy(Version::V1)),
];

const FORWARDING_WEBSOCKET: [(&str, Forwarding); 4] = [
    ("SPDY/3.1+portforward.k8s.io", Forwarding::Tunnel),
    ("v4.channel.k8s.io", Forwarding::WebSocket(Form::NUMBERED)),
    ("v4.base64.channel.k8s.io", Forwarding::WebSocket(Form::NUMBERED_TEXT)),
    ("", Forwarding::WebSocket(Form::NUMBERED)),
];

const FORWARDING_SPDY: [(&str, Forwarding); 1] = [("portforward.k8s.io", Forwarding::Spdy)];

const LOGS: [(&str, Form); 3] =
    [("binary.k8s.io", Form::BARE), ("base64.binary.k8s.io", Form::BARE_TEXT), ("", Form::BARE)];

impl Offer {
    /// What the headers of a request offer; none if they ask for no upgrade that is known here.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let asks = words(headers, CONNECTION.as_str()).any(|word| word.eq_ignore_ascii_case("upgrade"));
        let names = |name: &str| words(headers, UPGRADE.as_str()).any(|word| word.eq_ignore_ascii_case(name));
        let protocols = |header: &str| words(headers, header).map(str::to_owned).collect();
        if asks && names("websocket") {
            let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?.to_owned();
            return Some(Self::WebSocket { key, protocols: protocols(SEC_WEBSOCKET_PROTOCOL.as_str()) });
        }
        (asks && names("SPDY/3.1")).then(|| Self::Spdy { protocols: protocols(STREAM_PROTOCOL) })
    }

    /// How a command is spoken of.
    pub fn command(&self) -> Result<Agreed<Command>, NothingKnown> {
        match self {
            Self::WebSocket { protocols, .. } => choose(protocols, &COMMANDS_WEBSOCKET),
            Self::Spdy { protocols } => choose(protocols, &COMMANDS_SPDY),
        }
    }

    /// How ports are forwarded.
    pub fn forwarding(&self) -> Result<Agreed<Forwarding>, NothingKnown> {
        match self {
            Self::WebSocket { protocols, .. } => choose(protocols, &FORWARDING_WEBSOCKET),
            Self::Spdy { protocols } => choose(protocols, &FORWARDING_SPDY),
        }
    }

    /// How a log is told, which only WebSockets can.
    pub fn log(&self) -> Result<Agreed<Form>, NothingKnown> {
        match self {
            Self::WebSocket { protocols, .. } => choose(protocols, &LOGS),
            Self::Spdy { protocols } => choose(protocols, &[]),
        }
    }
}

/// The words of all headers of that name, between commas.
fn words<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

fn choose<T: Copy>(offered: &[String], known: &[(&'static str, T)]) -> Result<Agreed<T>, NothingKnown> {
    let find = |wanted: &str| known.iter().find(|(name, _)| *name == wanted);
    let found = match offered {
        [] => find(""),
        offered => offered.iter().filter(|wanted| !wanted.is_empty()).find_map(|wanted| find(wanted)),
    };
    let nothing = || NothingKnown {
        offered: offered.to_vec(),
        known: known.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect(),
    };
    found.map(|(name, spoken)| Agreed { name, spoken: *spoken }).ok_or_else(nothing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn offer(headers: &[(&str, &str)]) -> Option<Offer> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Offer::of(&map)
    }

    const WEBSOCKET: [(&str, &str); 3] =
        [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", "k")];
    const SPDY: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];

    #[test]
    fn the_first_protocol_that_is_known_is_spoken() {
        let command = |headers: &[(&str, &str)], more: &[(&str, &str)]| {
            let offer = offer(&[headers, more].concat()).unwrap();
            offer.command().map(|agreed| (agreed.name, agreed.spoken)).map_err(|error| error.to_string())
        };
        let row = |headers: &[(&str, &str)], more: &[(&str, &str)], name: &str, spoken: Command| {
            assert_eq!(command(headers, more), Ok((name, spoken)));
        };
        let both = ("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io");
        row(&WEBSOCKET, &[both], "v5.channel.k8s.io", Command::WebSocket(Form::NUMBERED, Version::V5));
        row(&WEBSOCKET, &[], "", Command::WebSocket(Form::NUMBERED, Version::V1));
        let text = ("sec-websocket-protocol", "base64.channel.k8s.io");
        row(
            &WEBSOCKET,
            &[text],
            "base64.channel.k8s.io",
            Command::WebSocket(Form::NUMBERED_TEXT, Version::V1),
        );
        let (four, three) = ((STREAM_PROTOCOL, "v4.channel.k8s.io"), (STREAM_PROTOCOL, "v3.channel.k8s.io"));
        row(&SPDY, &[(STREAM_PROTOCOL, "v9"), four, three], "v4.channel.k8s.io", Command::Spdy(Version::V4));
        assert_eq!(
            command(&SPDY, &[(STREAM_PROTOCOL, "v9")]).unwrap_err(),
            "unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts \
             [v5.channel.k8s.io v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]"
        );
    }

    #[test]
    fn ports_and_logs_have_their_own() {
        let tunnel = ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io");
        let forwarding = |headers: &[(&str, &str)], more: &[(&str, &str)]| {
            offer(&[headers, more].concat()).unwrap().forwarding().map(|agreed| agreed.spoken).ok()
        };
        assert_eq!(forwarding(&WEBSOCKET, &[tunnel]), Some(Forwarding::Tunnel));
        assert_eq!(forwarding(&WEBSOCKET, &[]), Some(Forwarding::WebSocket(Form::NUMBERED)));
        assert_eq!(forwarding(&SPDY, &[(STREAM_PROTOCOL, "portforward.k8s.io")]), Some(Forwarding::Spdy));
        assert_eq!(forwarding(&SPDY, &[]), None);
        let text = ("sec-websocket-protocol", "base64.binary.k8s.io");
        let log = offer(&[&WEBSOCKET[..], &[text]].concat()).unwrap().log();
        assert_eq!(log.map(|agreed| agreed.spoken), Ok(Form::BARE_TEXT));
    }

    #[test]
    fn other_requests_offer_nothing() {
        assert_eq!(offer(&[]), None);
        assert_eq!(offer(&[("upgrade", "websocket"), ("sec-websocket-key", "k")]), None);
        assert_eq!(offer(&[("connection", "upgrade"), ("upgrade", "websocket")]), None);
        assert_eq!(offer(&[("connection", "upgrade"), ("upgrade", "h2c")]), None);
    }
}

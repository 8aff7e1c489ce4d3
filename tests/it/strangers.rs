//! Clients that mean ill, or do not know better: each gets the right answer, and the others do not notice.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::Clock;
use apiserver::auth::authority::{Authority, ServerNames};
use cli::data_dir;
use cli::https::Identity;
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::figures::resident_mib;
use tests::https::Https;
use tests::served::Served;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PODS: &str = "/api/v1/namespaces/default/pods";

/// Connections that never say what they want.
const HALF_OPEN: usize = 10_000;

/// What the server may hold more after all of this, at most.
const LARGEST_GROWTH_MIB: u64 = 160;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_the_right_answer_and_the_server_goes_on() -> Result<()> {
    let served = Served::start(&[])?;
    let friend = Https::of(&served.kubeconfig())?;
    let process = served.process().to_string();
    no_certificate(&served).await?;
    another_ca(&served).await?;
    tokens(&served).await?;
    plain_http(&served).await?;
    lives(&friend).await?;
    let before = resident_mib(&process)?;
    half_open(&served, &friend).await?;
    large_bodies(&served, &friend).await?;
    let grown = resident_mib(&process)?.saturating_sub(before);
    ensure!(grown <= LARGEST_GROWTH_MIB, "the server holds {grown} MiB more");
    let (status, _) = served.stop()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

async fn lives(friend: &Https) -> Result<()> {
    let (status, _) = friend.json("GET", PODS, None).await?;
    ensure!(status == 200, "{status}");
    Ok(())
}

async fn no_certificate(served: &Served) -> Result<()> {
    let anonymous = Https::anonymous(&served.kubeconfig())?;
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        let status = anonymous.open(path).await?.status();
        ensure!(status == 200, "{path} answered {status}");
    }
    let (status, answer) = anonymous.json("GET", PODS, None).await?;
    let words = "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the \
                 namespace \"default\"";
    ensure!(status == 403 && answer["message"] == words, "{status} {answer}");
    let (status, answer) = anonymous.json("GET", "/metrics", None).await?;
    let words = "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"";
    ensure!(status == 403 && answer["message"] == words, "{status} {answer}");
    Ok(())
}

/// A certificate that another CA signed is refused before any request; so is a server that another CA signed.
async fn another_ca(served: &Served) -> Result<()> {
    let names = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1)).with_address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let other = Authority::ephemeral(&names, &Clock::real())?;
    let admin = other.admin();
    let identity = Identity { certificate: admin.certificate_pem.as_bytes(), key: admin.key_pem.as_bytes() };
    let impostor = Https::showing(&served.kubeconfig(), identity)?;
    ensure!(impostor.open("/healthz").await.is_err(), "the impostor was let in");
    let client = cli::https::client(other.ca_pem().as_bytes(), None)?;
    let error = client.get(format!("{}/healthz", served.server)).send().await.err().context("trusted")?;
    ensure!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
    Ok(())
}

async fn tokens(served: &Served) -> Result<()> {
    let friend = Https::of(&served.kubeconfig())?;
    let path = "/api/v1/namespaces/default/serviceaccounts/default";
    let (_, account) = friend.json("GET", path, None).await?;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let (status, answer) = friend.json("POST", &format!("{path}/token"), Some(&request)).await?;
    ensure!(status == 201, "{status} {answer}");
    let good = answer["status"]["token"].as_str().context("a token")?;
    ensure!(with_token(served, good).await?.0 == 403, "a service account is known, and may not list pods");

    let expired = expired_token(served, &account)?;
    let mut tampered = good.to_owned();
    tampered.truncate(good.len() - 4);
    for bad in [expired.as_str(), &tampered, "nonsense"] {
        let (status, answer) = with_token(served, bad).await?;
        ensure!(status == 401 && answer["reason"] == "Unauthorized", "{bad:?} got {status} {answer}");
    }
    Ok(())
}

/// A token as the server itself issued it yesterday, signed with its own key.
fn expired_token(served: &Served, account: &Value) -> Result<String> {
    use apiserver::auth::tokens::{Bound, Grant, Reference};
    let yesterday = api::clock::add(Timestamp::UNIX_EPOCH, Duration::from_secs(1_600_000_000));
    let names = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1));
    let folder = tempfile::tempdir()?;
    for file in ["ca.crt", "ca.key", "sa.key"] {
        let keys = data_dir::keys(&served.home.path().join("data"));
        std::fs::copy(keys.join(file), folder.path().join(file))?;
    }
    let authority = Authority::open(folder.path(), &names, &Clock::virtual_from(yesterday))?;
    let uid = account["metadata"]["uid"].as_str().context("a uid")?.to_owned();
    let grant = Grant {
        namespace: "default".to_owned(),
        account: Reference { name: "default".to_owned(), uid },
        audiences: Vec::new(),
        lifetime: Duration::from_secs(3_600),
        bound: Bound::Nothing,
        id: "yesterday".to_owned(),
    };
    Ok(authority.tokens().issue(grant).context("a token")?.token)
}

async fn with_token(served: &Served, token: &str) -> Result<(u16, Value)> {
    let anonymous = Https::anonymous(&served.kubeconfig())?;
    let request = anonymous.request("GET", PODS)?.header("authorization", format!("Bearer {token}"));
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await?)?))
}

async fn plain_http(served: &Served) -> Result<()> {
    let mut stream = connect(served).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    ensure!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
    Ok(())
}

async fn connect(served: &Served) -> Result<TcpStream> {
    Ok(TcpStream::connect(served.server.trim_start_matches("https://")).await?)
}

/// While thousands begin a handshake and say no more, others are served, on old connections and on new ones.
async fn half_open(served: &Served, friend: &Https) -> Result<()> {
    let mut silent = Vec::with_capacity(HALF_OPEN);
    for number in 0..HALF_OPEN {
        let mut stream = connect(served).await?;
        // The first bytes of a record that never comes.
        stream.write_all(&[0x16, 0x03, 0x01]).await?;
        silent.push(stream);
        if number % 1_000 == 0 {
            lives(friend).await?;
            lives(&Https::of(&served.kubeconfig())?).await?;
        }
    }
    lives(&Https::of(&served.kubeconfig())?).await
}

/// A body is refused where its length is known, and where it is not as soon as it is too long.
async fn large_bodies(served: &Served, friend: &Https) -> Result<()> {
    let path = "/api/v1/namespaces/default/configmaps";
    for sized in [true, false] {
        let chunk = bytes::Bytes::from(vec![b'x'; 1 << 20]);
        let chunks = futures::stream::iter((0..100).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
        let body = reqwest::Body::wrap_stream(chunks);
        let mut request = Https::of(&served.kubeconfig())?
            .request("POST", path)?
            .header("content-type", "application/json")
            .body(body);
        if sized {
            request = request.header("content-length", 100 << 20);
        }
        // The server may close the connection while the client still sends.
        if let Ok(answer) = request.send().await {
            ensure!(answer.status() == 413, "{}", answer.status());
        }
        lives(friend).await?;
    }
    Ok(())
}

//! Serves a `wasi:http` component with wasmtime's `ProxyHandler`: `peer FILE.wasm` prints its address and serves until killed.
//!
//! Set up as `wasmtime serve` is, with a pool and copy-on-write images, but each instance is used again for the next request, as
//! Peapod's are.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::{Context as _, Result};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p2::bindings;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};

/// An instance is replaced after this many requests.
const MOST_REQUESTS: usize = 1000;

/// What a guest has.
struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: default_hooks(), table: &mut self.table, ctx: &mut self.http }
    }
}

/// Makes instances.
struct Program {
    engine: Engine,
    proxy: ProxyPre<Guest>,
}

/// An instance that lives as long as it serves.
struct Forever;

impl WorkerExpiration for Forever {
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>, _: WorkerStatus, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

/// One request at a time, so many in all.
struct OneByOne;

impl WorkerState for OneByOne {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        match (concurrent, total) {
            (_, MOST_REQUESTS..) => ShouldAccept::Never,
            (0, _) => ShouldAccept::Yes,
            _ => ShouldAccept::No,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(pending())
    }

    fn drop(&self, _: Store<Guest>, result: Result<(), wasmtime::Error>) {
        if let Err(error) = result {
            eprintln!("{error:#}");
        }
    }
}

impl HandlerState for Program {
    type StoreData = Guest;
    type WorkerExpiration = Forever;
    type WorkerState = OneByOne;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Forever, OneByOne>> {
        let guest =
            Guest { wasi: WasiCtx::builder().build(), http: WasiHttpCtx::new(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, guest);
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        Ok(Instance { store, proxy, view: Guest::http, expiration: Forever, state: OneByOne })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: peer FILE.wasm")?;
    let mut config = Config::new();
    config.memory_init_cow(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, file)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let proxy = ProxyPre::P2(bindings::ProxyPre::new(linker.instantiate_pre(&component)?)?);
    let handler = Arc::new(ProxyHandler::new(Program { engine, proxy }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(Arc::clone(&handler), stream));
    }
}

async fn serve(handler: Arc<ProxyHandler<Program>>, stream: tokio::net::TcpStream) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            let answer = handler.handle((), request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|error| panic!("the guest failed: {error:#}")))
        }
    });
    // How a connection ends is its client's affair.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

//! The accept loop.
//!
//! Written by hand because no ready-made server does all of it: no Nagle delay, a bound on connections, a deadline for the
//! TLS handshake, the protocol chosen by ALPN (sniffing it lets a silent peer stay for ever, hyper#3756), an idle time longer
//! than the API server's, a drain with a deadline, and a count of every way in which a connection can end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::metrics::{ConnectionEnd, Metrics};
use super::phase::{Phase, PhaseWatch};

/// What a connection speaks below HTTP.
#[derive(Clone)]
pub enum Transport {
    /// Nothing: the admin port.
    Plain,
    /// TLS.
    Tls(TlsAcceptor),
}

/// The bounds of a port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at a time.
    pub max_connections: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time without a request, or for the headers of one. In HTTP/1.1 these are one and the same timer.
    pub idle: Duration,
    /// Time for requests under way to finish, once nothing new is accepted.
    pub drain_deadline: Duration,
}

impl Limits {
    /// Bounds that suit the API server. It keeps idle connections for 90 seconds: were we first to close one, a review could
    /// meet the closing connection, and its failure policy would decide.
    pub const DEFAULT: Self = Self {
        max_connections: 1024,
        handshake: Duration::from_secs(10),
        idle: Duration::from_secs(120),
        drain_deadline: Duration::from_secs(15),
    };
}

/// The most bytes that the headers of a request may take.
const HEADER_BYTES: usize = 64 * 1024;
/// The pause after a failed accept, which is mostly a lack of file descriptors: without one the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and serves connections until the phase is [`Phase::Stopping`], then drains them.
pub(super) async fn serve(
    listener: TcpListener,
    transport: Transport,
    router: Router,
    limits: Limits,
    mut phase: PhaseWatch,
    metrics: Arc<Metrics>,
) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    loop {
        // First the permit, then the connection: what is over the limit waits in the kernel's queue, where it costs nothing.
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = phase.reached(Phase::Stopping) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                metrics.accept_failed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        metrics.connection_opened();
        let connection =
            Connection { limits, metrics: Arc::clone(&metrics), drain: graceful.watcher(), router: router.clone() };
        let transport = transport.clone();
        connections.spawn(async move {
            let metrics = Arc::clone(&connection.metrics);
            metrics.connection_ended(connection.run(stream, transport).await);
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    let drained = async {
        graceful.shutdown().await;
        connections.wait().await;
    };
    if tokio::time::timeout(limits.drain_deadline, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain deadline passed; cutting off what is still open");
    }
}

/// One connection, and what it needs to be served.
struct Connection {
    limits: Limits,
    metrics: Arc<Metrics>,
    drain: Watcher,
    router: Router,
}

impl Connection {
    async fn run(self, stream: TcpStream, transport: Transport) -> ConnectionEnd {
        // Without this, small answers wait 40 ms for an acknowledgement that the peer delays. It fails only on a dead socket.
        _ = stream.set_nodelay(true);
        let Transport::Tls(acceptor) = transport else { return self.http1(stream).await };
        match tokio::time::timeout(self.limits.handshake, acceptor.accept(stream)).await {
            Err(_) => ConnectionEnd::HandshakeTimeout,
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                ConnectionEnd::HandshakeFailed
            }
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream).await,
            Ok(Ok(stream)) => self.http1(stream).await,
        }
    }

    /// What the API server speaks to webhooks.
    async fn http1(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> ConnectionEnd {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
        drive(self.drain, connection).await
    }

    async fn http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> ConnectionEnd {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.idle / 4)
            .keep_alive_timeout(self.limits.handshake)
            .max_concurrent_streams(250)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
        drive(self.drain, connection).await
    }
}

async fn drive<C: GracefulConnection<Error = hyper::Error>>(drain: Watcher, connection: C) -> ConnectionEnd {
    match drain.watch(connection).await {
        Ok(()) => ConnectionEnd::Closed,
        Err(error) if error.is_timeout() => ConnectionEnd::Idle,
        Err(error) => {
            tracing::debug!(%error, "connection failed");
            ConnectionEnd::Failed
        }
    }
}

//! The accept loop.
//!
//! Written by hand because no ready-made server does all of it: no Nagle delay, a bound on connections that keeps nobody out,
//! a deadline for the TLS handshake, the protocol chosen by ALPN (sniffing it lets a silent peer stay for ever, hyper#3756), an
//! idle time longer than the API server's, a drain with a deadline, and a count of every way in which a connection can end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::labels::ConnectionEnd;
use super::metrics::Metrics;
use super::phase::{Phase, PhaseWatch};
use super::seats::{Activity, Seats};
use crate::tls::clients::why_refused;

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
    /// Connections served at a time. One more displaces another.
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
/// Requests at a time on one HTTP/2 connection.
const HTTP2_STREAMS: u32 = 4;
/// How long a peer may leave an answer unread before its connection is broken off.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a connection without a request is kept when nothing new is accepted any more.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// The pause after a failed accept, which is mostly a lack of file descriptors: without one the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time between warnings of refused clients.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// Accepts and serves connections until the phase is [`Phase::Stopping`], then drains them.
pub(super) async fn serve(
    listener: TcpListener,
    transport: Transport,
    router: Router,
    limits: Limits,
    mut phase: PhaseWatch,
    metrics: Arc<Metrics>,
) {
    let seats = Arc::new(Seats::new(limits.max_connections));
    let connections = TaskTracker::new();
    let refusals = Arc::new(Seldom::default());
    loop {
        let accepted = async {
            let (stream, _) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, seats.take().await))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = phase.reached(Phase::Stopping) => break,
        };
        let (stream, seat) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                metrics.accept_failed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        metrics.connection_opened();
        let connection = Connection {
            activity: Arc::clone(&seat.activity),
            limits,
            phase: phase.clone(),
            refusals: Arc::clone(&refusals),
            router: router.clone(),
        };
        let (transport, metrics) = (transport.clone(), Arc::clone(&metrics));
        connections.spawn(async move {
            let end = tokio::select! {
                end = connection.run(stream, transport) => end,
                () = seat.activity.displaced() => ConnectionEnd::Displaced,
            };
            metrics.connection_ended(end);
            drop(seat);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_deadline, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain deadline passed; cutting off what is still open");
    }
}

/// One connection, and what it needs to be served.
struct Connection {
    activity: Arc<Activity>,
    limits: Limits,
    phase: PhaseWatch,
    refusals: Arc<Seldom>,
    router: Router,
}

impl Connection {
    async fn run(self, stream: TcpStream, transport: Transport) -> ConnectionEnd {
        // Without this, small answers wait 40 ms for an acknowledgement that the peer delays. It fails only on a dead socket.
        _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(UNREAD));
        let stream = Box::pin(stream);
        let Transport::Tls(acceptor) = transport else { return self.http1(stream).await };
        match tokio::time::timeout(self.limits.handshake, acceptor.accept(stream)).await {
            Err(_) => ConnectionEnd::HandshakeTimeout,
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                let Some(reason) = why_refused(&error) else { return ConnectionEnd::HandshakeFailed };
                // Where it is the API server that is refused, this is where somebody finds out why.
                if self.refusals.is_due(Instant::now()) {
                    tracing::warn!(reason, "client refused (said once a minute at most; the metric counts them all)");
                }
                ConnectionEnd::ClientRefused
            }
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream).await,
            Ok(Ok(stream)) => self.http1(stream).await,
        }
    }

    /// What the API server speaks to webhooks.
    async fn http1(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> ConnectionEnd {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), counted(self.router, Arc::clone(&self.activity)));
        // While leaving, each answer says that the connection closes after it; see the routes. A connection that was accepted
        // in the last moment has a request on its way, which would be lost if it were closed before the first.
        let stopping = async {
            self.phase.reached(Phase::Stopping).await;
            _ = tokio::time::timeout(FIRST_REQUEST, self.activity.begun_any()).await;
        };
        drive(connection, stopping, std::future::pending(), self.limits.drain_deadline).await
    }

    /// What nobody but curl speaks to webhooks so far. A connection that is alive but asks nothing is let go here, because the
    /// protocol's own pings only tell whether the peer is there.
    async fn http2(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> ConnectionEnd {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.idle / 4)
            .keep_alive_timeout(self.limits.handshake)
            .max_concurrent_streams(HTTP2_STREAMS)
            .serve_connection(TokioIo::new(stream), counted(self.router, Arc::clone(&self.activity)));
        let idle = self.activity.idle_for(self.limits.idle);
        drive(connection, self.phase.reached(Phase::Leaving), idle, self.limits.drain_deadline).await
    }
}

/// The routes, with each request counted.
fn counted(
    router: Router,
    activity: Arc<Activity>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone {
    let service = TowerToHyperService::new(router);
    hyper::service::service_fn(move |request| {
        let under_way = Activity::begin(&activity);
        let answer = service.call(request);
        async move {
            let answer = answer.await;
            match &answer {
                Ok(response) if response.status().is_success() => under_way.answered(),
                _ => drop(under_way),
            }
            answer
        }
    })
}

/// Serves a connection until it ends, or until it is time to go: then what is under way is answered within `deadline`, and
/// nothing more.
async fn drive<C: GracefulConnection<Error = hyper::Error>>(
    connection: C,
    leaving: impl Future<Output = ()>,
    idle: impl Future<Output = ()>,
    deadline: Duration,
) -> ConnectionEnd {
    let mut connection = pin!(connection);
    let in_order = tokio::select! {
        ended = connection.as_mut() => return ConnectionEnd::of(ended),
        () = leaving => ConnectionEnd::Closed,
        () = idle => ConnectionEnd::Idle,
    };
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(deadline, connection).await.map(ConnectionEnd::of) {
        Ok(ConnectionEnd::Closed) => in_order,
        Ok(end) => end,
        Err(_) => ConnectionEnd::Failed,
    }
}

/// Something that strangers can cause as often as they like, and that is to be said now and then.
#[derive(Default)]
struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= BETWEEN_WARNINGS);
        if due {
            *last = Some(now);
        }
        due
    }
}

impl ConnectionEnd {
    fn of(ended: Result<(), hyper::Error>) -> Self {
        match ended {
            Ok(()) => Self::Closed,
            Err(error) if error.is_timeout() => Self::Idle,
            Err(error) => {
                tracing::debug!(%error, "connection failed");
                Self::Failed
            }
        }
    }
}

//! HTTPS in and out: connections, routes, drain, and the admin port beside them.
//!
//! This is the only room that knows HTTP. What it does with a review is one call into [`routes`]; everything else here is
//! about answering at all: deadlines, limits, and leaving without losing a request.

mod admin;
mod body;
mod changes;
mod labels;
pub mod listener;
mod metrics;
mod phase;
pub mod routes;
mod seats;
#[cfg(feature = "otlp")]
mod spans;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tracing_appender::non_blocking::ErrorCounter;

use crate::status::standing::{Found, Readiness, Standing};
use crate::tls::ServedCertificate;
use crate::tls::clients::ClientAuthorities;
use crate::tls::keeping::Keeping;
use crate::watch::Progress;
use crate::world::Published;
use listener::{Limits, Transport};
use metrics::Metrics;
pub use phase::{Phase, Phases};
use routes::Webhook;

/// The idle time of the admin port.
const ADMIN_IDLE: Duration = Duration::from_secs(5);
/// Connections of the admin port.
const ADMIN_CONNECTIONS: usize = 256;
/// Connections that may wait to be accepted. Past that, the kernel drops them, and their clients try again after a second.
const BACKLOG: u32 = 4096;
/// Files that are open besides the connections: watches, standard streams, the runtime's own.
const OTHER_FILES: usize = 64;

/// Where to listen, and the bounds of everything that could take too much or too long.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Address of the webhook, HTTPS.
    pub listen: SocketAddr,
    /// Address of health and metrics, plain HTTP.
    pub admin_listen: SocketAddr,
    /// How many webhook connections are served at a time; a further one takes the place of one that is of no use.
    pub max_connections: usize,
    /// How long to go on serving after a signal to stop, until clients have noticed.
    pub drain_delay: Duration,
    /// How long to wait, after that, for requests under way.
    pub drain_deadline: Duration,
}

/// What is served: the snapshot, the certificate, and how things are doing.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The snapshot that decisions read.
    pub published: Arc<Published>,
    /// The progress of the watches behind it.
    pub progress: Arc<Progress>,
    /// The certificate.
    pub certificate: Arc<ServedCertificate>,
    /// How it is kept, where this process does that itself.
    pub keeping: Option<Arc<Keeping>>,
    /// How the writing of statuses goes, where this process may be the one that writes them.
    pub standing: Option<Arc<Standing>>,
    /// What statuses say of StorageNetworks.
    pub readiness: Arc<Readiness>,
    /// What is found in networks.
    pub found: Arc<Found>,
    /// Who may connect, where that is not everybody.
    pub clients: Option<Arc<ClientAuthorities>>,
    /// Log lines that were dropped because nobody read them in time.
    pub dropped_log_lines: ErrorCounter,
}

/// Both ports, bound and not yet served.
#[derive(Debug)]
pub struct Server {
    webhook: TcpListener,
    admin: TcpListener,
    settings: ServeSettings,
}

impl Server {
    /// Binds both ports. To be called inside a runtime.
    ///
    /// # Errors
    /// Which address cannot be bound, and why.
    pub fn bind(settings: ServeSettings) -> io::Result<Self> {
        let webhook = bind(settings.listen)?;
        let admin = bind(settings.admin_listen)?;
        Ok(Self { webhook, admin, settings })
    }

    /// The addresses that were bound: webhook, then admin.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.webhook.local_addr()?, self.admin.local_addr()?))
    }

    /// Serves until `phases` says to stop, then drains. The admin port answers until the very end.
    ///
    /// # Errors
    /// Where the TLS configuration cannot be made.
    pub async fn run(self, parts: Parts, phases: &Phases) -> Result<(), rustls::Error> {
        let Self { webhook, admin, settings } = self;
        let metrics = Arc::new(Metrics::new());
        let tls = crate::tls::server_config(Arc::clone(&parts.certificate), parts.clients.clone())?;
        let transport = Transport::Tls(TlsAcceptor::from(Arc::new(tls)));

        let admin_router = admin::router(parts.clone(), Arc::clone(&metrics), phases.watch());
        let (admin_phases, admin_metrics) = (Phases::new(), Arc::new(Metrics::new()));
        // Probes come again and again, each on a connection of its own; nobody else may keep them out for long.
        let limits = Limits { max_connections: ADMIN_CONNECTIONS, idle: ADMIN_IDLE, ..Limits::DEFAULT };
        let admin = listener::serve(admin, Transport::Plain, admin_router, limits, admin_phases.watch(), admin_metrics);
        let admin = tokio::spawn(admin);

        let router = routes::router(Webhook::new(parts.published, Arc::clone(&metrics)), phases.watch());
        let limits = Limits {
            max_connections: affordable(settings.max_connections, open_files()),
            drain_deadline: settings.drain_deadline,
            ..Limits::DEFAULT
        };
        let started = Instant::now();
        listener::serve(webhook, transport, router, limits, phases.watch(), metrics).await;
        tracing::info!(served_seconds = started.elapsed().as_secs(), "stopped serving");
        admin.abort();
        Ok(())
    }
}

/// As many connections as the process may have files open for. Past that, nobody could be accepted, and so nobody displaced.
fn affordable(max_connections: usize, open_files: Option<usize>) -> usize {
    let Some(files) = open_files else { return max_connections };
    let affordable = files.saturating_sub(ADMIN_CONNECTIONS + OTHER_FILES).max(1);
    if affordable < max_connections {
        tracing::warn!(open_files = files, connections = affordable, "fewer connections, for want of open files");
    }
    affordable.min(max_connections)
}

/// How many files the process may have open, where that is bounded and the system tells.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_connections_than_files() {
        assert_eq!(affordable(1024, None), 1024);
        assert_eq!(affordable(1024, Some(1_048_576)), 1024);
        assert_eq!(affordable(1024, Some(1024)), 704);
        assert_eq!(affordable(1024, Some(100)), 1);
        assert!(open_files().is_some_and(|files| files > 100));
    }
}

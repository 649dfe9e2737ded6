//! The phases of a serving process, from the first request to the last.
//!
//! The API server goes on using the connections it has to a pod that is being terminated (kubernetes#127335), so leaving is
//! ours to arrange: first serve on while readiness says no and every answer closes its connection, then stop accepting and
//! let the requests under way finish.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Everything is served.
    Serving,
    /// Everything is served still, but not ready any more; connections are closed after their next answer.
    Leaving,
    /// Nothing new is accepted.
    Stopping,
}

/// Sets the phase, for everybody who watches it.
#[derive(Debug)]
pub struct Phases(watch::Sender<Phase>);

/// Sees the phase.
#[derive(Clone, Debug)]
pub struct PhaseWatch(watch::Receiver<Phase>);

impl Default for Phases {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Phases {
    /// Starts with [`Phase::Serving`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody who sees the phase.
    #[must_use]
    pub fn watch(&self) -> PhaseWatch {
        PhaseWatch(self.0.subscribe())
    }

    /// Goes to `phase`.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Leaves when SIGTERM or SIGINT comes: serves on for `drain_delay`, then stops. A second signal ends the process at
    /// once.
    ///
    /// # Errors
    /// Where signals cannot be listened for.
    pub async fn follow_signals(&self, drain_delay: Duration) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut any = async || tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
        let name = any().await;
        tracing::info!(
            signal = name,
            drain_seconds = drain_delay.as_secs_f32(),
            "leaving: not ready any more, still serving"
        );
        self.enter(Phase::Leaving);
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            name = any() => {
                tracing::warn!(signal = name, "second signal: ending at once");
                return Ok(());
            }
        }
        self.enter(Phase::Stopping);
        let name = any().await;
        tracing::warn!(signal = name, "second signal: ending at once");
        Ok(())
    }
}

impl PhaseWatch {
    /// The phase of this moment.
    #[must_use]
    pub fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the phase is `phase`, or a later one.
    pub async fn reached(&mut self, phase: Phase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            // Nobody can change the phase any more, so it will never be reached.
            std::future::pending::<()>().await;
        }
    }
}

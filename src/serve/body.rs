//! Collecting the bodies of reviews, within bounds of time and memory that hold for each and for all together.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most bytes of a review. The API server sends at most a few MiB.
const BODY_BYTES: usize = 8 * 1024 * 1024;
/// What every review may take beside the others: more than twice a real one, so that no heap of large ones keeps those out.
const FREE_BYTES: usize = 32 * 1024;
/// The most bytes above that, of all reviews together that are being collected or answered. Further large ones are refused;
/// the API server's failure policy is better than running out of memory. The chart's memory limit allows for it.
const ALL_BODIES_BYTES: usize = 48 * 1024 * 1024;
/// The most bytes of a body that is refused that are read to be thrown away.
const THROWN_AWAY_BYTES: usize = 4 * BODY_BYTES;
/// The longest time that the body of a review may take to arrive.
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Room for large bodies: a permit for each byte above the free ones.
pub(super) struct Room(Semaphore);

/// A body that was not collected.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("the body is longer than {} MiB", BODY_BYTES / 1024 / 1024)]
    TooLong,
    #[error("too many bytes of reviews are under way; try again")]
    TooMany,
    #[error("the body did not arrive within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body broke off: {0}")]
    BrokenOff(axum::Error),
}

/// A collected body, and the room that it takes for as long as it is kept.
pub(super) type Collected<'r> = (Vec<u8>, Option<SemaphorePermit<'r>>);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(ALL_BODIES_BYTES))
    }
}

impl Room {
    /// Collects a body within `deadline`.
    pub(super) async fn collect(&self, body: Body, deadline: Duration) -> Result<Collected<'_>, Refusal> {
        let collected = tokio::time::timeout(deadline, self.collect_all(body)).await;
        collected.unwrap_or(Err(Refusal::TooSlow(deadline)))
    }

    async fn collect_all(&self, mut body: Body) -> Result<Collected<'_>, Refusal> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > BODY_BYTES {
            return Err(throw_away(body, Refusal::TooLong).await);
        }
        let mut taken = match self.take_up_to(announced, None) {
            Ok(taken) => taken,
            Err(refusal) => return Err(throw_away(body, refusal).await),
        };
        // What was announced is not grown into, which would take twice as much.
        let mut bytes = Vec::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Refusal::BrokenOff)?.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES {
                drop((bytes, taken));
                return Err(throw_away(body, Refusal::TooLong).await);
            }
            taken = match self.take_up_to(bytes.len() + data.len(), taken) {
                Ok(taken) => taken,
                Err(refusal) => {
                    drop(bytes);
                    return Err(throw_away(body, refusal).await);
                }
            };
            bytes.extend_from_slice(&data);
        }
        Ok((bytes, taken))
    }

    /// Adds to `taken` until it is enough for a body of `bytes`.
    fn take_up_to<'r>(
        &'r self,
        bytes: usize,
        mut taken: Option<SemaphorePermit<'r>>,
    ) -> Result<Option<SemaphorePermit<'r>>, Refusal> {
        let charged = bytes.saturating_sub(FREE_BYTES);
        let missing = charged.saturating_sub(taken.as_ref().map_or(0, SemaphorePermit::num_permits));
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| Refusal::TooMany)?;
            let more = self.0.try_acquire_many(missing).map_err(|_| Refusal::TooMany)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
        }
        Ok(taken)
    }
}

/// Reads on for a while and keeps nothing: a client that is still sending sees no answer.
async fn throw_away(mut body: Body, refusal: Refusal) -> Refusal {
    let mut read = 0;
    while read < THROWN_AWAY_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
    refusal
}

//! Networks, checked before pods hang: clusters, StorageNetworks and attachment definitions against each other.
//!
//! [`Rule`] is the table of what is looked for, [`lint`] looks through a whole snapshot, [`lint_candidate`] at one object as it is
//! about to be written ([`Scene`]), and [`judge`](judge()) says whether that is a reason to refuse it. [`address_ranges`] reads from
//! definitions what Ceph has to be told, and [`write`](write()) tells it. Nothing here does I/O, and nothing here decides about
//! pods: it may be wrong about a network without keeping any pod from it.

pub mod address_ranges;
mod change;
mod checker;
mod declaration;
mod declared;
mod definition;
mod finding;
mod judge;
mod layout;
pub mod networks;
mod overlap;
mod pods;
mod request;
mod rivals;
mod room;
mod rule;
mod said;
mod scene;
mod table;
mod together;
mod writing;

pub use change::{Change, Operation};
pub use checker::{lint, lint_candidate};
pub use declaration::{Declaration, DeclaredNetwork, Place};
pub use finding::{Finding, Subject};
pub use judge::{Judged, Judgement, Verdict, judge};
pub use pods::{Networks, Nodes, Obstacle, Pods};
pub use rivals::{Neighbours, Rival};
pub use rule::{Entry, Rule};
pub use scene::{Candidate, Scene};
pub use table::TABLE;
pub use writing::{WRITTEN_ANNOTATION, Writing, write};

//! Networks, checked before pods hang: clusters, StorageNetworks and attachment definitions against each other.
//!
//! [`Rule`] is the table of what is looked for, [`lint`] looks through a whole snapshot, [`lint_candidate`] at one object as it is
//! about to be written ([`Scene`]), and [`address_ranges`] reads from definitions what Ceph has to be told. Whether something
//! is refused for it is decided by whoever asks. Nothing here does I/O, and nothing here decides about pods: it may be wrong about
//! a network without keeping any pod from it.

pub mod address_ranges;
mod checker;
mod declaration;
mod declared;
mod definition;
mod finding;
pub mod networks;
mod overlap;
mod pods;
mod rivals;
mod rule;
mod scene;
mod table;

pub use checker::{lint, lint_candidate};
pub use declaration::{Declaration, DeclaredNetwork, Place};
pub use finding::{Finding, Subject};
pub use pods::{Networks, Obstacle, Pods};
pub use rivals::{Neighbours, Rival};
pub use rule::{Entry, Rule};
pub use scene::{Candidate, Scene};
pub use table::TABLE;

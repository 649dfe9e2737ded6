//! AdmissionReview v1, in and out.
//!
//! [`Review`] reads a request about a pod in one pass, borrowing what a decision reads, and [`ChangeRequest`] one about an object
//! that networks depend on; [`answer()`] and its neighbours write the response. Only the wire's own rules are here (whose uid,
//! which fields go together, what is unreadable); what is done with a pod is `admit`'s, and what is found in an object `lint`'s.
//! This room must never echo a request or block.

mod answer;
mod change;
mod review;

pub use answer::{Answer, answer, answer_json, judged, patch_applies, written};
pub use change::ChangeRequest;
pub use review::{Request, Review, Unreadable};

/// The only version of AdmissionReview that is spoken.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of both request and response.
pub const KIND: &str = "AdmissionReview";

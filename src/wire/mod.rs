//! AdmissionReview v1, in and out.
//!
//! [`Review`] reads a request in one pass, borrowing what a decision reads; [`answer()`] writes the response. Only the wire's
//! own rules are here (whose uid, which fields go together, what is unreadable); what is done with a pod is `admit`'s. This
//! room must never echo a request or block.

mod answer;
mod review;

pub use answer::{Answer, answer, answer_json, patch_applies};
pub use review::{Request, Review, Unreadable};

/// The only version of AdmissionReview that is spoken.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of both request and response.
pub const KIND: &str = "AdmissionReview";

//! The authorities in the data of a Secret, which is where all replicas find them.
//!
//! Certificates and keys are PEM texts, as in every TLS Secret; the moments of the rotation lie beside them in RFC 3339, so
//! that a person can read the whole with kubectl.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authority::Authority;
use super::certificate::{Certificate, timestamp};
use super::rotation::{Authorities, Introduced, Retired, Stored};

/// The current authority's certificate,
const CURRENT: &str = "ca.crt";
/// and its private key.
const CURRENT_KEY: &str = "ca.key";
/// The next authority's certificate,
const NEXT: &str = "next-ca.crt";
/// and its private key.
const NEXT_KEY: &str = "next-ca.key";
/// The certificates of retired authorities.
const RETIRED: &str = "retired-ca.crt";
/// The moments of the rotation.
const MOMENTS: &str = "rotation.json";
/// Every key that is written.
const KEYS: [&str; 6] = [CURRENT, CURRENT_KEY, NEXT, NEXT_KEY, RETIRED, MOMENTS];

/// The data of a Secret, without its base64.
pub type Data = BTreeMap<String, Vec<u8>>;

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Moments {
    current_trusted_since: Option<Timestamp>,
    next_trusted_since: Option<Timestamp>,
    /// In the order of the certificates.
    retired_trusted_until: Vec<Timestamp>,
}

/// Reads what a Secret holds. One without any of our keys holds nothing.
#[must_use]
pub fn read(data: &Data) -> Stored {
    if KEYS.iter().all(|key| data.get(*key).is_none_or(|value| value.trim_ascii().is_empty())) {
        return Stored::Empty;
    }
    read_authorities(data).map_or_else(Stored::Unreadable, Stored::Authorities)
}

fn read_authorities(data: &Data) -> Result<Authorities, String> {
    let value = |key: &str| data.get(key).map_or(&[][..], Vec::as_slice);
    let authority = |certificate: &str, key: &str| {
        let read = Authority::read(value(certificate), value(key));
        read.map(Arc::new).map_err(|fault| format!("{certificate} and {key}: {fault}"))
    };
    let moments: Moments = match value(MOMENTS) {
        [] => Moments::default(),
        text => serde_json::from_slice(text).map_err(|error| format!("{MOMENTS}: {error}"))?,
    };
    let next = if value(NEXT).is_empty() && value(NEXT_KEY).is_empty() {
        None
    } else {
        Some(Introduced { authority: authority(NEXT, NEXT_KEY)?, seen: moments.next_trusted_since.map(Into::into) })
    };
    let retired = Certificate::all_in(value(RETIRED)).map_err(|fault| format!("{RETIRED}: {fault}"))?;
    if retired.len() != moments.retired_trusted_until.len() {
        return Err(format!(
            "{RETIRED} has {} certificates, {MOMENTS} the ends of {}",
            retired.len(),
            moments.retired_trusted_until.len()
        ));
    }
    let retired = retired.into_iter().zip(moments.retired_trusted_until);
    let retired = retired.map(|(certificate, until)| Retired { certificate, until: until.into() }).collect();
    let current =
        Introduced { authority: authority(CURRENT, CURRENT_KEY)?, seen: moments.current_trusted_since.map(Into::into) };
    Ok(Authorities { current, next, retired })
}

/// Writes the authorities into a Secret's data; what is not ours in it stays.
pub fn write(authorities: &Authorities, data: &mut Data) {
    let Authorities { current, next, retired } = authorities;
    let moments = Moments {
        current_trusted_since: current.seen.map(timestamp),
        next_trusted_since: next.as_ref().and_then(|next| next.seen).map(timestamp),
        retired_trusted_until: retired.iter().map(|retired| timestamp(retired.until)).collect(),
    };
    for key in KEYS {
        data.remove(key);
    }
    let mut put = |key: &str, text: String| _ = data.insert(key.to_owned(), text.into_bytes());
    put(CURRENT, current.authority.certificate.pem());
    put(CURRENT_KEY, current.authority.key_pem());
    if let Some(next) = next {
        put(NEXT, next.authority.certificate.pem());
        put(NEXT_KEY, next.authority.key_pem());
    }
    if !retired.is_empty() {
        put(RETIRED, retired.iter().map(|retired| retired.certificate.pem()).collect());
    }
    // Texts and moments always serialise; were that ever untrue, the rotation would only begin its waits anew.
    put(MOMENTS, serde_json::to_string(&moments).unwrap_or_default());
}

//! One X.509 certificate, as far as this program has to know it, and whether a client would accept it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

/// A certificate and what it says. Two are equal where all their bytes are.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate itself.
    pub der: CertificateDer<'static>,
    /// Its subject's common name, or the whole subject where it has none.
    pub subject: String,
    /// The same of its issuer.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// From when on it is valid,
    pub not_before: SystemTime,
    /// and until when.
    pub not_after: SystemTime,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl Certificate {
    /// Reads one certificate.
    ///
    /// # Errors
    /// Why it is none, without saying where it came from.
    pub fn read(der: CertificateDer<'static>) -> Result<Self, String> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| format!("it is no X.509 certificate ({error})"))?;
        let name = |name: &x509_parser::x509::X509Name<'_>| {
            let common = name.iter_common_name().next().and_then(|common| common.as_str().ok());
            common.map_or_else(|| name.to_string(), ToOwned::to_owned)
        };
        let time =
            |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let (subject, issuer) = (name(parsed.subject()), name(parsed.issuer()));
        let serial = hexadecimal(parsed.raw_serial());
        let validity = parsed.validity();
        let (not_before, not_after) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        drop(parsed);
        Ok(Self { der, subject, issuer, serial, not_before, not_after })
    }

    /// Reads every certificate of a PEM text; a text without one is no error.
    ///
    /// # Errors
    /// What cannot be read, without saying where it came from.
    pub fn all_in(pem: &[u8]) -> Result<Vec<Self>, String> {
        let certificates = CertificateDer::pem_slice_iter(pem);
        certificates
            .map(|der| der.map_err(|error| format!("its PEM cannot be read ({error})")).and_then(Self::read))
            .collect()
    }

    /// Whether it is valid at `now`.
    #[must_use]
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Its PEM text.
    #[must_use]
    pub fn pem(&self) -> String {
        let encoded = BASE64.encode(&self.der);
        let lines = encoded.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
    }

    /// Whether it may sign others: clients refuse what it signs, else.
    pub(super) fn is_authority(&self) -> bool {
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&self.der) else { return false };
        let may_sign = parsed.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
        parsed.is_ca() && may_sign
    }

    /// The public key that it is about, as bare bytes.
    pub(super) fn public_key(&self) -> Vec<u8> {
        x509_parser::parse_x509_certificate(&self.der)
            .map(|(_, parsed)| parsed.public_key().subject_public_key.data.to_vec())
            .unwrap_or_default()
    }
}

/// Finds out whether a client that trusts `roots` accepts `chain`, the serving certificate first, at `now`.
pub(super) fn verify_chain<'c>(
    chain: &[Certificate],
    roots: impl IntoIterator<Item = &'c Certificate>,
    now: SystemTime,
) -> Result<(), rustls::Error> {
    let roots: Vec<&Certificate> = roots.into_iter().collect();
    let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    // A certificate that is its own authority: verifiers take it where they trust it, but this one takes no authority's for a
    // server's.
    if roots.contains(&leaf) {
        return Ok(());
    }
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.der.clone())?;
    }
    let intermediates: Vec<CertificateDer<'static>> =
        intermediates.iter().map(|intermediate| intermediate.der.clone()).collect();
    let leaf = ParsedCertificate::try_from(&leaf.der)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(&leaf, &store, &intermediates, now, algorithms.all)
}

/// Finds out whether a client that calls the server `name` accepts `leaf`.
pub(super) fn verify_name(leaf: &Certificate, name: &str) -> Result<(), rustls::Error> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| rustls::Error::General(format!("{name:?} is neither a DNS name nor an address")))?;
    verify_server_name(&ParsedCertificate::try_from(&leaf.der)?, &name)
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// A moment as people and Kubernetes write it, to the second. One that no calendar has becomes the last or the first of them.
#[must_use]
pub fn timestamp(moment: SystemTime) -> Timestamp {
    let limit = if moment < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let exact = Timestamp::try_from(moment).unwrap_or(limit);
    Timestamp::from_second(exact.as_second()).unwrap_or(exact)
}

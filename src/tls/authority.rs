//! Issuing: a certificate authority, and the serving certificates that it signs.
//!
//! P-256 throughout, the cheapest handshake that every client takes; serial numbers are random; what is issued is dated back
//! for clients whose clock is slow.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use rustls::crypto::aws_lc_rs;
use thiserror::Error;

use super::certificate::{Certificate, hexadecimal};

/// How far back a certificate is dated.
pub const BACKDATED: Duration = Duration::from_hours(1);
/// How the common name of every authority begins; what follows tells them apart.
const SUBJECT: &str = "rook-multihome authority";

/// An authority that can sign.
pub struct Authority {
    /// Its certificate.
    pub certificate: Certificate,
    key: KeyPair,
}

/// A serving certificate with its key.
pub struct Leaf {
    /// The certificate.
    pub certificate: Certificate,
    key: KeyPair,
}

/// Something that cannot be issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// What was asked for makes no certificate; mostly a name that is neither a DNS name nor an address.
    #[error("no certificate can be made of this: {0}")]
    Unfit(#[from] rcgen::Error),
    /// What was made cannot be read back.
    #[error("what was made cannot be read back: {0}")]
    Unreadable(String),
    /// The system has no randomness.
    #[error("the system has no randomness to give")]
    NoRandomness,
}

/// PEM texts of what was issued.
#[derive(Debug)]
pub struct Issued {
    /// The authority's certificate: what clients verify with, and the webhook configuration's `caBundle`.
    pub ca: String,
    /// The serving certificate.
    pub certificate: String,
    /// The serving certificate's private key.
    pub key: String,
}

/// Issues a new authority and a serving certificate for `names` (DNS names and IP addresses), both valid from a little
/// before `now` for `lifetime`. The authority's private key is thrown away: nobody can steal it, and a renewal makes a new
/// authority.
///
/// # Errors
/// Where a name is neither a DNS name nor an address.
pub fn issue(names: &[String], now: SystemTime, lifetime: Duration) -> Result<Issued, IssueError> {
    let authority = Authority::new(now, lifetime)?;
    let leaf = authority.issue(names, now, lifetime)?;
    Ok(Issued { ca: authority.certificate.pem(), certificate: leaf.certificate.pem(), key: leaf.key_pem() })
}

impl Authority {
    /// Makes a new authority, valid from a little before `now` for `lifetime`.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn new(now: SystemTime, lifetime: Duration) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        let serial = random_serial()?;
        // Clients look for an issuer by its name first: two of one name would only be told apart by trying.
        let distinct = hexadecimal(&serial[..4]);
        params.distinguished_name.push(DnType::CommonName, format!("{SUBJECT} {distinct}"));
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + lifetime).into();
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate: Certificate::read(certificate.der().clone()).map_err(IssueError::Unreadable)?, key })
    }

    /// Reads an authority back from its PEM texts.
    ///
    /// # Errors
    /// Which of the two is at fault, and why.
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let certificates =
            Certificate::all_in(certificate).map_err(|fault| format!("its certificate is unfit: {fault}"))?;
        let [certificate] = certificates.as_slice() else {
            return Err(format!("it should hold one certificate, not {}", certificates.len()));
        };
        certificate.is_authority().then_some(()).ok_or("its certificate is no authority's")?;
        let key = std::str::from_utf8(key).ok().and_then(|key| KeyPair::from_pem(key).ok());
        let key = key.ok_or("its key is no private key in PEM form")?;
        if key.public_key_raw() != certificate.public_key() {
            return Err("its key belongs to another certificate".to_owned());
        }
        Ok(Self { certificate: certificate.clone(), key })
    }

    /// Signs a serving certificate for `names`, valid from a little before `now` for `lifetime`, but no longer than the
    /// authority itself.
    ///
    /// # Errors
    /// Where a name is neither a DNS name nor an address.
    pub fn issue(&self, names: &[String], now: SystemTime, lifetime: Duration) -> Result<Leaf, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + lifetime).min(self.certificate.not_after).into();
        let signed = Issuer::from_ca_cert_der(&self.certificate.der, &self.key)
            .and_then(|issuer| params.signed_by(&key, &issuer))?;
        Ok(Leaf { certificate: Certificate::read(signed.der().clone()).map_err(IssueError::Unreadable)?, key })
    }

    /// The PEM text of its private key.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Whether a certificate looks like an authority that this program has made. Anybody can make one look so.
    #[must_use]
    pub fn may_have_made(certificate: &Certificate) -> bool {
        certificate.subject.starts_with(SUBJECT) && certificate.subject == certificate.issuer
    }
}

impl Leaf {
    /// The PEM text of its private key.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

impl std::fmt::Debug for Authority {
    /// Without the key, which must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// 126 random bits: positive, as serial numbers have to be.
fn random_serial() -> Result<[u8; 16], IssueError> {
    let mut serial = [0; 16];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut serial).map_err(|_| IssueError::NoRandomness)?;
    // Never zero in front, either: written out, all serial numbers are of one length.
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn what_is_issued_is_dated_back_and_ends_with_its_authority() {
        let now = SystemTime::now();
        let authority = Authority::new(now, 3 * DAY).unwrap();
        let leaf = authority.issue(&["a.b.svc".to_owned()], now, 7 * DAY).unwrap().certificate;
        for certificate in [&authority.certificate, &leaf] {
            let back = now.duration_since(certificate.not_before).unwrap();
            assert!((BACKDATED..BACKDATED + Duration::from_secs(2)).contains(&back), "{back:?}");
            assert_eq!(certificate.serial.len(), 32, "128 bits, of which 126 are random");
        }
        assert_eq!(leaf.not_after, authority.certificate.not_after);
        let again = authority.issue(&["a.b.svc".to_owned()], now, DAY).unwrap().certificate;
        assert_ne!(again.serial, leaf.serial);
        assert_ne!(Authority::new(now, DAY).unwrap().certificate.subject, authority.certificate.subject);
    }

    #[test]
    fn keys_are_on_p_256_and_stay_out_of_debug_output() {
        let authority = Authority::new(SystemTime::now(), DAY).unwrap();
        assert_eq!(authority.key.algorithm(), &rcgen::PKCS_ECDSA_P256_SHA256);
        let key = authority.key_pem();
        let secret = key.lines().nth(1).unwrap();
        assert!(!format!("{authority:?}").contains(secret));
        let read = Authority::read(authority.certificate.pem().as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.certificate, authority.certificate);
    }
}

//! Issuing: a certificate authority, and one serving certificate signed by it.
//!
//! The authority's private key is thrown away as soon as it has signed: nobody can steal it, and a renewal makes a new
//! authority. P-256 throughout, the cheapest handshake that every client takes.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// How far back a certificate is dated, for clients whose clock is slow.
const BACKDATED: Duration = Duration::from_hours(1);

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
/// before `now` for `lifetime`.
///
/// # Errors
/// Where a name is neither a DNS name nor an address.
pub fn issue(names: &[String], now: SystemTime, lifetime: Duration) -> Result<Issued, rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "rook-multihome authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut ca, now, lifetime);
    let ca_certificate = ca.self_signed(&ca_key)?;

    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    if let Some(name) = names.first() {
        leaf.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    set_validity(&mut leaf, now, lifetime);
    let certificate = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
    Ok(Issued { ca: ca_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

fn set_validity(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + lifetime).into();
}

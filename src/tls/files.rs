//! Certificates in a folder: `tls.crt` and `tls.key` as Kubernetes Secrets have them, and `ca.crt` beside them.
//!
//! The files are compared by content every few seconds. Watching them by inotify is the known trap: the kubelet replaces a
//! mounted Secret by switching a symbolic link, which such a watch never sees. A new pair is verified before it is served;
//! one that does not hold is reported, and the old one goes on.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

use super::authority::Issued;
use super::certificate::{Certificate, verify_chain};
use super::served::{Served, ServedCertificate};

/// The certificate of the authority, for clients.
pub const CA_FILE: &str = "ca.crt";
/// The serving certificate, with intermediates after it where there are any.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// The serving certificate's private key.
pub const KEY_FILE: &str = "tls.key";

/// How often the files are looked at. The kubelet itself needs up to a minute to bring a changed Secret.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A pair of files that cannot be served, or written.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is there that would be overwritten.
    #[error(
        "{0} is there already; keys are never overwritten: remove {CA_FILE}, {CERTIFICATE_FILE} and {KEY_FILE} to have new ones made, or name another folder"
    )]
    Exists(PathBuf),
    /// The content does not hold.
    #[error("{path} cannot be served: {fault}")]
    Unfit {
        /// Which file is at fault.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// The three files, as read.
#[derive(PartialEq, Eq)]
struct Contents {
    ca: Option<Vec<u8>>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Whether any of the three files is in `folder`.
#[must_use]
pub fn any_in(folder: &Path) -> bool {
    [CA_FILE, CERTIFICATE_FILE, KEY_FILE].iter().any(|file| folder.join(file).exists())
}

/// Writes what was issued into `folder`, the key readable by its owner alone. Nothing is overwritten.
///
/// # Errors
/// Where one of the files is there already, or cannot be written.
pub fn write(folder: &Path, issued: &Issued) -> Result<(), FilesError> {
    for file in [CA_FILE, CERTIFICATE_FILE, KEY_FILE] {
        let path = folder.join(file);
        if path.exists() {
            return Err(FilesError::Exists(path));
        }
    }
    fs::create_dir_all(folder).map_err(|source| FilesError::Write { path: folder.to_owned(), source })?;
    for (file, text, mode) in
        [(KEY_FILE, &issued.key, 0o600), (CERTIFICATE_FILE, &issued.certificate, 0o644), (CA_FILE, &issued.ca, 0o644)]
    {
        let path = folder.join(file);
        create(&path, mode)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| FilesError::Write { path, source })?;
    }
    Ok(())
}

fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Reads the files of `folder` and finds out whether they can be served at `now`.
///
/// # Errors
/// Which file is at fault, and why.
pub fn load(folder: &Path, now: SystemTime) -> Result<Served, FilesError> {
    Contents::read(folder)?.verify(folder, now)
}

/// Serves the files of `folder`, looking at them again and again, for as long as the process lives.
pub async fn keep_serving(folder: PathBuf, certificate: Arc<ServedCertificate>) {
    // What was last looked at, and what was wrong with it. What is wrong may be the date, so it is looked at again even where
    // nothing has changed; it is said once.
    let mut seen: Option<Result<Contents, String>> = None;
    let mut complaint: Option<String> = None;
    loop {
        let read = tokio::task::spawn_blocking({
            let folder = folder.clone();
            move || Contents::read(&folder).map_err(|error| error.to_string())
        });
        let found = read.await.unwrap_or_else(|error| Err(error.to_string()));
        if seen.as_ref() != Some(&found) || complaint.is_some() {
            let verdict = match &found {
                Ok(contents) => contents.verify(&folder, SystemTime::now()).map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match verdict {
                Ok(served) => {
                    tracing::info!(folder = %folder.display(), "serving the certificate");
                    certificate.replace(served);
                    complaint = None;
                }
                Err(fault) if complaint.as_ref() == Some(&fault) && seen.as_ref() == Some(&found) => {}
                Err(fault) => {
                    tracing::error!(complaint = fault, "keeping what was served before");
                    certificate.refuse(fault.clone());
                    complaint = Some(fault);
                }
            }
            seen = Some(found);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl Contents {
    fn read(folder: &Path) -> Result<Self, FilesError> {
        let read = |file| {
            let path = folder.join(file);
            fs::read(&path).map_err(|source| FilesError::Read { path, source })
        };
        // Where the certificate comes from elsewhere, the authority need not be at hand.
        let ca = match read(CA_FILE) {
            // Some issuers leave the key of the Secret empty.
            Ok(ca) => Some(ca).filter(|ca| !ca.trim_ascii().is_empty()),
            Err(FilesError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { ca, certificate: read(CERTIFICATE_FILE)?, key: read(KEY_FILE)? })
    }

    /// Checks that the certificate is valid now, belongs to the key and, where there is an authority, is signed by it.
    fn verify(&self, folder: &Path, now: SystemTime) -> Result<Served, FilesError> {
        let unfit = |file: &str, fault: String| FilesError::Unfit { path: folder.join(file), fault };
        let chain = certificates(&self.certificate).map_err(|fault| unfit(CERTIFICATE_FILE, fault))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| unfit(KEY_FILE, "it holds no private key in PEM form".to_owned()))?;
        let Certificate { not_before, not_after, .. } = chain[0];
        if now < not_before {
            return Err(unfit(CERTIFICATE_FILE, "it is not valid yet; look at the clock of this machine".to_owned()));
        }
        if now > not_after {
            let days = now.duration_since(not_after).unwrap_or_default().as_secs() / 86_400;
            return Err(unfit(CERTIFICATE_FILE, format!("it expired {days} days ago; renew it")));
        }
        let served = Served::new(&chain, key)
            .map_err(|error| unfit(KEY_FILE, format!("it does not belong to {CERTIFICATE_FILE} ({error})")))?;
        if let Some(ca) = &self.ca {
            let roots = certificates(ca).map_err(|fault| unfit(CA_FILE, fault))?;
            verify_chain(&chain, &roots, now).map_err(|error| {
                unfit(CERTIFICATE_FILE, format!("no client that trusts {CA_FILE} would accept it ({error})"))
            })?;
        }
        Ok(served)
    }
}

/// The certificates of a file that has to have some.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let certificates = Certificate::all_in(pem)?;
    if certificates.is_empty() { Err("it holds no certificate in PEM form".to_owned()) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::issue;

    const DAY: Duration = Duration::from_hours(24);

    fn issued(folder: &Path, now: SystemTime) -> Issued {
        let issued = issue(&["localhost".to_owned(), "127.0.0.1".to_owned()], now, DAY).unwrap();
        write(folder, &issued).unwrap();
        issued
    }

    #[test]
    fn what_is_issued_can_be_served_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        issued(folder.path(), now);
        let served = load(folder.path(), now).unwrap();
        assert!(served.certificate.not_after > now + DAY - Duration::from_mins(1));
        let late = load(folder.path(), now + 3 * DAY).unwrap_err().to_string();
        assert!(late.contains("expired 2 days ago"), "{late}");
        let early = load(folder.path(), now - DAY).unwrap_err().to_string();
        assert!(early.contains("not valid yet"), "{early}");
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CA_FILE), "mine").unwrap();
        let issued = issue(&["localhost".to_owned()], SystemTime::now(), DAY).unwrap();
        assert!(matches!(write(folder.path(), &issued), Err(FilesError::Exists(_))));
        assert!(!folder.path().join(KEY_FILE).exists());
    }

    #[test]
    fn a_pair_that_does_not_hold_is_refused_with_its_fault() {
        let now = SystemTime::now();
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        issued(one.path(), now);
        let foreign = issued(other.path(), now);
        for (file, content, part) in [
            (KEY_FILE, foreign.key.as_str(), "does not belong"),
            (CA_FILE, foreign.ca.as_str(), "no client that trusts"),
            (CERTIFICATE_FILE, "garbage", "no certificate in PEM form"),
            (KEY_FILE, "garbage", "no private key"),
        ] {
            let path = one.path().join(file);
            let before = fs::read(&path).unwrap();
            fs::write(&path, content).unwrap();
            let error = load(one.path(), now).map(drop).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            fs::write(&path, before).unwrap();
        }
        fs::write(one.path().join(CA_FILE), "\n").unwrap();
        load(one.path(), now).unwrap();
        fs::copy(one.path().join(CERTIFICATE_FILE), one.path().join(CA_FILE)).unwrap();
        load(one.path(), now).unwrap();
        fs::remove_file(one.path().join(CA_FILE)).unwrap();
        load(one.path(), now).unwrap();
        fs::remove_file(one.path().join(KEY_FILE)).unwrap();
        let error = load(one.path(), now).map(drop).unwrap_err().to_string();
        assert!(error.starts_with("cannot read"), "{error}");
    }
}

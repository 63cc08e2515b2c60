//! Certificates and private keys: the one place that reads their files (PEM).

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::files;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("{} can't be read: {fault}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        fault: io::Error,
    },
    /// It has no certificate, or something that looks like one and is none.
    #[error("{} holds no certificates; it must be PEM (`-----BEGIN CERTIFICATE-----`)", .0.display())]
    NoCertificates(PathBuf),
    /// It has no private key.
    #[error("{} holds no private key; it must be PEM, and not encrypted", .0.display())]
    NoPrivateKey(PathBuf),
    /// A certificate in it can't vouch for others.
    #[error("{} holds a certificate that can't vouch for others: {reason}", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: rustls::Error,
    },
}

/// All certificates of a file, in its order: at least one.
///
/// # Errors
/// [`Error`] if there is none, or one that is broken.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(Error::NoCertificates(path.to_owned())),
    }
}

/// The certificates of a file as those that vouch for others.
///
/// # Errors
/// [`Error`] if there is none, or one that is broken.
pub fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|reason| Error::NoAuthority {
                path: path.to_owned(),
                reason,
            })?;
    }
    Ok(roots)
}

/// The first private key of a file.
///
/// # Errors
/// [`Error`] if there is none.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| Error::NoPrivateKey(path.to_owned()))
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    files::read(path).map_err(|fault| Error::Unreadable {
        path: path.to_owned(),
        fault,
    })
}

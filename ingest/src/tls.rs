//! Certificates: who ingest is to its devices, who they are to it, and the same towards a broker.
//!
//! TLS 1.2 and 1.3 by rustls with ring. Upstream: PEM files that the command line names. Downstream:
//! [`crate::server`], which accepts, and [`crate::subscribe`], which connects. Keys are read and never shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {what} from {}: {cause}", path.display())]
    File { what: &'static str, path: PathBuf, cause: pem::Error },
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("a certificate in {} cannot be used: {cause}", path.display())]
    Authority { path: PathBuf, cause: rustls::Error },
    #[error("client certificates cannot be checked against {}: {cause}", path.display())]
    Verifier { path: PathBuf, cause: VerifierBuilderError },
    #[error("certificate {} and key {} cannot be used together: {cause}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, cause: rustls::Error },
    #[error("TLS cannot be used: {0}")]
    Provider(rustls::Error),
}

/// A certificate with the chain above it, and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// TLS of the endpoint. With `client_authority`, only clients with a certificate that it signed are let in.
///
/// # Errors
/// As sentences: see [`TlsError`].
pub fn server(identity: &Identity, client_authority: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Provider)?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|cause| TlsError::Verifier { path: path.to_owned(), cause })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = read(identity)?;
    let mut config = builder.with_single_cert(chain, key).map_err(|cause| pair(identity, cause))?;
    // A session that is resumed by a ticket needs nothing kept here: memory does not grow with those who left.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// TLS towards a broker whose certificate `authority` signed, with our own certificate if it asks for one.
///
/// # Errors
/// As sentences: see [`TlsError`].
pub fn client(authority: &Path, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Provider)?;
    let builder = builder.with_root_certificates(authorities(authority)?);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = read(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(|cause| pair(identity, cause))?
        }
    };
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| TlsError::Authority { path: path.to_owned(), cause })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |cause| TlsError::File { what: "certificates", path: path.to_owned(), cause };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    match all.map_err(failed)? {
        none if none.is_empty() => Err(TlsError::NoCertificate { path: path.to_owned() }),
        some => Ok(some),
    }
}

fn read(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let failed = |cause| TlsError::File { what: "a private key", path: identity.key.clone(), cause };
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(failed)?;
    Ok((certificates(&identity.certificate)?, key))
}

fn pair(identity: &Identity, cause: rustls::Error) -> TlsError {
    TlsError::Pair { certificate: identity.certificate.clone(), key: identity.key.clone(), cause }
}

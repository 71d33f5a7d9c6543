//! A server with two pages on a free port, and a client of bare bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use prometheus::{Encoder, Registry, TextEncoder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use web::{Front, Metrics, Refusal, ServeConfig, Tokens, serve};

/// Longest that any step of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const READER: &str = "arterial_reader_0123456789";
pub(crate) const OPERATOR: &str = "arterial_operator_0123456789";

pub(crate) fn tokens() -> Arc<Tokens> {
    let tokens = Tokens::default().with("reader", READER, web::Scope::Read).unwrap();
    Arc::new(tokens.with("operator", OPERATOR, web::Scope::Control).unwrap())
}

/// A running server.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) front: watch::Sender<Arc<Front>>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
    metrics: Metrics,
    registry: Registry,
}

impl Served {
    pub(crate) async fn start(front: Front, config: ServeConfig) -> Self {
        let echo = any(|body: String| async move { format!("changed {}", body.len()) });
        let large = || async { vec![b'x'; 64 << 20] };
        let router = Router::new()
            .route("/page", get(|| async { "page\n" }))
            .route("/large", get(large))
            .route("/live", get(|| async { "live\n" }))
            .route("/api/v1/thing", get(|| async { "thing\n" }).merge(echo))
            .fallback(|| async { axum::http::StatusCode::NOT_FOUND });
        let (listener, registry) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Registry::new());
        let address = listener.local_addr().unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        let (front, watched) = watch::channel(Arc::new(front));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, watched, metrics.clone(), config, stop.clone()));
        Self { address, front, stop, task, metrics, registry }
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> u64 {
        self.metrics.refused(refusal).get()
    }

    /// Waits until somebody was refused so often.
    pub(crate) async fn until_refused(&self, refusal: Refusal, count: u64) {
        let reached = async {
            while self.refused(refusal) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{refusal:?}: {}", self.page()));
    }

    pub(crate) fn open_connections(&self) -> i64 {
        self.metrics.connections.get()
    }

    pub(crate) fn page(&self) -> String {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own. `head` are further lines of it, each with its end.
    pub(crate) async fn ask(&self, request: &str, head: &str, body: &str) -> Answer {
        let stream = self.connect().await;
        exchange(stream, &whole(&self.address.to_string(), request, head, body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let head = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        self.ask(&format!("GET {path}"), &head, "").await
    }
}

/// The bytes of a request that closes its connection.
pub(crate) fn whole(host: &str, request: &str, head: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let host = if head.contains("Host:") { String::new() } else { format!("Host: {host}\r\n") };
    format!("{request} HTTP/1.1\r\n{host}Connection: close\r\n{length}{head}\r\n{body}")
}

/// Sends, and reads to the end.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    let work = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&String::from_utf8(bytes).unwrap())
    };
    timeout(PATIENCE, work).await.expect("an answer")
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The code of an error in JSON.
    pub(crate) fn code(&self) -> String {
        let error: serde_json::Value =
            serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body));
        assert!(error["error"]["message"].as_str().unwrap().len() > 20, "a sentence: {error}");
        error["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// An authority, for what it signs.
pub(crate) struct Papers {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Every certificate has the library's name unless told otherwise; an authority must not be its own leaf.
        params.distinguished_name.push(DnType::CommonName, "the authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.as_ref().der().clone()).unwrap();
        roots
    }

    fn identity(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A server, which asks its clients for certificates of the same authority if told so.
    pub(crate) fn server(&self, asks: bool) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if asks {
            let roots = Arc::new(self.roots());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap(),
            )
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = self.identity("server");
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    /// A client that believes in this authority, and has a certificate of it if told so.
    pub(crate) fn client(&self, has_own: bool) -> Arc<rustls::ClientConfig> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(self.roots());
        if !has_own {
            return Arc::new(builder.with_no_client_auth());
        }
        let (chain, key) = self.identity("client");
        Arc::new(builder.with_client_auth_cert(chain, key).unwrap())
    }
}

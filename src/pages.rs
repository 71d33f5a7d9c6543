//! Who may ask for our pages: certificates and tokens of the HTTP side, and the rule for addresses that others reach.
//!
//! Upstream: the command line of ingest, analytics and the demo. Downstream: `web`, which stands in front of the pages.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use ingest::tls::{self, Identity};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use web::{Front, Scope, ServeConfig, Tokens};

use crate::listen;
use crate::reload::{Part, fingerprint};

/// The front of the pages.
#[derive(clap::Args, Clone)]
pub(crate) struct PagesArgs {
    /// Certificate of the pages with its chain, PEM: they are served by TLS only then
    #[arg(long, env = "ARTERIAL_HTTP_TLS_CERT", value_name = "FILE", requires = "http_tls_key")]
    http_tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ARTERIAL_HTTP_TLS_KEY", value_name = "FILE", requires = "http_tls_cert")]
    http_tls_key: Option<PathBuf>,
    /// Serve pages only to clients with a certificate that one of these authorities signed, PEM
    #[arg(long, env = "ARTERIAL_HTTP_CLIENT_CA", value_name = "FILE", requires = "http_tls_cert")]
    http_client_ca: Option<PathBuf>,
    /// Serve pages only to whoever has one of these tokens: one a line, name, hash, `read` or `control`; `arterial
    /// token` makes such lines. Or set ARTERIAL_HTTP_TOKEN to a token that may do everything
    #[arg(long, env = "ARTERIAL_HTTP_TOKENS", value_name = "FILE")]
    http_tokens: Option<PathBuf>,
    /// Everybody may read; tokens are asked for only by what changes something
    #[arg(long, env = "ARTERIAL_HTTP_OPEN", value_parser = FalseyValueParser::new())]
    http_open: bool,
    /// A token from the environment only, so that it is in no list of processes
    #[arg(skip = std::env::var("ARTERIAL_HTTP_TOKEN").ok().filter(|token| !token.is_empty()))]
    http_token: Option<String>,
}

/// Keys that a reload takes over, apart from the files' contents.
const KEYS: [&str; 5] = ["http_tls_cert", "http_tls_key", "http_client_ca", "http_tokens", "http_open"];

/// The pages' own server, before it runs.
pub(crate) struct Pages {
    pub(crate) listener: TcpListener,
    front: watch::Sender<Arc<Front>>,
    address: SocketAddr,
    args: PagesArgs,
}

impl PagesArgs {
    /// Binds the address, reads certificates and tokens. Beyond this machine it must be known who asks, and no token
    /// may travel in the clear, unless somebody said in so many words that everybody may read.
    pub(crate) async fn open(&self, address: SocketAddr, allow_remote: bool) -> anyhow::Result<Pages> {
        if !address.ip().is_loopback() && !allow_remote {
            self.check_remote(address)?;
        }
        let listener = listen::bind(address, "--http-listen", true).await?;
        let front = self.front(address)?;
        if front.tokens.is_empty() {
            tracing::debug!("the pages ask for no token");
        } else {
            let who = if front.open { "for changes" } else { "for everything" };
            tracing::info!(tokens = front.tokens.names().join(", "), "the pages ask for a token {who}");
        }
        let (front, _) = watch::channel(Arc::new(front));
        Ok(Pages { listener, front, address, args: self.clone() })
    }

    fn check_remote(&self, address: SocketAddr) -> anyhow::Result<()> {
        let (tls, tokens) = (self.http_tls_cert.is_some(), self.http_tokens.is_some() || self.http_token.is_some());
        let lacks = match (tls, tokens) {
            (true, true) => return Ok(()),
            (true, false) if self.http_client_ca.is_some() || self.http_open => return Ok(()),
            // Nothing that could be overheard, and meant for everybody.
            (false, false) if self.http_open => return Ok(()),
            (true, false) => {
                "everybody could read it: add --http-tokens (`arterial token` makes them) or --http-client-ca"
            }
            (false, true) => "tokens would travel to it in the clear: add --http-tls-cert and --http-tls-key",
            (false, false) => {
                "everybody could read it: add --http-tls-cert, --http-tls-key and --http-tokens (`arterial token` \
                 makes them), or --http-open if that is what you want"
            }
        };
        bail!(
            "--http-listen {address} would be reachable from other machines, and {lacks}; use 127.0.0.1, or add \
             --allow-remote inside a network that you trust"
        );
    }

    /// Reads certificates and tokens.
    fn front(&self, address: SocketAddr) -> anyhow::Result<Front> {
        let tls = match (&self.http_tls_cert, &self.http_tls_key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity { certificate: certificate.clone(), key: key.clone() };
                Some(tls::server(&identity, self.http_client_ca.as_deref())?)
            }
            (_, _) => None,
        };
        let mut tokens = match &self.http_tokens {
            Some(path) => Tokens::read(path)?,
            None => Tokens::default(),
        };
        if let Some(token) = &self.http_token {
            tokens = tokens.with("environment", token, Scope::Control).context("ARTERIAL_HTTP_TOKEN")?;
        }
        if self.http_tokens.is_some() && tokens.is_empty() {
            // An empty list is no way to say that everybody may come.
            bail!("--http-tokens holds no token: nobody could come in; `arterial token NAME` adds one");
        }
        let tokens = Arc::new(tokens);
        let own_name_only = tokens.is_empty() && Front::open_at(address).own_name_only;
        Ok(Front { tls, tokens, open: self.http_open, own_name_only })
    }

    fn files(&self) -> [Option<&PathBuf>; 4] {
        [&self.http_tls_cert, &self.http_tls_key, &self.http_client_ca, &self.http_tokens].map(Option::as_ref)
    }
}

impl Pages {
    /// `https` if there are certificates.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.args.http_tls_cert.is_some() { "https" } else { "http" }
    }

    /// What a reload does to them; `again` finds their options in what is configured now.
    pub(crate) fn part(&self, again: fn(&crate::Arterial) -> Option<(&PagesArgs, bool)>) -> Part {
        let (front, address, mut before) = (self.front.clone(), self.address, self.args.clone());
        let mut seen = fingerprint(&before.files());
        Part::new("certificates and tokens of the pages", &KEYS, move |now| {
            let Some((args, allow_remote)) = again(now) else { return Ok(None) };
            let found = fingerprint(&args.files());
            if found == seen && args.http_open == before.http_open {
                return Ok(None);
            }
            if !address.ip().is_loopback() && !allow_remote {
                args.check_remote(address)?;
            }
            let new = args.front(address)?;
            let said = format!(
                "tokens: {}",
                if new.tokens.is_empty() { "none".into() } else { new.tokens.names().join(", ") }
            );
            front.send_replace(Arc::new(new));
            (seen, before) = (found, args.clone());
            Ok(Some(said))
        })
    }

    /// Serves them until `stop`; what is refused is counted in `registry`.
    pub(crate) fn serve(
        self,
        router: axum::Router,
        registry: &Registry,
        stop: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = std::io::Result<()>> + Send + 'static> {
        let metrics = web::Metrics::new(registry)?;
        let watched = self.front.subscribe();
        Ok(web::serve(self.listener, router, watched, metrics, ServeConfig::default(), stop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        pages: PagesArgs,
    }

    /// What is said to an address for all the world.
    fn said(line: &str) -> String {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let mut pages = Line::try_parse_from(words).unwrap().pages;
        pages.http_token = None;
        pages.check_remote("0.0.0.0:80".parse().unwrap()).map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn the_world_is_let_in_by_tls_and_token_or_on_purpose() {
        let tls = "--http-tls-cert c --http-tls-key k";
        for open in [
            format!("{tls} --http-tokens t"),
            format!("{tls} --http-tokens t --http-open"),
            format!("{tls} --http-client-ca a"),
            format!("{tls} --http-open"),
            "--http-open".to_owned(),
        ] {
            assert_eq!(said(&open), "", "{open}");
        }
        for (closed, why) in [
            (String::new(), "everybody could read it"),
            (tls.to_owned(), "everybody could read it"),
            ("--http-tokens t".to_owned(), "in the clear"),
            ("--http-tokens t --http-open".to_owned(), "in the clear"),
        ] {
            let said = said(&closed);
            assert!(said.contains(why) && said.contains("--allow-remote"), "{closed}: {said}");
        }
    }
}

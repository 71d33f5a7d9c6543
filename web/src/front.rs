//! What can be exchanged while pages are served: certificates, tokens, who may read.
//!
//! Upstream: the command line, at the start and at every reload. Downstream: `guard` and [`crate::serve`], which look
//! at it anew for every connection and every request.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::tokens::Tokens;

/// The front: open to every reader unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// TLS, and with it which client certificates are asked for.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may come in. Where there are none, everybody may read and nobody may change anything.
    pub tokens: Arc<Tokens>,
    /// Whether everybody may read although there are tokens; they are asked for only by what changes something then.
    pub open: bool,
    /// Whether only requests that name this machine (an address or `localhost`) are answered. Otherwise a page of
    /// somebody else's, open in a browser on this machine, could read ours by letting its own name point here (DNS
    /// rebinding).
    pub own_name_only: bool,
}

impl Front {
    /// A front without certificates and tokens, for an address.
    pub fn open_at(address: SocketAddr) -> Self {
        Self { own_name_only: address.ip().is_loopback(), ..Self::default() }
    }

    /// Whether a reader has to show a token.
    pub fn asks_readers(&self) -> bool {
        !self.open && !self.tokens.is_empty()
    }
}

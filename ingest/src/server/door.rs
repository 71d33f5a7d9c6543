//! Who is let in at the endpoint, and with which rights.
//!
//! Upstream: the command line. Downstream: [`super::connection`].

use std::sync::Arc;

use crate::credentials::{AccountName, Credentials, Rights};

/// What a client may do, and the account under which it came, where there are accounts.
pub(super) type Guest = (Arc<Rights>, Option<Arc<AccountName>>);

/// The door: open to everybody unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// TLS, and with it which client certificates are asked for.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Accounts; without them nobody is asked for a name.
    pub credentials: Option<Arc<Credentials>>,
    /// Whether everybody may carry a receive clock of its own (`received-ms`). Otherwise accounts with the right
    /// `replay` may, and where there are no accounts, clients on this machine.
    pub believe_received: bool,
}

impl Door {
    /// The rights of a client, if it may come in, and its account. `from_here`: from this very machine.
    pub(super) async fn rights(&self, from_here: bool, login: Option<(String, String)>) -> Option<Guest> {
        let Some(credentials) = &self.credentials else {
            return Some((Arc::new(Rights::all(from_here || self.believe_received)), None));
        };
        let (name, password) = login?;
        let rights = credentials.check(&name, password.as_bytes()).await?;
        let account = credentials.account_name(&name);
        if self.believe_received && !rights.replay {
            return Some((Arc::new(rights.with_replay()), account));
        }
        Some((rights, account))
    }
}

//! Listening addresses: on this machine unless asked otherwise in so many words.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

/// Binds an address, or says in one sentence why not and what to do.
pub(crate) async fn bind(address: SocketAddr, flag: &str, allow_remote: bool) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() && !allow_remote {
        bail!(
            "{flag} {address} would be reachable from other machines, and there is no password on it; \
             use 127.0.0.1, or add --allow-remote inside a network that you trust"
        );
    }
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another program using it? Choose another one with {flag}")
    })
}

//! SIGHUP: what can be exchanged while a service runs is exchanged, and what cannot is named.
//!
//! The same words, environment and file are read again. Each part that can be exchanged is tried by itself; one whose
//! file is not sound keeps what it had and says so. Everything else that is configured otherwise than at the start is
//! named as waiting for a restart.
//!
//! Upstream: the operating system's signal. Downstream: the parts, each made where it belongs.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Arterial;
use crate::config::{self, Said};

type Again = Box<dyn FnMut(&Arterial) -> anyhow::Result<Option<String>> + Send>;

/// Something that can be exchanged.
pub(crate) struct Part {
    what: &'static str,
    /// Its keys in the configuration.
    keys: &'static [&'static str],
    /// Takes over what is configured now; says in a few words what is new, or nothing if nothing is.
    again: Again,
}

impl Part {
    pub(crate) fn new(
        what: &'static str,
        keys: &'static [&'static str],
        again: impl FnMut(&Arterial) -> anyhow::Result<Option<String>> + Send + 'static,
    ) -> Self {
        Self { what, keys, again: Box::new(again) }
    }
}

/// Tells apart contents of files; what cannot be read is a content too.
pub(crate) fn fingerprint(files: &[Option<&PathBuf>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        (file, file.map(|path| std::fs::read(path as &Path).ok())).hash(&mut hasher);
    }
    hasher.finish()
}

/// Exchanges the parts at every SIGHUP, until `stop`.
pub(crate) async fn on_hangup(mut parts: Vec<Part>, stop: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(cause) => {
            tracing::warn!(%cause, "SIGHUP cannot be listened to: only a restart takes new settings over");
            return;
        }
    };
    let begun = config::said(&Arterial::command(), std::env::args_os().collect());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            heard = hangup.recv() => if heard.is_none() { return },
        }
        reload(&mut parts, begun.as_ref().ok());
    }
}

fn reload(parts: &mut [Part], begun: Option<&Said>) {
    let (now, said) = match crate::arguments_again() {
        Ok(again) => again,
        Err(error) => {
            tracing::warn!("reload: {error:#}; everything goes on as it was");
            return;
        }
    };
    let mut news = 0;
    for part in &mut *parts {
        match (part.again)(&now) {
            Ok(None) => {}
            Ok(Some(said)) => {
                news += 1;
                tracing::info!("reload: {} taken over ({said})", part.what);
            }
            Err(error) => {
                news += 1;
                tracing::warn!("reload: {} stay as they were: {error:#}", part.what);
            }
        }
    }
    let taken_over: BTreeSet<&str> = parts.iter().flat_map(|part| part.keys).copied().collect();
    let waiting = begun.map_or_else(Vec::new, |begun| said.differs_from(begun));
    let waiting: Vec<String> = waiting.into_iter().filter(|key| !taken_over.contains(key.as_str())).collect();
    if !waiting.is_empty() {
        news += 1;
        tracing::warn!("reload: {} changed too, and wait for a restart", waiting.join(", "));
    }
    if news == 0 {
        tracing::info!("reload: nothing is configured otherwise than before");
    }
}

//! Taps: SUBSCRIBE as a way to look at the stream (`mosquitto_sub -t '#'`), best effort and QoS 0.
//!
//! Every message that is received is offered, before its fate is decided. A tap that cannot keep up loses
//! messages, which is counted; it never slows down what is stored. Upstream: the connections that publish.
//! Downstream: the outboxes of the connections that subscribed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::outbox::Outbox;
use super::packet::{self, Granted, Version};

/// Filters of one tap; a further one is refused.
const FILTERS_MAX: usize = 16;

/// A message with a larger payload is not shown on taps but counted as dropped: together with the lag it bounds
/// what taps can hold in memory.
const TAPPED_BYTES_MAX: usize = 64 << 10;

/// The stream of all messages, for whoever looks.
pub(super) struct Taps {
    stream: broadcast::Sender<Arc<(String, Bytes)>>,
    /// Taps that look; to ask the stream itself would cost every message a lock.
    looking: Arc<AtomicUsize>,
    dropped: IntCounter,
}

/// One tap that looks, until it is dropped.
struct Looking(Arc<AtomicUsize>);

impl Looking {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The tap of one connection.
#[derive(Default)]
pub(super) struct Tap {
    filters: Arc<Mutex<Vec<String>>>,
    running: bool,
}

impl Taps {
    pub(super) fn new(lag_max: usize, dropped: IntCounter) -> Self {
        Self { stream: broadcast::Sender::new(lag_max.max(1)), looking: Arc::default(), dropped }
    }

    /// Whether there is anybody to offer messages to.
    pub(super) fn is_looked_at(&self) -> bool {
        self.looking.load(Ordering::Relaxed) > 0
    }

    /// Offers a message; costs nearly nothing while nobody looks.
    pub(super) fn offer(&self, topic: &str, payload: &[u8]) {
        if !self.is_looked_at() {
            return;
        }
        if payload.len() > TAPPED_BYTES_MAX {
            self.dropped.inc();
            return;
        }
        // A copy: a slice would keep the whole buffer that it was read into. An error says that the last tap has
        // just left.
        let _nobody = self.stream.send(Arc::new((topic.to_owned(), Bytes::copy_from_slice(payload))));
    }
}

impl Tap {
    /// Adds filters and begins to look if this is the first; what each of them gets.
    pub(super) fn add(
        &mut self,
        filters: Vec<String>,
        taps: &Taps,
        (outbox, version): (&Arc<Outbox>, Version),
        end: &CancellationToken,
    ) -> Vec<Granted> {
        let mut granted = Vec::with_capacity(filters.len());
        let mut held = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        for filter in filters {
            let form = Granted::form(&filter);
            granted.push(match form {
                Granted::Tap if held.contains(&filter) => form,
                Granted::Tap if held.len() >= FILTERS_MAX => Granted::TooMany,
                Granted::Tap => {
                    held.push(filter);
                    form
                }
                Granted::Invalid | Granted::Shared | Granted::TooMany => form,
            });
        }
        if !held.is_empty() && !self.running {
            self.running = true;
            let stream = taps.stream.subscribe();
            let looking = Looking::new(&taps.looking);
            let show =
                show((stream, looking), Arc::clone(&self.filters), Arc::clone(outbox), version, taps.dropped.clone());
            tokio::spawn(end.clone().run_until_cancelled_owned(show));
        }
        granted
    }

    pub(super) fn remove(&self, filters: &[String]) {
        let mut held = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|filter| !filters.contains(filter));
    }
}

/// Shows matching messages on one connection until its stream or its task ends.
async fn show(
    (mut stream, _looking): (broadcast::Receiver<Arc<(String, Bytes)>>, Looking),
    filters: Arc<Mutex<Vec<String>>>,
    outbox: Arc<Outbox>,
    version: Version,
    dropped: IntCounter,
) {
    loop {
        match stream.recv().await {
            Ok(message) => {
                let (topic, payload) = &*message;
                let wanted =
                    filters.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|filter| matches(filter, topic));
                if wanted && !outbox.push_if_room(|out| packet::tapped(version, topic, payload, out)) {
                    dropped.inc();
                }
            }
            Err(RecvError::Lagged(messages)) => dropped.inc_by(messages),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whether a valid filter matches a topic (MQTT 5.0, section 4.7): `+` is one level, a last `#` is the level above
/// it and everything below, and neither begins to match a topic that begins with `$`.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filters, mut topics) = (filter.split('/'), topic.split('/'));
    loop {
        match (filters.next(), topics.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("#", "a/b", true),
            ("#", "/hfp/v2", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/+/c", "a/b/c", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a/", true),
            ("a/#", "a", true),
            ("a/#", "b", false),
            ("a", "a/b", false),
            ("a/b", "a", false),
            ("+", "ü", true),
            ("/+", "/ü", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} on {topic}");
        }
    }
}

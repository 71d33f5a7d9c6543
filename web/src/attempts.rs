//! How often somebody may show a wrong token: a bucket for each address, which fills again with time.
//!
//! An address whose bucket is empty is refused before its token is looked at, so guessing gets no faster than the
//! bucket fills; a right token from there has to wait as well, at most until the next attempt is allowed. Behind a proxy all of
//! its clients share its address. An IPv6 network of /64 counts as one address, since whoever has one address of it has
//! all (RFC 6177).
//!
//! Upstream: `guard`. Bounded by [`PEERS_MAX`]; when that many are remembered, those who may guess freely again are
//! forgotten, and if that makes no room, newcomers share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong tokens that may come at once.
pub(crate) const BURST: u32 = 20;

/// An attempt more is allowed after each such time.
const REFILL: Duration = Duration::from_secs(2);

/// Addresses that are remembered, about 60 bytes each.
const PEERS_MAX: usize = 10_000;

/// Stands for all who found no room.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The wrong tokens of an address, as if each was forgotten after [`REFILL`].
#[derive(Clone, Copy)]
struct Bucket {
    /// When it will be as if it had never guessed.
    free_at: Instant,
    /// Whether it has been told that it guessed too often.
    refused: bool,
}

#[derive(Default)]
pub(crate) struct Attempts {
    peers: Mutex<HashMap<IpAddr, Bucket>>,
}

/// What a wrong token does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Noted,
    /// It was the last one for now, and so there is something to tell.
    Last,
}

impl Attempts {
    /// Whether a token from there may be looked at; if not, after how many seconds the next one may.
    pub(crate) fn may(&self, peer: IpAddr, now: Instant) -> Result<(), u64> {
        let peers = self.lock();
        let bucket = peers.get(&network(peer)).or_else(|| (peers.len() >= PEERS_MAX).then(|| peers.get(&OTHERS))?);
        let Some(bucket) = bucket else { return Ok(()) };
        let full = REFILL * BURST;
        let debt = bucket.free_at.saturating_duration_since(now) + REFILL;
        match debt.checked_sub(full) {
            Some(wait) if !wait.is_zero() => Err(wait.as_secs() + 1),
            _ => Ok(()),
        }
    }

    /// Notes a wrong token.
    pub(crate) fn wrong(&self, peer: IpAddr, now: Instant) -> Wrong {
        let mut peers = self.lock();
        let mut peer = network(peer);
        if !peers.contains_key(&peer) && peers.len() >= PEERS_MAX {
            peers.retain(|_, bucket| bucket.free_at > now);
            if peers.len() >= PEERS_MAX {
                peer = OTHERS;
            }
        }
        let bucket = peers.entry(peer).or_insert(Bucket { free_at: now, refused: false });
        if bucket.free_at <= now {
            *bucket = Bucket { free_at: now, refused: false };
        }
        bucket.free_at += REFILL;
        let is_empty = bucket.free_at.saturating_duration_since(now) + REFILL > REFILL * BURST;
        if is_empty && !std::mem::replace(&mut bucket.refused, true) { Wrong::Last } else { Wrong::Noted }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Bucket>> {
        // Nothing can panic while this is held.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn who_guesses_is_slowed_down_and_nobody_else() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let (mut looked_at, mut told) = (0, 0);
        // A guess every 10 ms for 100 s.
        for at in (0..10_000).map(|n| begin + Duration::from_millis(n * 10)) {
            if attempts.may(ip("10.0.0.1"), at).is_ok() {
                looked_at += 1;
                told += u32::from(attempts.wrong(ip("10.0.0.1"), at) == Wrong::Last);
            }
        }
        assert!((65..=72).contains(&looked_at), "20 at once, then one every 2 s: {looked_at}");
        assert_eq!(told, 1, "one line of the log for the whole flood");
        let late = begin + Duration::from_millis(99_990);
        assert!((1..=3).contains(&attempts.may(ip("10.0.0.1"), late).unwrap_err()));
        assert_eq!(attempts.may(ip("10.0.0.2"), late), Ok(()));
        assert_eq!(attempts.may(ip("10.0.0.1"), late + Duration::from_secs(3)), Ok(()));
    }

    #[tokio::test]
    async fn an_ipv6_network_is_one_and_an_ipv4_address_in_disguise_is_itself() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..BURST {
            attempts.wrong(ip(&format!("2001:db8:0:1::{n:x}")), now);
            attempts.wrong(ip("::ffff:10.0.0.1"), now);
        }
        assert!(attempts.may(ip("2001:db8:0:1:ffff::"), now).is_err());
        assert!(attempts.may(ip("2001:db8:0:2::"), now).is_ok());
        assert!(attempts.may(ip("10.0.0.1"), now).is_err());
        assert!(attempts.may(ip("::1"), now).is_ok());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_a_flood_of_addresses_is_still_slowed_down() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let mut slowed_down = 0;
        for peer in (0..PEERS_MAX as u32 + 100).map(|n| IpAddr::V4(n.into())) {
            match attempts.may(peer, now) {
                Ok(()) => {
                    attempts.wrong(peer, now);
                }
                Err(_) => slowed_down += 1,
            }
            assert!(attempts.lock().len() <= PEERS_MAX + 1);
        }
        assert_eq!(slowed_down, 100 - BURST, "newcomers share a bucket");
        let later = now + Duration::from_secs(60);
        attempts.wrong(ip("250.0.0.1"), later);
        assert_eq!(attempts.lock().len(), 1, "who has not guessed for a while is forgotten");
    }
}

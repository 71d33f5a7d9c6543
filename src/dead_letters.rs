//! `arterial dead-letters`: what was rejected and why, and the same messages once more.
//!
//! Topics and payloads name vehicles. So a list shows topics without their last level, and a letter is shown whole only
//! when it is asked for by its id.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use events::{Reason, TimeMs};
use ingest::dead_letter::DeadLetter;
use ingest::dead_letter::read::{LetterId, Retried, letters};
use ingest::start::dead_letter_dir;
use sim::publish::PublishError;
use tokio_util::sync::CancellationToken;

use crate::asynchronous;
use crate::broker::{self, PublishArgs};
use crate::spool::Place;

/// Look through what was rejected, and send it again
#[derive(clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in the life of the process")]
pub(crate) enum Command {
    /// Count by reason, then list the newest
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wanted: Wanted,
        /// How many of the newest are listed
        #[arg(long, default_value_t = 20)]
        newest: usize,
    },
    /// Show one whole: topic, time, reason, payload
    Show {
        #[command(flatten)]
        place: Place,
        /// Its id in the list
        #[arg(value_name = "FILE:LINE")]
        id: LetterId,
    },
    /// Publish rejected messages again, as they came, and note that they were
    ///
    /// They are judged as of now. What is rejected again is a new letter.
    Retry {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wanted: Wanted,
        /// Ids in the list; none means all that the other options leave
        #[arg(value_name = "FILE:LINE")]
        ids: Vec<LetterId>,
        /// Also those that were sent again before
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        publish: PublishArgs,
    },
}

/// Which letters are meant.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Only of this reason
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only those received at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<TimeMs>,
}

fn reason(name: &str) -> Result<Reason, String> {
    let names = || Reason::ALL.map(Reason::name).join(", ");
    let found = Reason::ALL.into_iter().find(|reason| reason.name() == name);
    found.ok_or_else(|| format!("there is no such reason; there are {}", names()))
}

fn time(text: &str) -> Result<TimeMs, String> {
    TimeMs::parse(text).map_err(|reject| reject.detail)
}

impl Wanted {
    fn is_met_by(&self, letter: &DeadLetter) -> bool {
        self.reason.is_none_or(|reason| letter.reason == reason.name())
            && self.since.is_none_or(|since| letter.received_ms >= since.0)
    }
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { place, wanted, newest } => list(&dead_letter_dir(&place.data), &wanted, newest),
        Command::Show { place, id } => show(&dead_letter_dir(&place.data), id),
        Command::Retry { place, wanted, ids, again, publish } => asynchronous(|stop| async move {
            let dir = dead_letter_dir(&place.data);
            retry(
                &dir,
                |id, letter| wanted.is_met_by(letter) && (ids.is_empty() || ids.contains(&id)),
                again,
                publish,
                stop,
            )
            .await
        }),
    }
}

fn list(dir: &Path, wanted: &Wanted, newest: usize) -> anyhow::Result<()> {
    let retried = Retried::load(dir)?;
    let mut by_reason: BTreeMap<String, (u64, i64, i64)> = BTreeMap::new();
    let mut last = std::collections::VecDeque::new();
    for found in letters(dir)? {
        let (id, letter) = found?;
        if !wanted.is_met_by(&letter) {
            continue;
        }
        let ms = letter.received_ms;
        let row = by_reason.entry(letter.reason.clone()).or_insert((0, ms, ms));
        *row = (row.0 + 1, row.1.min(ms), row.2.max(ms));
        if last.len() == newest {
            last.pop_front();
        }
        if newest > 0 {
            last.push_back((id, letter));
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:>9}  {:16}  {:24}  {:24}", "letters", "reason", "received from", "to")?;
    for (reason, (count, from, to)) in &by_reason {
        writeln!(out, "{count:>9}  {reason:16}  {}  {}", TimeMs(*from).rfc3339(), TimeMs(*to).rfc3339())?;
    }
    writeln!(out, "{:>9}  in all", by_reason.values().map(|row| row.0).sum::<u64>())?;
    if !last.is_empty() {
        writeln!(out, "\n{:>9}  {:24}  {:16}  {:14}  topic", "id", "received", "reason", "field")?;
    }
    for (id, letter) in last.iter().rev() {
        writeln!(
            out,
            "{:>9}  {:24}  {:16}  {:14}  {}{}",
            id.to_string(),
            TimeMs(letter.received_ms).rfc3339(),
            letter.reason,
            letter.field.as_deref().unwrap_or("–"),
            nameless(&letter.topic),
            if retried.contains(*id) { "  (sent again)" } else { "" },
        )?;
    }
    Ok(())
}

/// A topic without its last level, which names a vehicle or device.
fn nameless(topic: &str) -> String {
    topic.rsplit_once('/').map_or_else(|| "…".to_owned(), |(rest, _)| format!("{rest}/…"))
}

fn show(dir: &Path, wanted: LetterId) -> anyhow::Result<()> {
    for found in letters(dir)? {
        let (id, letter) = found?;
        if id == wanted {
            let text = serde_json::to_string_pretty(&letter).context("a letter cannot be shown")?;
            return Ok(writeln!(std::io::stdout(), "{text}")?);
        }
    }
    bail!("there is no letter {wanted} in {}; `arterial dead-letters list` names them", dir.display())
}

/// Letters that are noted at once as sent again, when the server has acknowledged them.
const NOTED_TOGETHER: usize = 10_000;

async fn retry(
    dir: &Path,
    is_wanted: impl Fn(LetterId, &DeadLetter) -> bool,
    again: bool,
    publish: PublishArgs,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut retried = Retried::load(dir)?;
    let (mut sent, mut skipped, mut broken) = (0_u64, 0_u64, 0_u64);
    let mut found = letters(dir)?.peekable();
    while found.peek().is_some() && !stop.is_cancelled() {
        let mut publisher = broker::connect(publish.connection("retry")?).await?;
        let mut ids = Vec::new();
        for letter in found.by_ref().take(NOTED_TOGETHER) {
            let (id, letter) = letter?;
            if !is_wanted(id, &letter) {
                continue;
            }
            if retried.contains(id) && !again {
                skipped += 1;
                continue;
            }
            let Some(payload) = letter.payload_bytes() else {
                broken += 1;
                continue;
            };
            match publisher.publish(letter.topic, payload, None).await {
                Ok(()) => ids.push(id),
                Err(PublishError::TooLarge { .. } | PublishError::Topic(_)) => broken += 1,
                Err(error) => return Err(error.into()),
            }
        }
        let done = broker::finish(publisher, &stop).await?;
        if done.refused > 0 {
            bail!(
                "the MQTT server refused {} messages; none of these {} is noted as sent again",
                done.refused,
                ids.len()
            );
        }
        sent += ids.len() as u64;
        retried.add(ids)?;
    }
    writeln!(
        std::io::stdout(),
        "sent again and acknowledged {sent}, sent again before {skipped}, impossible to send {broken}"
    )?;
    Ok(())
}

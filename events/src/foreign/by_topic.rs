//! Which topics are in which foreign format: `city/feeds/+/vehicles=gtfs-rt`, as an operator says it.
//!
//! Upstream: a command line. Downstream: the gate, which decodes through [`Rules`]. The first rule whose filter matches
//! decides, also over our own topics; a topic that no rule names is read as [`crate::codec::decode`] says.
//!
//! A message in a file's format (CSV, loops, SUMO, ATSPM) is a small file, header and all. If it breaks off, nothing of
//! it is accepted: a device sends it again whole.

use std::io::Cursor;

use super::{Format, FormatError, Record, gtfs_rt, hfp, ngsi_ld, read};
use crate::codec::{self, Fate, MESSAGE_BYTES_MAX, Refused};
use crate::reject::{Reason, Reject};

/// Most rules.
pub const RULES_MAX: usize = 64;

/// Most records in a message that is a small file. A longer one is refused as a whole.
pub const RECORDS_MAX: usize = 10_000;

/// The rules, in order. Without any, every topic is read as [`crate::codec::decode`] says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules(Vec<(String, Format)>);

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    #[error("`{text}` is not TOPIC_FILTER=FORMAT or TOPIC_FILTER=FORMAT:MAP, such as city/vehicles/#=gtfs-rt")]
    NotARule { text: String },
    #[error(
        "`{filter}` is not a topic filter: + stands for one whole level, # for all that follow and only at the end"
    )]
    Filter { filter: String },
    #[error("`{filter}`: {cause}")]
    Format { filter: String, cause: FormatError },
    #[error("more than {RULES_MAX} rules")]
    TooMany,
}

impl Rules {
    /// Reads one rule after another.
    ///
    /// # Errors
    /// A sentence that names the rule and what is allowed.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for text in texts {
            let not_a_rule = || RuleError::NotARule { text: text.to_owned() };
            let (filter, format) = text.split_once('=').ok_or_else(not_a_rule)?;
            let (filter, format) = (filter.trim(), format.trim());
            if !is_filter(filter) {
                return Err(RuleError::Filter { filter: filter.to_owned() });
            }
            let (name, map) = format.split_once(':').map_or((format, None), |(name, map)| (name, Some(map)));
            let format = Format::parse(name, map);
            let format = format.map_err(|cause| RuleError::Format { filter: filter.to_owned(), cause })?;
            rules.push((filter.to_owned(), format));
        }
        if rules.len() > RULES_MAX { Err(RuleError::TooMany) } else { Ok(Self(rules)) }
    }

    /// The filters, for whoever subscribes at a broker.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(filter, _)| filter.as_str())
    }

    /// Whether a rule names this topic.
    pub fn name(&self, topic: &str) -> bool {
        self.0.iter().any(|(filter, _)| matches(filter, topic))
    }

    /// Decodes one message and adds its fates to `out`: at least one.
    pub fn decode(&self, topic: &str, payload: &[u8], out: &mut Vec<Fate>) {
        match self.0.iter().find(|(filter, _)| matches(filter, topic)) {
            None => codec::decode(topic, payload, out),
            Some((_, format)) => decode(format, topic, payload, out),
        }
    }
}

fn decode(format: &Format, topic: &str, payload: &[u8], out: &mut Vec<Fate>) {
    let refused = |reject: Reject| Err(Refused { reject, payload: payload.to_vec() });
    if payload.len() > MESSAGE_BYTES_MAX {
        let detail = format!("{} bytes are more than {MESSAGE_BYTES_MAX}", payload.len());
        return out.push(refused(Reject::whole(Reason::WrongSize, detail)));
    }
    match format {
        Format::Hfp => out.push(hfp::decode(topic, payload).or_else(refused)),
        Format::GtfsRt => gtfs_rt::decode(payload, out),
        Format::NgsiLd => ngsi_ld::decode(payload, out),
        Format::Csv(_) | Format::Loops(_) | Format::SumoFcd | Format::SumoE1 | Format::Atspm(_) => {
            let mark = out.len();
            for (i, record) in read(format, Box::new(Cursor::new(payload.to_vec()))).enumerate() {
                if i >= RECORDS_MAX {
                    out.truncate(mark);
                    let detail = format!("a message of more than {RECORDS_MAX} records");
                    return out.push(refused(Reject::whole(Reason::WrongSize, detail)));
                }
                match record {
                    Ok(Record::Event(event)) => out.push(Ok(event)),
                    Ok(Record::Unreadable { reject, raw, .. }) => out.push(Err(Refused { reject, payload: raw })),
                    Ok(Record::Message { topic, payload, .. }) => codec::decode(&topic, &payload, out),
                    Err(error) => {
                        out.truncate(mark);
                        return out.push(refused(Reject::whole(Reason::Malformed, error.to_string())));
                    }
                }
            }
            if out.len() == mark {
                let detail = "the message says nothing that we read";
                out.push(refused(Reject::whole(Reason::WrongSize, detail)));
            }
        }
    }
}

/// Whether a text is a topic filter (MQTT 5, 4.7).
fn is_filter(filter: &str) -> bool {
    let levels = filter.split('/').count();
    !filter.is_empty()
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(|(i, level)| match level {
            "#" => i + 1 == levels,
            "+" => true,
            other => !other.contains(['+', '#']),
        })
}

/// Whether a topic is among those that a filter names (MQTT 5, 4.7.1).
fn matches(filter: &str, topic: &str) -> bool {
    // Topics of the server itself are not meant by wildcards (4.7.2).
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            (_, _) => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests;

//! MQTT packets of both versions as one set of types, with the codec of `rumqttc` behind it.
//!
//! Framing is done here, so that the codec only ever sees one whole packet and whatever it says is final: any
//! error is a malformed packet, never "more bytes, please". Upstream: the socket. Downstream:
//! [`super::connection`].

use bytes::{BufMut, Bytes, BytesMut};
use events::TimeMs;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5::{self, ConnectReturnCode, SubscribeReasonCode};
use rumqttc::v5::mqttbytes::{QoS, valid_filter};

use super::close::Close;

/// User property (version 5) with the receive time of a message in decimal epoch milliseconds.
pub(crate) const RECEIVED_MS: &str = "received-ms";

/// Versions of the protocol that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V5,
}

/// What a client says.
#[derive(Debug)]
pub(super) enum Packet {
    Publish(Publish),
    Subscribe { id: u16, filters: Vec<String> },
    Unsubscribe { id: u16, filters: Vec<String> },
    Ping,
    Disconnect,
}

#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    /// The packet id of a QoS 1 message.
    pub(super) id: Option<u16>,
    pub(super) payload: Bytes,
    /// The receive clock that the message carries.
    pub(super) received: Option<TimeMs>,
}

/// How a client begins.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) version: Version,
    pub(super) client_id: String,
    pub(super) keep_alive_s: u16,
    pub(super) clean: bool,
    /// Name and password.
    pub(super) login: Option<(String, String)>,
}

/// Length of the packet at the beginning of `bytes`, if all of it is there.
///
/// # Errors
/// For a length that is no length, or beyond `bytes_max`: before the rest of it has come.
pub(super) fn frame(bytes: &[u8], bytes_max: u32) -> Result<Option<usize>, Close> {
    let (mut length, mut shift) = (0usize, 0);
    for at in 1..=4 {
        let Some(byte) = bytes.get(at) else { return Ok(None) };
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            if length > bytes_max as usize {
                return Err(Close::TooLarge);
            }
            let whole = at + 1 + length;
            return Ok((bytes.len() >= whole).then_some(whole));
        }
    }
    Err(Close::Malformed)
}

/// A PUBLISH taken apart where it lies.
pub(super) struct Plain<'a> {
    pub(super) topic: &'a [u8],
    /// The packet id of a QoS 1 message.
    pub(super) id: Option<u16>,
    pub(super) payload: &'a [u8],
}

/// Reads a whole PUBLISH that is as nearly all are: QoS 0 or 1, no properties. `None` for everything else, also for
/// what is wrong, which [`read`] then finds out. The topic is not looked into.
pub(super) fn plain(version: Version, frame: &[u8]) -> Option<Plain<'_>> {
    let qos = match frame[0] {
        first if first >> 4 == 3 && first & 0b0110 == 0 => 0,
        first if first >> 4 == 3 && first & 0b0110 == 0b0010 => 1,
        _ => return None,
    };
    let head = 2 + frame[1..].iter().take_while(|byte| *byte & 0x80 != 0).count();
    let (length, rest) = frame.get(head..)?.split_first_chunk::<2>()?;
    let (topic, mut rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let mut id = None;
    if qos == 1 {
        let (bytes, behind) = rest.split_first_chunk::<2>()?;
        id = Some(u16::from_be_bytes(*bytes)).filter(|id| *id > 0);
        rest = behind;
        id?;
    }
    if version == Version::V5 {
        let (0, behind) = rest.split_first()? else { return None };
        rest = behind;
    }
    Some(Plain { topic, id, payload: rest })
}

/// Reads the first packet of a connection.
///
/// # Errors
/// If it is no CONNECT of a version that is spoken here.
pub(super) fn hello(frame: &[u8]) -> Result<Hello, Close> {
    let mut frame = BytesMut::from(frame);
    if frame[0] >> 4 != 1 {
        return Err(Close::NoConnect);
    }
    let head = 1 + frame[1..].iter().take_while(|byte| *byte & 0x80 != 0).count() + 1;
    let level = match frame.get(head..) {
        Some([0, 4, b'M', b'Q', b'T', b'T', level, ..]) => *level,
        Some([0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..]) => 3,
        _ => return Err(Close::NoConnect),
    };
    let bytes_max = frame.len();
    match level {
        4 => match v4::Packet::read(&mut frame, bytes_max) {
            Ok(v4::Packet::Connect(connect)) => Ok(Hello {
                version: Version::V4,
                client_id: connect.client_id,
                keep_alive_s: connect.keep_alive,
                clean: connect.clean_session,
                login: connect.login.map(|login| (login.username, login.password)),
            }),
            _ => Err(Close::Malformed),
        },
        5 => match v5::Packet::read(&mut frame, None) {
            Ok(v5::Packet::Connect(connect, _, login)) => Ok(Hello {
                version: Version::V5,
                client_id: connect.client_id,
                keep_alive_s: connect.keep_alive,
                clean: connect.clean_start,
                login: login.map(|login| (login.username, login.password)),
            }),
            _ => Err(Close::Malformed),
        },
        _ => Err(Close::Version),
    }
}

/// Reads any later packet.
///
/// # Errors
/// See [`Close`].
pub(super) fn read(version: Version, frame: &[u8]) -> Result<Packet, Close> {
    let mut frame = BytesMut::from(frame);
    let (kind, flags) = (frame[0] >> 4, frame[0] & 0x0F);
    match kind {
        // PUBLISH: the flags are the QoS, and 3 is none.
        3 if flags >> 1 & 3 == 2 => return Err(Close::QosNotSupported),
        3 if flags >> 1 & 3 == 3 => return Err(Close::Malformed),
        3 => {}
        // SUBSCRIBE and UNSUBSCRIBE have fixed flags.
        8 | 10 if flags != 2 => return Err(Close::Malformed),
        8 | 10 => {}
        12 | 14 if flags != 0 => return Err(Close::Malformed),
        12 => return Ok(Packet::Ping),
        // In version 5 it may have a reason; whichever it is, the client leaves.
        14 => return Ok(Packet::Disconnect),
        _ => return Err(Close::Unexpected),
    }
    let bytes_max = frame.len();
    match version {
        Version::V4 => read_v4(v4::Packet::read(&mut frame, bytes_max).map_err(|_| Close::Malformed)?),
        Version::V5 => read_v5(v5::Packet::read(&mut frame, None).map_err(|_| Close::Malformed)?),
    }
}

fn read_v4(packet: v4::Packet) -> Result<Packet, Close> {
    match packet {
        v4::Packet::Publish(p) => {
            let id = (p.pkid != 0).then_some(p.pkid);
            Ok(Packet::Publish(Publish { topic: topic(p.topic)?, id, payload: p.payload, received: None }))
        }
        v4::Packet::Subscribe(s) => {
            Ok(Packet::Subscribe { id: s.pkid, filters: s.filters.into_iter().map(|filter| filter.path).collect() })
        }
        v4::Packet::Unsubscribe(u) => Ok(Packet::Unsubscribe { id: u.pkid, filters: u.topics }),
        _ => Err(Close::Unexpected),
    }
}

fn read_v5(packet: v5::Packet) -> Result<Packet, Close> {
    match packet {
        v5::Packet::Publish(p) => {
            let alias = p.properties.as_ref().and_then(|properties| properties.topic_alias);
            if alias.is_some() {
                return Err(Close::Topic);
            }
            let id = (p.pkid != 0).then_some(p.pkid);
            let name = String::from_utf8(p.topic.into()).map_err(|_| Close::Malformed)?;
            let received = p.properties.as_ref().and_then(|properties| received_ms(&properties.user_properties));
            Ok(Packet::Publish(Publish { topic: topic(name)?, id, payload: p.payload, received }))
        }
        v5::Packet::Subscribe(s) => {
            Ok(Packet::Subscribe { id: s.pkid, filters: s.filters.into_iter().map(|filter| filter.path).collect() })
        }
        v5::Packet::Unsubscribe(u) => Ok(Packet::Unsubscribe { id: u.pkid, filters: u.filters }),
        _ => Err(Close::Unexpected),
    }
}

/// The receive clock in a message's user properties; one that is no time counts as none.
pub(crate) fn received_ms(properties: &[(String, String)]) -> Option<TimeMs> {
    let (_, value) = properties.iter().find(|(key, _)| key == RECEIVED_MS)?;
    value.parse().ok().and_then(|ms| TimeMs::new(ms).ok())
}

fn topic(name: String) -> Result<String, Close> {
    let possible = !name.is_empty() && !name.contains(['+', '#', '\0']);
    possible.then_some(name).ok_or(Close::Topic)
}

/// What a SUBSCRIBE gets for one of its filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    Tap,
    Invalid,
    Shared,
    TooMany,
}

impl Granted {
    /// Looks at a filter's form.
    pub(super) fn form(filter: &str) -> Self {
        if filter.starts_with("$share/") {
            Self::Shared
        } else if valid_filter(filter) && !filter.contains('\0') {
            Self::Tap
        } else {
            Self::Invalid
        }
    }
}

/// CONNACK of acceptance. In version 5 it says what is not offered here.
pub(super) fn welcome(version: Version, in_flight_max: u16, bytes_max: u32, assigned_id: Option<String>) -> BytesMut {
    let mut out = BytesMut::new();
    match version {
        Version::V4 => out.put_slice(&[0x20, 2, 0, 0]),
        Version::V5 => {
            let properties = v5::ConnAckProperties {
                session_expiry_interval: Some(0),
                receive_max: Some(in_flight_max),
                max_qos: Some(1),
                retain_available: None,
                max_packet_size: Some(bytes_max),
                assigned_client_identifier: assigned_id,
                topic_alias_max: Some(0),
                reason_string: None,
                user_properties: Vec::new(),
                wildcard_subscription_available: None,
                subscription_identifiers_available: Some(0),
                shared_subscription_available: Some(0),
                server_keep_alive: None,
                response_information: None,
                server_reference: None,
                authentication_method: None,
                authentication_data: None,
            };
            let code = ConnectReturnCode::Success;
            let connack = v5::ConnAck { session_present: false, code, properties: Some(properties) };
            written(connack.write(&mut out));
        }
    }
    out
}

/// CONNACK of refusal.
pub(super) fn refusal(version: Version, close: Close) -> BytesMut {
    let (v4, v5) = match close {
        Close::Version => (1, 0x84),
        Close::ClientId => (2, 0x85),
        Close::Login => (4, 0x86),
        _ => (3, 0x89),
    };
    match version {
        Version::V4 => BytesMut::from(&[0x20, 2, 0, v4][..]),
        Version::V5 => BytesMut::from(&[0x20, 3, 0, v5, 0][..]),
    }
}

/// A PUBACK of success for each: the short form, which both versions share.
pub(super) fn pubacks(ids: &[u16], out: &mut BytesMut) {
    out.reserve(4 * ids.len());
    for id in ids {
        let [high, low] = id.to_be_bytes();
        out.put_slice(&[0x40, 2, high, low]);
    }
}

pub(super) fn pong(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

pub(super) fn suback(version: Version, id: u16, granted: &[Granted], out: &mut BytesMut) {
    let code = |granted: &Granted| match granted {
        Granted::Tap => SubscribeReasonCode::Success(QoS::AtMostOnce),
        Granted::Invalid => SubscribeReasonCode::TopicFilterInvalid,
        Granted::Shared => SubscribeReasonCode::SharedSubscriptionsNotSupported,
        Granted::TooMany => SubscribeReasonCode::QuotaExceeded,
    };
    match version {
        Version::V4 => {
            let code = |granted: &Granted| match granted {
                Granted::Tap => v4::SubscribeReasonCode::Success(rumqttc::QoS::AtMostOnce),
                Granted::Invalid | Granted::Shared | Granted::TooMany => v4::SubscribeReasonCode::Failure,
            };
            written(v4::SubAck::new(id, granted.iter().map(code).collect()).write(out));
        }
        Version::V5 => {
            let return_codes = granted.iter().map(code).collect();
            written(v5::SubAck { pkid: id, return_codes, properties: None }.write(out));
        }
    }
}

/// UNSUBACK: of version 5 with the reason "success" for each of `filters`.
pub(super) fn unsuback(version: Version, id: u16, filters: usize, out: &mut BytesMut) {
    match version {
        Version::V4 => written(v4::UnsubAck::new(id).write(out)),
        Version::V5 => {
            let reasons = vec![v5::UnsubAckReason::Success; filters];
            written(v5::UnsubAck { pkid: id, reasons, properties: None }.write(out));
        }
    }
}

/// A tapped message, QoS 0.
pub(super) fn tapped(version: Version, topic: &str, payload: &Bytes, out: &mut BytesMut) {
    match version {
        Version::V4 => {
            written(v4::Publish::from_bytes(topic, rumqttc::QoS::AtMostOnce, payload.clone()).write(out));
        }
        Version::V5 => written(v5::Publish::new(topic, QoS::AtMostOnce, payload.clone(), None).write(out)),
    }
}

/// What is said to a client before its connection is closed.
pub(super) fn goodbye(version: Version, close: Close, out: &mut BytesMut) {
    match (version, close.code()) {
        // Written by hand: the codec leaves out the reason that has no properties.
        (Version::V5, Some(code)) => out.put_slice(&[0xE0, 2, code as u8, 0]),
        (Version::V4 | Version::V5, _) => {}
    }
}

fn written<E: std::fmt::Debug>(result: Result<usize, E>) {
    result.expect("our own packets are within every limit of the codec");
}

#[cfg(test)]
mod tests;

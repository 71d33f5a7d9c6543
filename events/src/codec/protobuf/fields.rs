//! The fields of one protobuf message in place, without a tree: number, bytes, and nothing that is allocated.
//!
//! Upstream: a payload. Downstream: [`super`] and [`crate::foreign::gtfs_rt`], which stop at their bounds before a
//! hostile batch of half a million empty elements takes memory. Wire format:
//! <https://protobuf.dev/programming-guides/encoding/>.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::reject::{Reason, Reject};

/// A field that holds bytes: text, or a message in the message.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: &'a [u8],
    /// The same with its key and length in front: by itself a message with just this field.
    pub(crate) whole: &'a [u8],
}

/// Gives each field that holds bytes, in order; numbers are passed over.
pub(crate) fn each<'a>(
    message: &'a [u8],
    found: &mut dyn FnMut(Field<'a>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let malformed = |at: usize, what: &dyn std::fmt::Display| {
        Reject::whole(Reason::Malformed, format!("not protobuf at byte {at}: {what}"))
    };
    let mut rest = message;
    while !rest.is_empty() {
        let start = message.len() - rest.len();
        let (number, wire) = decode_key(&mut rest).map_err(|e| malformed(start, &e))?;
        if wire == WireType::LengthDelimited {
            let length = decode_varint(&mut rest).map_err(|e| malformed(start, &e))?;
            let held = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
            let (value, behind) = held.ok_or_else(|| malformed(start, &"a field is longer than the message"))?;
            rest = behind;
            let whole = &message[start..message.len() - rest.len()];
            found(Field { number, value, whole })?;
        } else {
            skip_field(wire, number, &mut rest, DecodeContext::default()).map_err(|e| malformed(start, &e))?;
        }
    }
    Ok(())
}

//! The Parquet file of a log: columns `TimeStamp`, `DeviceId`, `EventId`, `Parameter`, as the ATSPM packages write it.
//!
//! Upstream: [`super::Log`], with the file in memory: Parquet is read from its end. Downstream: rows in file order.
//! A file says itself how large its parts are; what is claimed is held against the file before it is believed.

use bytes::Bytes;
use jiff::tz::TimeZone;
use parquet::basic::LogicalType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use parquet::schema::types::Type;

use super::{AtspmMap, Row};
use crate::foreign::{ReadError, WHOLE_BYTES_MAX, excerpt};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;

/// First and last bytes of a Parquet file.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// Most rows of one row group that are believed.
const GROUP_ROWS_MAX: i64 = 100_000_000;

const COLUMNS: [&str; 4] = ["TimeStamp", "DeviceId", "EventId", "Parameter"];

/// The rows of a file.
pub(super) struct Table {
    rows: RowIter<'static>,
    /// Whether the times are UTC by the file's own word, and not a wall clock's.
    is_utc: bool,
    number: u64,
}

/// A row's number from 1, what it is written as, and what it says.
pub(super) type Numbered = (u64, Vec<u8>, Result<Row, Reject>);

impl Table {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, ReadError> {
        let total = bytes.len() as u64;
        if total > WHOLE_BYTES_MAX {
            let detail = format!("the file is larger than {WHOLE_BYTES_MAX} bytes");
            return Err(ReadError::Malformed { line: 0, byte: WHOLE_BYTES_MAX, detail });
        }
        let ended = bytes.ends_with(MAGIC) && total >= 12;
        let broken = |detail: String| match ended {
            true => ReadError::Malformed { line: 0, byte: 0, detail },
            false => ReadError::Truncated { line: 0, byte: total, detail },
        };
        let file = SerializedFileReader::new(Bytes::from(bytes)).map_err(|e| broken(e.to_string()))?;
        let root = file.metadata().file_metadata().schema();
        let found: Vec<String> = root.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let wanted = |field: &&std::sync::Arc<Type>| COLUMNS.contains(&field.name());
        let columns: Vec<_> = root.get_fields().iter().filter(wanted).cloned().collect();
        if columns.len() != COLUMNS.len() || columns.iter().any(|column| !column.is_primitive()) {
            return Err(ReadError::NotThisFormat {
                line: 0,
                found: format!("the columns {}", excerpt(found.join(", ").as_bytes())),
                expected: format!("a controller's event log (ATSPM) with the columns {}", COLUMNS.join(", ")),
            });
        }
        let is_utc = columns.iter().any(|column| is_utc(column));
        for group in file.metadata().row_groups() {
            let sizes = group.columns().iter().map(|column| column.compressed_size());
            if sizes.sum::<i64>() as u64 > total || !(0..=GROUP_ROWS_MAX).contains(&group.num_rows()) {
                return Err(broken("a row group claims more than the file holds".into()));
            }
        }
        let projection = Type::group_type_builder(root.name()).with_fields(columns).build();
        let projection = projection.map_err(|e| broken(e.to_string()))?;
        let rows =
            RowIter::from_file_into(Box::new(file)).project(Some(projection)).map_err(|e| broken(e.to_string()))?;
        Ok(Self { rows, is_utc, number: 0 })
    }

    pub(super) fn read(&mut self, map: &AtspmMap) -> Result<Option<Numbered>, ReadError> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.number += 1;
        let broken = |e: parquet::errors::ParquetError| ReadError::Malformed {
            line: self.number,
            byte: 0,
            detail: e.to_string(),
        };
        let row = row.map_err(broken)?;
        let raw = row.to_string().into_bytes();
        Ok(Some((self.number, raw, take(&row, map, self.is_utc))))
    }
}

fn is_utc(column: &Type) -> bool {
    match column.get_basic_info().logical_type_ref() {
        Some(LogicalType::Timestamp(timestamp)) => timestamp.is_adjusted_to_u_t_c,
        _ => false,
    }
}

fn take(row: &Record, map: &AtspmMap, is_utc: bool) -> Result<Row, Reject> {
    let (mut time, mut device, mut code, mut parameter) = (None, None, None, None);
    for (name, field) in row.get_column_iter() {
        match name.as_str() {
            "TimeStamp" => time = moment(field, map, is_utc)?,
            "DeviceId" => device = text(field),
            "EventId" => code = whole("EventId", field)?,
            "Parameter" => parameter = whole("Parameter", field)?,
            _ => {}
        }
    }
    let missing = |name: &'static str| Reject::field(Reason::MissingField, name, "is null".into());
    Ok(Row {
        time: time.ok_or_else(|| missing("TimeStamp"))?,
        device: device.or_else(|| map.device.clone()).ok_or_else(|| missing("DeviceId"))?,
        code: code.ok_or_else(|| missing("EventId"))?,
        parameter: parameter.ok_or_else(|| missing("Parameter"))?,
    })
}

fn moment(field: &Field, map: &AtspmMap, is_utc: bool) -> Result<Option<TimeMs>, Reject> {
    let ms = match field {
        Field::Null => return Ok(None),
        Field::TimestampMillis(ms) => *ms,
        Field::TimestampMicros(us) => us.div_euclid(1_000),
        other => {
            let detail = format!("{other} is not a timestamp");
            return Err(Reject::field(Reason::UnreadableField, "TimeStamp", detail));
        }
    };
    let time = TimeMs::new(ms).map_err(|reject| reject.named("TimeStamp"))?;
    if is_utc {
        return Ok(Some(time));
    }
    // A wall clock's reading is stored as if it were UTC.
    let unreadable = |e: jiff::Error| Reject::field(Reason::OutOfRange, "TimeStamp", e.to_string());
    let clock = jiff::Timestamp::from_millisecond(time.0).map_err(unreadable)?.to_zoned(TimeZone::UTC).datetime();
    map.zone.at(clock).map(Some).map_err(|reject| reject.named("TimeStamp"))
}

fn whole(name: &'static str, field: &Field) -> Result<Option<i64>, Reject> {
    Ok(Some(match field {
        Field::Null => return Ok(None),
        Field::Byte(n) => i64::from(*n),
        Field::Short(n) => i64::from(*n),
        Field::Int(n) => i64::from(*n),
        Field::Long(n) => *n,
        Field::UByte(n) => i64::from(*n),
        Field::UShort(n) => i64::from(*n),
        Field::UInt(n) => i64::from(*n),
        other => {
            let detail = format!("{other} is not a whole number");
            return Err(Reject::field(Reason::UnreadableField, name, detail));
        }
    }))
}

fn text(field: &Field) -> Option<String> {
    match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

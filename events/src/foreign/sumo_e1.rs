//! SUMO's induction loops: `<detector>`, in it `<interval begin end id nVehContrib occupancy speed …>`.
//!
//! Upstream: [`super::read`]. Downstream: detector intervals. Format:
//! <https://sumo.dlr.de/docs/Simulation/Output/Induction_Loops_Detectors_(E1).html>; times in seconds, occupancy in
//! percent, speed (arithmetic mean) in m/s. A speed of -1 means that nothing passed, so there is none. 100 percent with
//! no vehicle is a vehicle that stands on the loop: it is kept.

use std::io::BufRead;

use super::xml::{Attributes, Form, Rows};
use super::{ReadError, Record, source_name};
use crate::event::{DetectorInterval, Event};
use crate::reject::{Reason, Reject};
use crate::time::TimeMs;
use crate::units::MetresPerSecond;

const FORM: Form = Form { roots: &["detector"], row: "interval", name: "the output of SUMO's induction loops (E1)" };

/// The intervals of a file.
pub(crate) struct Intervals {
    rows: Rows,
    over: bool,
}

impl Intervals {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { rows: Rows::new(FORM, input), over: false }
    }
}

impl Iterator for Intervals {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let record = self.rows.read().map(|row| {
            row.map(|row| match row.attributes.and_then(|attributes| interval(&attributes)) {
                Ok(event) => Record::Event(event),
                Err(reject) => Record::Unreadable { line: row.line, reject, raw: row.raw },
            })
        });
        self.over = !matches!(record, Ok(Some(_)));
        record.transpose()
    }
}

fn interval(row: &Attributes) -> Result<Event, Reject> {
    let time =
        |name: &'static str| row.need(name).and_then(|text| TimeMs::parse(text).map_err(|reject| reject.named(name)));
    let count = row.number("nVehContrib")?;
    let count = count.ok_or_else(|| Reject::field(Reason::MissingField, "nVehContrib", "is absent".into()))?;
    if count.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&count) {
        let detail = format!("{count} is not a number of vehicles");
        return Err(Reject::field(Reason::OutOfRange, "nVehContrib", detail));
    }
    let speed = row.number("speed")?.filter(|mps| *mps != -1.0).map(MetresPerSecond::reported).transpose();
    let interval = DetectorInterval {
        source: source_name(row.need("id")?, "id")?,
        seq: None,
        start: time("begin")?,
        end: time("end")?,
        at: None,
        count: Some(count as u32),
        occupancy: row.number("occupancy")?.map(|percent| (percent / 100.0) as f32),
        speed: speed.map_err(|reject| reject.named("speed"))?.flatten(),
    };
    let checked = interval.checked().map_err(|reject| match reject.field.as_deref() {
        Some("end_ms") => reject.named("end"),
        _ => reject,
    });
    checked.map(Event::Detector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(rows: &str) -> Vec<Result<Record, ReadError>> {
        let text = format!("<?xml version=\"1.0\"?>\n<detector>\n{rows}</detector>");
        Intervals::new(Box::new(Cursor::new(text))).collect()
    }

    fn one(rows: &str) -> Result<DetectorInterval, (Reason, Option<String>)> {
        match read(rows).remove(0).unwrap() {
            Record::Event(Event::Detector(interval)) => Ok(interval),
            Record::Unreadable { reject, .. } => Err((reject.reason, reject.field.map(|field| field.to_string()))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_loop_says_count_occupancy_and_speed_and_nothing_where_nothing_passed() {
        let said = |rest: &str| one(&format!("<interval begin=\"60.00\" end=\"120.00\" id=\"a#1\" {rest}/>\n"));
        let busy = said("nVehContrib=\"5\" flow=\"300.00\" occupancy=\"23.50\" speed=\"11.02\"").unwrap();
        assert_eq!((busy.source.as_str(), busy.start, busy.end), ("a%231", TimeMs(60_000), TimeMs(120_000)));
        assert_eq!((busy.count, busy.occupancy, busy.speed.unwrap().get()), (Some(5), Some(0.235), 11.02));
        let empty = said("nVehContrib=\"0\" occupancy=\"0.00\" speed=\"-1.00\"").unwrap();
        assert_eq!((empty.count, empty.occupancy, empty.speed), (Some(0), Some(0.0), None));
        let standing = said("nVehContrib=\"0\" occupancy=\"100.00\" speed=\"-1.00\"").unwrap();
        assert_eq!((standing.count, standing.occupancy), (Some(0), Some(1.0)));
        for (rest, reason, field) in [
            ("occupancy=\"1\"", Reason::MissingField, "nVehContrib"),
            ("nVehContrib=\"1.5\"", Reason::OutOfRange, "nVehContrib"),
            ("nVehContrib=\"x\"", Reason::UnreadableField, "nVehContrib"),
            ("nVehContrib=\"1\" occupancy=\"101\"", Reason::OutOfRange, "occupancy"),
            ("nVehContrib=\"1\" speed=\"-7\"", Reason::OutOfRange, "speed"),
        ] {
            assert_eq!(said(rest), Err((reason, Some(field.to_owned()))), "{rest}");
        }
    }

    #[test]
    fn files_that_break_off_or_are_something_else() {
        let good = "<interval begin=\"0\" end=\"60\" id=\"a\" nVehContrib=\"1\"/>\n";
        let cut = Intervals::new(Box::new(Cursor::new(format!("<detector>{good}<interval beg"))));
        let all: Vec<_> = cut.collect();
        assert!(matches!(&all[..], [Ok(Record::Event(_)), Err(ReadError::Truncated { .. })]), "{all:?}");
        for other in ["", "<meandata><interval/></meandata>", "id,time\n1,2\n", "<detector", "\u{0}"] {
            let all: Vec<_> = Intervals::new(Box::new(Cursor::new(other.to_owned()))).collect();
            assert!(matches!(&all[..], [Err(ReadError::NotThisFormat { .. })]), "{other:?}: {all:?}");
        }
        assert!(read("").is_empty());
        let line = read(&format!("{good}<interval/>\n")).pop().unwrap().unwrap();
        assert!(matches!(line, Record::Unreadable { line: 4, .. }), "{line:?}");
    }
}

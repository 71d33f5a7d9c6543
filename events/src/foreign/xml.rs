//! XML that is a root element with rows in it: `<detector><interval …/>…</detector>`, read as a stream.
//!
//! Upstream: any `BufRead`. Downstream: [`super::sumo_e1`] and [`super::atspm`]. A row whose attributes cannot be read
//! is given with the reason; XML that is broken ends the reading. Memory is bounded by the longest tag, 1 MiB.

use std::io::BufRead;

use quick_xml::errors::{Error as XmlError, IllFormedError};
use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::{Reader, XmlVersion};

use super::sumo_fcd::counted::Counted;
use super::{ReadError, excerpt, failed};
use crate::reject::{Reason, Reject};

/// The rows of a file.
pub(crate) struct Rows {
    xml: Reader<Counted>,
    buffer: Vec<u8>,
    form: Form,
    /// Names of the elements that we are in and that came before the row, as far as they matter.
    inside: bool,
}

/// What a file is expected to look like.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// One of these is the root element.
    pub(crate) roots: &'static [&'static str],
    pub(crate) row: &'static str,
    /// As an error message names it.
    pub(crate) name: &'static str,
}

/// One row.
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) attributes: Result<Attributes, Reject>,
    /// The tag as it is written.
    pub(crate) raw: Vec<u8>,
}

/// Attributes by name, unescaped. Few enough to be searched one by one.
pub(crate) struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// The value; `None` if it is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of an attribute that must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<&str, Reject> {
        self.get(name).ok_or_else(|| Reject::field(Reason::MissingField, name, "is absent or empty".into()))
    }

    /// A finite number.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<f64>, Reject> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => {
                let detail = format!("`{}` is not a number", excerpt(text.as_bytes()));
                Err(Reject::field(Reason::UnreadableField, name, detail))
            }
        }
    }
}

impl Rows {
    pub(crate) fn new(form: Form, input: Box<dyn BufRead + Send>) -> Self {
        Self { xml: Reader::from_reader(Counted::new(input)), buffer: Vec::new(), form, inside: false }
    }

    /// The next row; `None` at the end of the root element.
    pub(crate) fn read(&mut self) -> Result<Option<Row>, ReadError> {
        loop {
            self.buffer.clear();
            let line = self.xml.get_ref().line();
            let tag = match self.xml.read_event_into(&mut self.buffer) {
                Ok(tag) => tag,
                Err(e) => return Err(broken(e, self.inside, self.form, &self.xml)),
            };
            match tag {
                Xml::Start(start) if !self.inside => self.inside = self.form.enter(&start, line)?,
                Xml::Empty(start) if !self.inside => {
                    self.form.enter(&start, line)?;
                    return Ok(None);
                }
                Xml::Start(start) | Xml::Empty(start) if start.name().0 == self.form.row => {
                    let raw = format!("<{}>", &*start).into_bytes();
                    return Ok(Some(Row { line, attributes: attributes(&start), raw }));
                }
                Xml::End(end) if self.form.roots.contains(&end.name().0) => return Ok(None),
                Xml::Text(text) if !self.inside && !text.trim().is_empty() => {
                    return Err(self.form.not_this(line, format!("`{}`", excerpt(text.as_bytes()))));
                }
                Xml::Eof if self.inside => {
                    let byte = self.xml.buffer_position();
                    let detail = format!("</{}> is missing", self.form.roots[0]);
                    return Err(ReadError::Truncated { line, byte, detail });
                }
                Xml::Eof => return Err(self.form.not_this(line, "no element at all".into())),
                Xml::Start(_)
                | Xml::Empty(_)
                | Xml::End(_)
                | Xml::Text(_)
                | Xml::CData(_)
                | Xml::Comment(_)
                | Xml::Decl(_)
                | Xml::PI(_)
                | Xml::DocType(_)
                | Xml::GeneralRef(_) => {}
            }
        }
    }
}

impl Form {
    fn enter(self, start: &BytesStart<'_>, line: u64) -> Result<bool, ReadError> {
        if self.roots.contains(&start.name().0) {
            return Ok(true);
        }
        Err(self.not_this(line, format!("<{}>", excerpt(start.name().0.as_bytes()))))
    }

    fn not_this(self, line: u64, found: String) -> ReadError {
        let expected = format!("{}, which begins with <{}>", self.name, self.roots.join("> or <"));
        ReadError::NotThisFormat { line, found, expected }
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Attributes, Reject> {
    let malformed = |e: &dyn std::fmt::Display| Reject::whole(Reason::Malformed, e.to_string());
    let mut all = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| malformed(&e))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| malformed(&e))?;
        all.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Ok(Attributes(all))
}

/// Broken XML: cut off, another format, or wrong in the middle.
fn broken(error: XmlError, inside: bool, form: Form, xml: &Reader<Counted>) -> ReadError {
    let (line, byte) = (xml.get_ref().line(), xml.error_position());
    match error {
        XmlError::Io(e) if xml.get_ref().gave_up() && inside => {
            ReadError::Malformed { line, byte, detail: e.to_string() }
        }
        XmlError::Io(e) if xml.get_ref().gave_up() => form.not_this(1, format!("no XML ({e})")),
        // The library shares the error; its kind and words are what is left to hand on.
        XmlError::Io(e) => failed(std::io::Error::new(e.kind(), e.to_string()), line, byte),
        other if !inside => form.not_this(line, format!("no XML ({other})")),
        XmlError::Syntax(e) => ReadError::Truncated { line, byte, detail: e.to_string() },
        XmlError::IllFormed(e @ (IllFormedError::MissingEndTag(_) | IllFormedError::UnclosedReference)) => {
            ReadError::Truncated { line, byte, detail: e.to_string() }
        }
        other => ReadError::Malformed { line, byte, detail: other.to_string() },
    }
}

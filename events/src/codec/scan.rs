//! JSON text taken apart in place: one pass, borrowed strings, numbers as they are written.
//!
//! Upstream: the payload, already known to be UTF-8. Downstream: [`super::json`] and
//! [`crate::foreign::hfp`]. A tree of values would round numbers before we know whether they are an `f32`,
//! an `f64` or a `u64`, and would lose the text of a batch element that is to be refused alone; so the
//! grammar (RFC 8259) is walked here, and a test holds it against `serde_json`.

use std::borrow::Cow;
use std::fmt;

use crate::reject::{Reason, Reject};

/// Deepest nesting that is read; our messages need 3. Deeper is refused, since each level costs stack.
pub(crate) const DEPTH_MAX: usize = 64;

/// One value. Of objects and arrays it is the text, already known to be sound JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Object(&'a str),
    Array(&'a str),
}

impl fmt::Display for Value<'_> {
    /// As error messages show it: at most 60 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Object(text) | Self::Array(text) => text,
            Self::Text(text) => text.as_ref(),
        };
        let quote = if matches!(self, Self::Text(_)) { "\"" } else { "" };
        match shown.char_indices().nth(60) {
            Some((end, _)) => write!(f, "{quote}{}…{quote}", &shown[..end]),
            None => write!(f, "{quote}{shown}{quote}"),
        }
    }
}

/// A place in a JSON text, moving forward. Every error is [`Reason::Malformed`] with the byte.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The next byte that is not white space; `None` at the end.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Byte offset of the next byte to be read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from an earlier offset to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// Reads one value of any kind.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Reject> {
        match self.peek() {
            Some(b'{') => {
                let start = self.at;
                self.object(&mut |_, _| Ok(()))?;
                Ok(Value::Object(self.since(start)))
            }
            Some(b'[') => {
                let start = self.at;
                self.array(&mut |element| element.value().map(|_| ()))?;
                Ok(Value::Array(self.since(start)))
            }
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(self.number()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    /// Reads an object, giving each pair in order; of a repeated key the receiver sees both.
    pub(crate) fn object(
        &mut self,
        each: &mut dyn FnMut(Cow<'a, str>, Value<'a>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        self.open(b'{', "an object")?;
        if self.took(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in quotes"));
            }
            let key = self.string()?;
            if !self.took(b':') {
                return Err(self.expected("`:`"));
            }
            let value = self.value()?;
            each(key, value)?;
            if self.took(b'}') {
                self.depth -= 1;
                return Ok(());
            }
            if !self.took(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    /// Reads an array; `each` must read exactly one value.
    pub(crate) fn array(&mut self, each: &mut dyn FnMut(&mut Self) -> Result<(), Reject>) -> Result<(), Reject> {
        self.open(b'[', "an array")?;
        if self.took(b']') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            each(self)?;
            if self.took(b']') {
                self.depth -= 1;
                return Ok(());
            }
            if !self.took(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Reject> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end")),
        }
    }

    /// A refusal that says what should have stood here.
    pub(crate) fn expected(&self, what: &str) -> Reject {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        Reject::whole(Reason::Malformed, format!("byte {}: expected {what}, found {found}", self.at))
    }

    fn took(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn open(&mut self, byte: u8, what: &str) -> Result<(), Reject> {
        if !self.took(byte) {
            return Err(self.expected(what));
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let detail = format!("byte {}: nested deeper than {DEPTH_MAX}", self.at);
            return Err(Reject::whole(Reason::Malformed, detail));
        }
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Reject> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<&'a str, Reject> {
        let start = self.at;
        self.at += usize::from(self.here() == Some(b'-'));
        if self.here() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), Reject> {
        let start = self.at;
        while matches!(self.here(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn here(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads a string; it is copied only when it holds an escape.
    fn string(&mut self) -> Result<Cow<'a, str>, Reject> {
        self.at += 1;
        let mut from = self.at;
        let mut copied = String::new();
        loop {
            match self.here() {
                Some(b'"') => {
                    let rest = self.since(from);
                    self.at += 1;
                    if copied.is_empty() {
                        return Ok(Cow::Borrowed(rest));
                    }
                    copied.push_str(rest);
                    return Ok(Cow::Owned(copied));
                }
                Some(b'\\') => {
                    copied.push_str(self.since(from));
                    self.at += 1;
                    copied.push(self.escape()?);
                    from = self.at;
                }
                None | Some(0..0x20) => return Err(self.expected("the rest of a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, Reject> {
        let plain = match self.here() {
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads the digits of `\uXXXX`, and of the second half of a surrogate pair.
    fn unicode(&mut self) -> Result<char, Reject> {
        let unit = self.hex4()?;
        let code = if (0xD800..0xDC00).contains(&unit) {
            if !self.text[self.at..].starts_with("\\u") {
                return Err(self.expected("the second half of a surrogate pair"));
            }
            self.at += 2;
            let low = self.hex4()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(self.expected("the second half of a surrogate pair before this"));
            }
            0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        } else {
            unit
        };
        char::from_u32(code).ok_or_else(|| self.expected("a whole surrogate pair before this"))
    }

    fn hex4(&mut self) -> Result<u32, Reject> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.here().and_then(|c| char::from(c).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests;

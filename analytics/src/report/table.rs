//! Tables of a report: for a terminal, for a spreadsheet, for a page.
//!
//! Upstream: [`super::told`]. Downstream: `arterial report`, [`super::page`], `format=csv` of the API.
//!
//! CSV has keys as its header (never translated), a point in numbers, nothing where there is no figure (RFC 4180).

use std::fmt::Write;

use super::words::Language;

/// A figure in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    /// A value and the digits behind its point that mean something.
    Number(f64, usize),
    Whole(i64),
    /// Not known: never 0.
    Missing,
}

/// A column: its key in CSV, its heading, its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub key: &'static str,
    pub heading: &'static str,
    pub unit: &'static str,
}

/// A table with its heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub heading: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
}

impl Value {
    /// A number that may not be known.
    pub fn of(value: Option<f64>, digits: usize) -> Self {
        value.map_or(Self::Missing, |v| Self::Number(v, digits))
    }

    fn told(&self, language: Language) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value, digits) => language.number(*value, *digits),
            Self::Whole(value) => language.number(*value as f64, 0),
            Self::Missing => "–".to_owned(),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Text(text) if text.contains([',', '"', '\n', '\r']) => format!("\"{}\"", text.replace('"', "\"\"")),
            Self::Text(text) => text.clone(),
            Self::Number(value, digits) => format!("{value:.digits$}"),
            Self::Whole(value) => value.to_string(),
            Self::Missing => String::new(),
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Self::Number(..) | Self::Whole(_) | Self::Missing => true,
            Self::Text(_) => false,
        }
    }
}

impl Table {
    /// With a header; lines end as RFC 4180 says.
    pub fn csv(&self) -> String {
        let mut out = self.columns.iter().map(|c| c.key).collect::<Vec<_>>().join(",") + "\r\n";
        for row in &self.rows {
            out += &(row.iter().map(Value::csv).collect::<Vec<_>>().join(",") + "\r\n");
        }
        out
    }

    /// In columns of one width.
    pub fn text(&self, language: Language) -> String {
        let headings: Vec<String> = self.columns.iter().map(Column::told).collect();
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|v| v.told(language)).collect()).collect();
        let widest = |i: usize| cells.iter().map(|row| width(&row[i])).max().unwrap_or(0).max(width(&headings[i]));
        let widths: Vec<usize> = (0..headings.len()).map(widest).collect();
        let is_right = |i: usize| self.rows.iter().all(|row| row[i].is_number());
        let line = |row: &[String]| {
            let padded = row.iter().enumerate().map(|(i, text)| {
                let room = " ".repeat(widths[i].saturating_sub(width(text)));
                if is_right(i) { room + text } else { text.clone() + &room }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let mut out = String::new();
        if !self.heading.is_empty() {
            out += &format!("{}\n", self.heading);
        }
        out += &line(&headings);
        cells.iter().for_each(|row| out += &line(row));
        out
    }

    /// As HTML, with a caption.
    pub fn html(&self, language: Language) -> String {
        let mut out = format!("<div class=\"scroll\"><table><caption>{}</caption><thead><tr>", escaped(&self.heading));
        let is_right = |i: usize| self.rows.iter().all(|row| row[i].is_number());
        for (i, column) in self.columns.iter().enumerate() {
            let class = if is_right(i) { " class=\"n\"" } else { "" };
            let unit =
                if column.unit.is_empty() { String::new() } else { format!("<span> {}</span>", escaped(column.unit)) };
            push(&mut out, format_args!("<th scope=\"col\"{class}>{}{unit}</th>", escaped(column.heading)));
        }
        out += "</tr></thead><tbody>";
        for row in &self.rows {
            out += "<tr>";
            for (i, value) in row.iter().enumerate() {
                let class = if is_right(i) { " class=\"n\"" } else { "" };
                push(&mut out, format_args!("<td{class}>{}</td>", escaped(&value.told(language))));
            }
            out += "</tr>";
        }
        out + "</tbody></table></div>"
    }
}

impl Column {
    fn told(&self) -> String {
        if self.unit.is_empty() { self.heading.to_owned() } else { format!("{} {}", self.heading, self.unit) }
    }
}

/// Columns of a terminal that a text takes: Chinese characters and the like take two.
fn width(text: &str) -> usize {
    let wide = |c: &char| matches!(u32::from(*c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe4f | 0xff00..=0xff60);
    text.chars().count() + text.chars().filter(wide).count()
}

/// Values as eight heights of a block, from the lowest to the highest; a gap where there is none.
pub fn sparkline(values: &[Option<f64>]) -> String {
    sparkline_within(values, bounds(values.iter().flatten().copied()))
}

/// The same between bounds, so that several can be compared.
pub fn sparkline_within(values: &[Option<f64>], (low, high): (f64, f64)) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |value: &Option<f64>| match value {
        None => ' ',
        Some(_) if high <= low => BLOCKS[3],
        Some(value) => BLOCKS[(((value - low) / (high - low) * 7.0).round() as usize).min(7)],
    };
    values.iter().map(block).collect()
}

/// The least and the greatest of some values; turned round where there is none.
pub fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Text for HTML and SVG.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a text can be written into memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_where_it_must_and_says_nothing_of_what_is_not_known() {
        let columns = ["a", "b", "c"].map(|key| Column { key, heading: key, unit: "" }).to_vec();
        let row = vec![Value::Text("x, \"y\"".to_owned()), Value::Missing, Value::Number(-1.25, 1)];
        let table = Table { heading: String::new(), columns, rows: vec![row] };
        assert_eq!(table.csv(), "a,b,c\r\n\"x, \"\"y\"\"\",,-1.2\r\n");
        assert!(table.text(Language::German).contains("−1,2") && table.text(Language::German).contains('–'));
        assert!(table.html(Language::English).contains("x, &quot;y&quot;"));
    }

    #[test]
    fn lines_share_a_scale_and_gaps_stay_gaps() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(8.0)]), "▁ █");
        assert_eq!(sparkline_within(&[Some(1.0), Some(2.0)], (1.0, 8.0)), "▁▂");
        assert_eq!((sparkline(&[Some(3.0)]), sparkline(&[None])), ("▄".to_owned(), " ".to_owned()));
        assert_eq!(width("周一a"), 5);
    }
}

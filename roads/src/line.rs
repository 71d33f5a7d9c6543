//! Lines of lon, lat vertices: their measure, places on them, cutting them into parts.
//!
//! Upstream: the importers and the generator, which cut streets. Downstream: the builder.

use events::LonLat;

use crate::segment::SEGMENT_LENGTH_MAX_M;

/// A part of a line, and where it lies on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) line: Vec<[f64; 2]>,
    /// Metres from the begin of the whole line.
    pub(crate) begin_m: f64,
    pub(crate) length_m: f64,
}

/// Cumulative length at each vertex, metres, from 0; empty for an empty line, NaN from a vertex that is no place.
pub(crate) fn measure(line: &[[f64; 2]]) -> Vec<f64> {
    let mut total = 0.0;
    let steps = line.windows(2).map(|pair| {
        total += step_m(pair[0], pair[1]);
        total
    });
    std::iter::once(0.0).take(line.len()).chain(steps).collect()
}

/// Cuts a line into equal parts of at most [`SEGMENT_LENGTH_MAX_M`]; `along` are ascending measures of its
/// vertices, from 0 to the length that counts (which a source may state other than we measure it).
///
/// The line has at least two vertices.
pub(crate) fn cut(line: &[[f64; 2]], along: &[f64]) -> Vec<Part> {
    let total_m = along.last().copied().unwrap_or(0.0);
    let parts = (total_m / SEGMENT_LENGTH_MAX_M).ceil().max(1.0);
    let each_m = total_m / parts;
    (0..parts as u32)
        .map(|part| {
            let begin_m = f64::from(part) * each_m;
            let end_m = if f64::from(part + 1) >= parts { total_m } else { begin_m + each_m };
            let inner = along.iter().zip(line).filter(|&(&m, _)| m > begin_m && m < end_m).map(|(_, &point)| point);
            let mut piece = vec![point_at(line, along, begin_m)];
            piece.extend(inner);
            piece.push(point_at(line, along, end_m));
            Part { line: piece, begin_m, length_m: end_m - begin_m }
        })
        .collect()
}

/// The point at a measure of a line, clamped to its ends.
pub(crate) fn point_at(line: &[[f64; 2]], along: &[f64], at_m: f64) -> [f64; 2] {
    let after = along.partition_point(|&m| m < at_m);
    if after == 0 {
        return line[0];
    }
    if after >= line.len() {
        return line[line.len() - 1];
    }
    let (a, b) = (line[after - 1], line[after]);
    let share = (at_m - along[after - 1]) / (along[after] - along[after - 1]);
    if share >= 1.0 {
        // Exactly the vertex, so that two parts meet in the same bits.
        return b;
    }
    [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])]
}

fn step_m(a: [f64; 2], b: [f64; 2]) -> f64 {
    match (LonLat::new(a[0], a[1]), LonLat::new(b[0], b[1])) {
        (Ok(a), Ok(b)) => a.distance_m(b),
        // Not a place: the builder's check of the vertices says so, with its coordinates.
        (Ok(_) | Err(_), Ok(_) | Err(_)) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_short_enough_and_meet() {
        // 1,501 m of meridian with one bend point.
        let line = [[11.0, 44.0], [11.0, 44.004], [11.0, 44.0135]];
        let along = measure(&line);
        let total = along[2];
        assert!((total - 1_501.1).abs() < 0.5, "{total}");
        let parts = cut(&line, &along);
        assert_eq!(parts.len(), 4);
        for pair in parts.windows(2) {
            assert_eq!(pair[0].line.last(), pair[1].line.first());
            assert!((pair[0].begin_m + pair[0].length_m - pair[1].begin_m).abs() < 1e-9);
        }
        for part in &parts {
            assert!((part.length_m - total / 4.0).abs() < 1e-9);
            let measured = measure(&part.line);
            assert!((measured[measured.len() - 1] - part.length_m).abs() < 1e-3);
        }
        assert_eq!(parts.iter().map(|p| p.line.len()).sum::<usize>(), 9, "the bend is in one part");
        assert_eq!(parts[0].line[0], line[0]);
        assert_eq!(parts[3].line.last(), line.last());
    }

    #[test]
    fn a_short_line_stays_itself() {
        let line = [[11.0, 44.0], [11.001, 44.001], [11.002, 44.0]];
        assert_eq!(cut(&line, &measure(&line))[0].line, line);
    }
}

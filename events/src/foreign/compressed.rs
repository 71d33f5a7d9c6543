//! gzip, zstd or neither, told by the first bytes and not by the file's name.
//!
//! Upstream: an opened file. Downstream: [`super::read`], which takes the unpacked text.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// First bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Unpacked bytes are handed on in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// The unpacked contents. Several gzip members or zstd frames in a row are one text, as tools that append or
/// compress in parallel write them. A file that is cut off gives [`io::ErrorKind::UnexpectedEof`] where it ends.
///
/// # Errors
/// Reading the first bytes failed, or the zstd decoder could not be set up.
pub fn decompressed(mut input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
    (&mut input).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first.starts_with(&GZIP_MAGIC);
    let is_zstd = first.starts_with(&ZSTD_MAGIC);
    let whole = Cursor::new(first).chain(input);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(PIECE_BYTES, MultiGzDecoder::new(whole)))
    } else if is_zstd {
        Box::new(BufReader::with_capacity(PIECE_BYTES, zstd::stream::read::Decoder::with_buffer(whole)?))
    } else {
        Box::new(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpacked(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        decompressed(Box::new(Cursor::new(bytes)))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn each_packing_gives_the_same_text_and_members_are_joined() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert_eq!(unpacked([gzip("one "), gzip("two")].concat()).unwrap(), "one two");
        assert_eq!(unpacked([zstd("one "), zstd("two")].concat()).unwrap(), "one two");
        for plain in ["", "a", "id,lon\n", "\u{1f}"] {
            assert_eq!(unpacked(plain.into()).unwrap(), plain);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error_and_not_a_short_text() {
        let text = "a line that compresses badly: 8f3k2n59sm10zq7\n".repeat(3);
        for packed in [gzip(&text), zstd::encode_all(text.as_bytes(), 1).unwrap()] {
            let cut = packed[..packed.len() - 9].to_vec();
            assert_eq!(unpacked(cut).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn the_first_bytes_may_come_one_by_one() {
        struct Trickle(Cursor<Vec<u8>>);
        impl Read for Trickle {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let one = buffer.len().min(1);
                self.0.read(&mut buffer[..one])
            }
        }
        let slow = BufReader::with_capacity(1, Trickle(Cursor::new(gzip("slowly"))));
        let mut text = String::new();
        decompressed(Box::new(slow)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "slowly");
    }
}

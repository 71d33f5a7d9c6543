//! The blocks of an extract: their framing, and decoding several at once while the order stays that of the file.
//!
//! Upstream: a .osm.pbf file. Downstream: [`super`]. Format: OSM wiki, "PBF Format".

use std::fs::File;
use std::io::{BufReader, SeekFrom};
use std::path::Path;

use osmpbf::{Blob, BlobDecode, BlobReader, BlobType, ByteOffset, Element, PrimitiveBlock};
use rayon::prelude::*;

use crate::import::{ImportError, Progress, Stage};

/// Most blocks that are decoded at once. A block is at most 32 MB unpacked (OSM wiki, "PBF Format"), in practice 1 to
/// 4 MB with all its objects, so this bounds the memory of decoding whatever the size of the file.
const BATCH: usize = 8;

/// An extract whose blocks can be read in any order.
pub(super) struct Blocks<'a> {
    path: &'a Path,
    reader: BlobReader<BufReader<File>>,
    /// Where each data block begins, in the order of the file, and how large it is.
    data: Vec<(ByteOffset, u64)>,
    /// West, south, east, north, degrees, as the header states it.
    pub(super) bbox: Option<[f64; 4]>,
    /// The header says that nodes come before ways, and ways before relations.
    pub(super) says_sorted: bool,
}

impl<'a> Blocks<'a> {
    /// Walks over the headers of all blocks: a file that was cut off between two blocks would else pass for a smaller
    /// one, with its last streets missing.
    pub(super) fn open(path: &'a Path) -> Result<Self, ImportError> {
        // A block's header is 15 to 30 bytes; fewer than this at the end of the file are a part of one.
        const HEADER_BYTES: u64 = 64;
        let io = |error| ImportError::Io { path: path.to_owned(), error };
        let broken = |error: osmpbf::Error| ImportError::Damaged { path: path.to_owned(), what: error.to_string() };
        let file_bytes = std::fs::metadata(path).map_err(io)?.len();
        let mut reader = BlobReader::seekable_from_path(path).map_err(broken)?;
        let mut data = Vec::new();
        let mut header_at = None;
        let mut at = 0;
        while let Some(block) = reader.next_header_skip_blob() {
            let begin = ByteOffset(at);
            let header = match block {
                Ok((header, _)) if header.get_blob_size() >= 0 => header,
                Err(_) if file_bytes - at < HEADER_BYTES => break,
                Ok(_) => {
                    let what = format!("the block at byte {at} has a negative length");
                    return Err(ImportError::Damaged { path: path.to_owned(), what });
                }
                Err(error) => return Err(broken(error)),
            };
            at = reader.seek_raw(SeekFrom::Current(0)).map_err(broken)?;
            if at > file_bytes {
                break;
            }
            match header.blob_type() {
                BlobType::OsmData => data.push((begin, at - begin.0)),
                BlobType::OsmHeader => header_at = header_at.or(Some(begin)),
                BlobType::Unknown(_) => {}
            }
        }
        if at != file_bytes {
            return Err(ImportError::Truncated { path: path.to_owned() });
        }
        let mut blocks = Self { path, reader, data, bbox: None, says_sorted: false };
        if let Some(begin) = header_at {
            let header = blocks.blob(begin)?.to_headerblock().map_err(|error| blocks.broken(&error))?;
            blocks.says_sorted = header.optional_features().iter().any(|feature| feature == "Sort.Type_then_ID");
            // An empty box is none.
            let bbox = header.bbox().map(|b| [b.left, b.bottom, b.right, b.top]);
            blocks.bbox = bbox.filter(|[west, south, east, north]| west < east && south < north);
        }
        Ok(blocks)
    }

    /// How many data blocks there are.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// The first block that holds more than nodes, found by halving; 0 in a file that does not claim to be sorted.
    pub(super) fn first_beyond_nodes(&mut self) -> Result<usize, ImportError> {
        let (mut low, mut high) = (0, if self.says_sorted { self.len() } else { 0 });
        while low < high {
            let middle = usize::midpoint(low, high);
            let block = self.blob(self.data[middle].0)?.to_primitiveblock();
            let block = block.map_err(|error| self.broken(&error))?;
            if has_more_than_nodes(&block) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// Decodes blocks, several at once, and hands what `map` makes of each to `take`, in the order of the file.
    pub(super) fn each<T: Send>(
        &mut self,
        wanted: impl Iterator<Item = usize>,
        stage: Stage,
        progress: &mut dyn FnMut(Progress),
        map: impl Fn(&PrimitiveBlock) -> T + Sync,
        mut take: impl FnMut(usize, T),
    ) -> Result<(), ImportError> {
        let wanted: Vec<usize> = wanted.collect();
        let total = wanted.iter().map(|&i| self.data[i].1).sum();
        let mut done = 0;
        for batch in wanted.chunks(BATCH) {
            let blobs = batch.iter().map(|&i| self.blob(self.data[i].0)).collect::<Result<Vec<Blob>, _>>()?;
            let made: Vec<_> = blobs
                .par_iter()
                .map(|blob| match blob.decode()? {
                    BlobDecode::OsmData(block) => Ok(Some(map(&block))),
                    BlobDecode::OsmHeader(_) | BlobDecode::Unknown(_) => Ok(None),
                })
                .collect();
            for (&i, made) in batch.iter().zip(made) {
                if let Some(made) = made.map_err(|error: osmpbf::Error| self.broken(&error))? {
                    take(i, made);
                }
                done += self.data[i].1;
            }
            progress(Progress { stage, done, total });
        }
        Ok(())
    }

    fn blob(&mut self, begin: ByteOffset) -> Result<Blob, ImportError> {
        self.reader.blob_from_offset(begin).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &osmpbf::Error) -> ImportError {
        ImportError::Damaged { path: self.path.to_owned(), what: error.to_string() }
    }
}

/// Whether there is a way or a relation in a block.
pub(super) fn has_more_than_nodes(block: &PrimitiveBlock) -> bool {
    block.groups().any(|group| group.ways().next().is_some() || group.relations().next().is_some())
}

/// Every node of a block: id, lon and lat in 1e-7 degrees.
pub(super) fn each_node(block: &PrimitiveBlock, mut take: impl FnMut(i64, [i32; 2])) {
    block.for_each_element(|element| match element {
        Element::DenseNode(node) => take(node.id(), [node.decimicro_lon(), node.decimicro_lat()]),
        Element::Node(node) => take(node.id(), [node.decimicro_lon(), node.decimicro_lat()]),
        Element::Way(_) | Element::Relation(_) => {}
    });
}

/// Whether there is a node in a block.
pub(super) fn has_nodes(block: &PrimitiveBlock) -> bool {
    block.groups().any(|group| group.nodes().next().is_some() || group.dense_nodes().next().is_some())
}

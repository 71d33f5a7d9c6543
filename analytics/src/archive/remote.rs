//! Object storage as the place of an archive.
//!
//! The folder on this machine stays what is true: minutes are added to it, durably, and it is compacted. What it lists is
//! then put into the bucket, file by file, then the manifest, and what is no longer listed is removed last; each of these
//! can be done twice, so a crash or a storage that is down costs nothing but time. The folder keeps what the bucket does
//! not have, and what a day's compaction still needs; the rest is removed here once it is there. Who reads the bucket
//! finds the same folders, files and manifest. One writer a prefix; the storage gives no lock, so this is for the operator
//! to keep.
//!
//! Upstream: [`super::recorder`]. Downstream: any storage that speaks the S3 protocol.

use std::fs;
use std::str::FromStr;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, ObjectStoreExt, PutPayload, RetryConfig};
use tokio::runtime::Runtime;

use super::error::ArchiveError;
use super::manifest::{self, Entry, Manifest};
use super::place::Access;
use super::store::Archive;
use super::table::{DAY_MS, Table, escaped};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Files are kept here for so long behind the newest minute: until a day's cells are added up.
const KEPT_HERE_MS: i64 = 2 * DAY_MS;

/// A bucket with a prefix.
pub struct Remote {
    store: AmazonS3,
    prefix: String,
    shown: String,
    runtime: Runtime,
    /// Checksum of the segments that were put last, by city.
    segments: std::collections::BTreeMap<String, u32>,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    pub put: u64,
    pub put_bytes: u64,
    pub removed: u64,
}

impl Remote {
    /// Opens a bucket; nothing is sent yet.
    ///
    /// # Errors
    /// A sentence when the settings are not enough, or the endpoint is not safe.
    pub fn open(bucket: &str, prefix: &str, access: &Access) -> Result<Self, ArchiveError> {
        let shown = format!("s3://{bucket}/{prefix}");
        let failed = |cause: &dyn std::fmt::Display| ArchiveError::Remote {
            text: format!("cannot open {shown}"),
            cause: cause.to_string(),
        };
        let retry = RetryConfig { max_retries: 1, retry_timeout: TIMEOUT, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
        for (name, value) in access.settings() {
            let Ok(key) = AmazonS3ConfigKey::from_str(name) else { continue };
            if matches!(key, AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint) {
                access.permits(value)?;
            }
            builder = builder.with_config(key, value);
        }
        // Whether plain HTTP is permitted was decided above.
        let client = ClientOptions::new().with_allow_http(true).with_timeout(TIMEOUT);
        let store = builder.with_client_options(client).build().map_err(|cause| failed(&cause))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
        Ok(Self { store, prefix: prefix.to_owned(), shown, runtime, segments: std::collections::BTreeMap::new() })
    }

    /// The bucket's manifest; `None` when it has none.
    ///
    /// # Errors
    /// [`ArchiveError`] when the storage does not answer as it should.
    pub fn manifest(&self) -> Result<Option<Manifest>, ArchiveError> {
        match self.get(manifest::NAME)? {
            Some(bytes) => Manifest::parse(&bytes, std::path::Path::new(&self.shown)).map(Some),
            None => Ok(None),
        }
    }

    /// One file of the bucket; `None` when it is not there.
    ///
    /// # Errors
    /// [`ArchiveError`] when the storage does not answer as it should.
    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let at = self.at(path);
        let got = self.runtime.block_on(async { self.store.get(&at).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed("read", path, &cause)),
        }
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let at = self.at(path);
        let put = self.runtime.block_on(self.store.put(&at, PutPayload::from(bytes)));
        put.map(|_| ()).map_err(|cause| self.failed("write", path, &cause))
    }

    fn remove(&self, path: &str) -> Result<(), ArchiveError> {
        match self.runtime.block_on(self.store.delete(&self.at(path))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("remove", path, &cause)),
        }
    }

    fn at(&self, path: &str) -> ObjectPath {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        // Names of ours have no character that would be written otherwise, so that keys are the paths of the manifest.
        ObjectPath::parse(&whole).unwrap_or_else(|_| ObjectPath::from(whole))
    }

    fn failed(&self, action: &str, path: &str, cause: &object_store::Error) -> ArchiveError {
        ArchiveError::Remote { text: format!("cannot {action} {path} in {}", self.shown), cause: cause.to_string() }
    }
}

impl Archive {
    /// Takes over what a bucket lists, where this folder is new: its files are there and not here.
    ///
    /// # Errors
    /// [`ArchiveError`] when the storage does not answer as it should.
    pub fn take_over(&mut self, remote: &Remote) -> Result<(), ArchiveError> {
        if !self.manifest().files.is_empty() {
            return Ok(());
        }
        let Some(mut theirs) = remote.manifest()? else { return Ok(()) };
        theirs.files.iter_mut().for_each(|file| (file.is_here, file.is_remote) = (false, true));
        self.begin()?;
        self.swap(theirs)?;
        self.end();
        Ok(())
    }

    /// Brings the bucket to what this folder lists.
    ///
    /// # Errors
    /// [`ArchiveError`]: what was put stays, and the rest follows at the next attempt.
    pub fn sync(&mut self, remote: &mut Remote) -> Result<Synced, ArchiveError> {
        let mut synced = Synced::default();
        for city in self.manifest().cities() {
            let path = super::segments::path(self.root(), &city);
            let Ok(bytes) = fs::read(&path) else { continue };
            let checksum = crc32fast::hash(&bytes);
            if remote.segments.get(&city) != Some(&checksum) {
                remote.put(&format!("segments/city={}/segments.parquet", escaped(&city)), bytes)?;
                remote.segments.insert(city, checksum);
            }
        }
        let is_new = |file: &&Entry| !file.is_remote;
        let new: Vec<Entry> = self.manifest().files.iter().filter(is_new).cloned().collect();
        let doomed = self.manifest().doomed.clone();
        if new.is_empty() && doomed.is_empty() {
            return Ok(synced);
        }
        for file in &new {
            let path = self.root().join(&file.path);
            let bytes = fs::read(&path).map_err(|cause| ArchiveError::io("read", &path, cause))?;
            synced.put += 1;
            synced.put_bytes += bytes.len() as u64;
            remote.put(&file.path, bytes)?;
        }
        let mut next = self.manifest().clone();
        for file in &mut next.files {
            file.is_remote = true;
        }
        next.doomed.clear();
        let mut told = next.clone();
        told.files.iter_mut().for_each(|file| (file.is_here, file.is_remote) = (true, false));
        remote.put(manifest::NAME, told.encode())?;
        for path in &doomed {
            remote.remove(path)?;
            synced.removed += 1;
        }
        self.begin()?;
        self.swap(next)?;
        self.end();
        Ok(synced)
    }

    /// Removes here what the bucket has and no compaction needs any more; how many files.
    ///
    /// # Errors
    /// [`ArchiveError`] of the folder.
    pub fn make_room(&mut self) -> Result<u64, ArchiveError> {
        let newest_ms = self.manifest().files.iter().map(Entry::to_ms).max().unwrap_or(i64::MIN);
        let mut next = self.manifest().clone();
        let mut gone = Vec::new();
        for file in &mut next.files {
            let is_old = file.to_ms() < newest_ms.saturating_sub(KEPT_HERE_MS);
            if file.is_here && file.is_remote && is_old {
                file.is_here = false;
                gone.push(file.path.clone());
            }
        }
        if gone.is_empty() {
            return Ok(0);
        }
        self.begin()?;
        self.swap(next)?;
        for path in &gone {
            self.drop_file(path)?;
        }
        self.end();
        Ok(gone.len() as u64)
    }

    /// Brings files here that a compaction needs.
    ///
    /// # Errors
    /// [`ArchiveError`] when one is not where the manifest says.
    pub fn fetch(&mut self, remote: &Remote, paths: &[String]) -> Result<(), ArchiveError> {
        let is_wanted = |file: &Entry| !file.is_here && paths.contains(&file.path);
        let wanted: Vec<Entry> = self.manifest().files.iter().filter(|file| is_wanted(file)).cloned().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let mut next = self.manifest().clone();
        for file in wanted {
            let lost = || ArchiveError::Place(format!("{} is listed and not in {}", file.path, remote.shown));
            let bytes = remote.get(&file.path)?.ok_or_else(lost)?;
            let (path, aside) = (self.root().join(&file.path), self.aside(file.table, &file.city, file.from_ms()));
            let out = self.disk.create(&aside)?;
            std::io::Write::write_all(&mut &out, &bytes).map_err(|cause| ArchiveError::io("write", &aside, cause))?;
            self.disk.place(&out, &aside, &path)?;
            next.files.iter_mut().filter(|entry| entry.path == file.path).for_each(|entry| entry.is_here = true);
        }
        self.swap(next)?;
        self.end();
        Ok(())
    }

    /// Bytes of the files that the bucket does not have.
    pub fn waiting(&self) -> (u64, u64) {
        let waiting = || self.manifest().files.iter().filter(|file| !file.is_remote);
        (waiting().count() as u64, waiting().map(|file| file.bytes).sum())
    }

    /// Gives up the oldest files that the bucket does not have, until they are at most so many bytes; the rows that are
    /// lost by it.
    ///
    /// # Errors
    /// [`ArchiveError`] of the folder.
    pub fn give_up_waiting(&mut self, bytes_max: u64) -> Result<u64, ArchiveError> {
        let (_, mut bytes) = self.waiting();
        let mut waiting: Vec<&Entry> = self.manifest().files.iter().filter(|file| !file.is_remote).collect();
        waiting.sort_by_key(|file| (file.table == Table::Cells5Min, file.to_ms()));
        let (mut gone, mut rows) = (Vec::new(), 0);
        for file in waiting {
            if bytes <= bytes_max {
                break;
            }
            bytes -= file.bytes;
            rows += file.rows;
            gone.push(file.path.clone());
        }
        if !gone.is_empty() {
            self.begin()?;
            self.replace(&gone, Vec::new())?;
            self.end();
        }
        Ok(rows)
    }
}

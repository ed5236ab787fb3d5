//! Bodies in temporary files: for collections beyond what the cache may hold.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::coding::Coding;
use super::each::Each;
use super::manifest::Manifest;
use super::segment::Form;

/// The last body of each form and coding, with the state that it is.
pub(super) type LastBodies = HashMap<(Form, Coding), (Arc<Manifest>, SpooledBody)>;

/// How many bytes all temporary files may have together, and how many they have.
#[derive(Debug)]
pub struct Spool {
    limit: u64,
    used: AtomicU64,
    /// One is written at a time. The last one of each form and coding is kept: it serves all who came before
    /// it was begun.
    pub(super) last: tokio::sync::Mutex<LastBodies>,
    /// The fewest movies that were seen to be too heavy for the cache.
    pub(super) outgrown: Each<AtomicU64>,
}

/// A body in a temporary file without a name. Its readers share it; the last one frees its room.
#[derive(Debug, Clone)]
pub struct SpooledBody {
    shared: Arc<Spooled>,
}

#[derive(Debug)]
struct Spooled {
    file: File,
    len: u64,
    spool: Arc<Spool>,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.len, Ordering::Relaxed);
    }
}

impl SpooledBody {
    /// The file, to be read at any offset.
    pub fn file(&self) -> &File {
        &self.shared.file
    }

    /// Its length in bytes.
    pub fn total_len(&self) -> u64 {
        self.shared.len
    }
}

/// Why a body could not be written.
#[derive(Debug)]
pub enum SpoolError {
    /// Beyond the limit of all files together.
    Full,
    /// The directory for temporary files does not take it.
    Io(std::io::Error),
}

impl Spool {
    /// No files yet; at most `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            last: tokio::sync::Mutex::default(),
            outgrown: Each::new([const { AtomicU64::new(u64::MAX) }; 6]),
        })
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When none can be made.
    pub fn begin(self: &Arc<Self>) -> Result<SpoolWriter, SpoolError> {
        let file = tempfile::tempfile().map_err(SpoolError::Io)?;
        Ok(SpoolWriter {
            file: Some(BufWriter::with_capacity(1 << 20, file)),
            len: 0,
            spool: Arc::clone(self),
        })
    }
}

/// A file that is being written. Dropped, it is gone.
#[derive(Debug)]
pub struct SpoolWriter {
    file: Option<BufWriter<File>>,
    len: u64,
    spool: Arc<Spool>,
}

impl SpoolWriter {
    /// Writes the next bytes; blocks on the disk.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn write(&mut self, bytes: &Bytes) -> Result<(), SpoolError> {
        let more = bytes.len() as u64;
        let used = self.spool.used.fetch_add(more, Ordering::Relaxed) + more;
        self.len += more;
        if used > self.spool.limit {
            return Err(SpoolError::Full);
        }
        match self.file.as_mut() {
            Some(file) => file.write_all(bytes).map_err(SpoolError::Io),
            None => Ok(()),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When what is buffered cannot be written.
    pub fn finish(mut self) -> Result<SpooledBody, SpoolError> {
        let Some(file) = self.file.take() else {
            return Err(SpoolError::Full);
        };
        let file = match file.into_inner() {
            Ok(file) => file,
            Err(error) => return Err(SpoolError::Io(error.into_error())),
        };
        // The room is the body's from here on.
        let len = std::mem::take(&mut self.len);
        Ok(SpooledBody { shared: Arc::new(Spooled { file, len, spool: Arc::clone(&self.spool) }) })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn room_is_given_back_by_writers_and_readers() {
        let spool = Spool::new(10);
        let mut writer = spool.begin().unwrap();
        writer.write(&Bytes::from_static(b"12345678")).unwrap();
        assert!(matches!(spool.begin().unwrap().write(&Bytes::from_static(b"123")), Err(SpoolError::Full)));
        let body = writer.finish().unwrap();
        let mut read = [0; 3];
        body.file().read_exact_at(&mut read, 2).unwrap();
        assert_eq!((&read, body.total_len()), (b"345", 8));
        drop(body);
        assert_eq!(spool.used.load(Ordering::Relaxed), 0);
    }
}

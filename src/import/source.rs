//! Where bytes come from: files and standard input, gzipped or plain, with or without a byte order mark.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// How much is read at once, before and after unpacking.
const BUFFER: usize = 128 * 1024;
const GZIP: &[u8] = &[0x1f, 0x8b];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// Bytes of text, unpacked and without a byte order mark.
pub(super) type Text = Box<dyn BufRead + Send>;

/// An input by its name on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`
    Stdin,
    /// A path.
    File(PathBuf),
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }
}

impl Source {
    /// What it is called in messages and rejects.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Opens it; `consumed` counts the bytes as they lie in the file. The size is that of a regular file.
    pub(super) fn open(&self, consumed: Arc<AtomicU64>) -> io::Result<(Text, Option<u64>)> {
        match self {
            Self::Stdin => Ok((text(Counted { inner: io::stdin(), consumed })?, None)),
            Self::File(path) => {
                let file = File::open(path)?;
                let about = file.metadata()?;
                if about.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
                }
                let size = about.is_file().then_some(about.len());
                Ok((text(Counted { inner: file, consumed })?, size))
            }
        }
    }
}

/// Unpacks `raw` when it begins as gzip does, and takes a byte order mark away.
pub(super) fn text(raw: impl Read + Send + 'static) -> io::Result<Text> {
    let (head, raw) = peeked(BufReader::with_capacity(BUFFER, raw), 2)?;
    let unpacked: Text = if head == GZIP {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    };
    let (head, mut text) = peeked(unpacked, 3)?;
    if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "is UTF-16: convert it to UTF-8 first"));
    }
    if head == UTF8_MARK {
        text.consume(UTF8_MARK.len());
    }
    Ok(Box::new(text))
}

/// The first `count` bytes, and everything again from the first on.
fn peeked<R: BufRead>(mut from: R, count: u64) -> io::Result<(Vec<u8>, impl BufRead + use<R>)> {
    let mut head = Vec::new();
    from.by_ref().take(count).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(from)))
}

struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What is told of a read that failed.
pub(super) fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gzip data end too soon".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("the data are damaged ({error})")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        text(Cursor::new(bytes))?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn plain_and_packed_and_marked_read_the_same() {
        assert_eq!(read(b"abc".to_vec()).unwrap(), b"abc");
        assert_eq!(read(b"\xef\xbb\xbfabc".to_vec()).unwrap(), b"abc");
        assert_eq!(read(packed(b"\xef\xbb\xbfabc")).unwrap(), b"abc");
        assert_eq!(read([packed(b"ab"), packed(b""), packed(b"c")].concat()).unwrap(), b"abc");
        for short in ["", "a", "ab"] {
            assert_eq!(read(short.as_bytes().to_vec()).unwrap(), short.as_bytes());
        }
    }

    #[test]
    fn a_packed_file_that_breaks_off_is_an_error_and_not_its_end() {
        let whole = packed(&[b'x'; 1000]);
        for length in 3..whole.len() {
            assert!(read(whole[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn utf16_is_named() {
        assert!(read(b"\xff\xfea\0".to_vec()).unwrap_err().to_string().contains("UTF-16"));
    }
}

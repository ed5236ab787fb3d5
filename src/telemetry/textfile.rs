//! Metrics of a process that nobody can scrape, as a file: for the textfile collector of node_exporter.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prometheus_client::registry::Registry;
use tempfile::NamedTempFile;

use super::exposition::{Format, told};

/// A file that is there whole or as it was before: it is written beside its place, and put there.
#[derive(Debug)]
pub struct TextFile {
    path: PathBuf,
    beside: NamedTempFile,
}

impl TextFile {
    /// Makes sure that `path` can be written to, before there is anything to write.
    ///
    /// # Errors
    /// When its folder is not there or may not be written to.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Not under a name that the collector would read.
        let beside = tempfile::Builder::new().prefix(".marquee-").suffix(".tmp").tempfile_in(folder)?;
        Ok(Self { path: path.to_owned(), beside })
    }

    /// Puts everything in `registry` into the file, which others may read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(mut self, registry: &Registry) -> io::Result<()> {
        let text = told(registry, Format::Prometheus).map_err(io::Error::other)?;
        self.beside.write_all(text.as_bytes())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.beside.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        self.beside.as_file().sync_all()?;
        self.beside.persist(&self.path)?;
        Ok(())
    }
}

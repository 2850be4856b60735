//! Envelope bodies on the disk: append-only files of records with length and checksum.
//! `spec/storage-server.md`, section Segments.
//!
//! A file is written by one run of the process only; after a restart a new one is begun. So a torn tail stays where it is,
//! and no record refers to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First bytes of a segment file; its number follows.
const MAGIC: &[u8; 8] = b"MPSEGM\x00\x01";
const HEADER_LENGTH: u64 = 16;
const RECORD_HEADER_LENGTH: u64 = 8;
const EXTENSION: &str = "segment";
/// The disk cannot read or write something: errno 5 on every Unix.
const EIO: i32 = 5;

/// Where a body lies, and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyReference {
    /// The number of the segment.
    pub(super) segment: u64,
    /// Of the record in the file, in bytes.
    pub(super) offset: u64,
    /// Of the body, in bytes.
    pub(super) length: u32,
    /// CRC-32 of the body.
    pub(super) checksum: u32,
}

/// Appends bodies. They are on the disk after [`SegmentWriter::sync`], not before.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    directory: PathBuf,
    segment_bytes: u64,
    next: u64,
    current: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    number: u64,
    file: File,
    /// Bytes in the file.
    length: u64,
    /// Bytes that come behind them with the next sync.
    pending: Vec<u8>,
}

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The segment file is not there.
    Gone,
    /// What is there is not what was stored.
    Corrupt,
    /// Reading failed, for a reason other than the disk itself.
    Io(io::Error),
}

/// Why a body was not added.
#[derive(Debug)]
pub(super) enum AppendError {
    /// No new file could be made. Nothing has changed; the next try makes it anew.
    NotBegun(io::Error),
    /// Writing or syncing failed.
    Io(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl SegmentWriter {
    /// A writer whose first segment has the number `next`, above those of all files there are.
    pub(super) fn new(directory: PathBuf, segment_bytes: u64, next: u64) -> Self {
        Self { directory, segment_bytes, next, current: None }
    }

    /// A writer in the middle of a segment that is this file, whatever it is.
    #[cfg(test)]
    pub(super) fn within(directory: PathBuf, file: File) -> Self {
        let current = OpenSegment { number: 1, file, length: 0, pending: Vec::new() };
        Self { directory, segment_bytes: u64::MAX, next: 2, current: Some(current) }
    }

    /// The segment that is being written, which must not be deleted.
    pub(super) fn current(&self) -> Option<u64> {
        self.current.as_ref().map(|segment| segment.number)
    }

    /// Adds a body.
    pub(super) fn append(&mut self, body: &[u8]) -> Result<BodyReference, AppendError> {
        let length = u32::try_from(body.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let checksum = crc32fast::hash(body);
        let segment = self.room()?;
        let offset = segment.length + segment.pending.len() as u64;
        segment.pending.extend_from_slice(&length.to_be_bytes());
        segment.pending.extend_from_slice(&checksum.to_be_bytes());
        segment.pending.extend_from_slice(body);
        Ok(BodyReference { segment: segment.number, offset, length, checksum })
    }

    /// Puts what was added on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &mut self.current {
            Some(segment) => segment.sync(),
            None => Ok(()),
        }
    }

    /// A segment that takes another body.
    fn room(&mut self) -> Result<&mut OpenSegment, AppendError> {
        let full = |segment: &OpenSegment| segment.length + segment.pending.len() as u64 >= self.segment_bytes;
        if self.current.as_ref().is_none_or(full) {
            if let Some(mut segment) = self.current.take() {
                segment.sync()?;
            }
            let number = self.next;
            let file = OpenOptions::new().write(true).create_new(true).open(path(&self.directory, number));
            let file = file.map_err(AppendError::NotBegun)?;
            sync_directory(&self.directory)?;
            self.next += 1;
            let mut pending = MAGIC.to_vec();
            pending.extend_from_slice(&number.to_be_bytes());
            return Ok(self.current.insert(OpenSegment { number, file, length: 0, pending }));
        }
        self.current.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }
}

impl OpenSegment {
    fn sync(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.pending)?;
        self.file.sync_data()?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Reads bodies; keeps the file of the last one open.
#[derive(Debug)]
pub(super) struct SegmentReader<'a> {
    directory: &'a Path,
    open: Option<(u64, File)>,
}

impl<'a> SegmentReader<'a> {
    /// A reader of the segments in a directory.
    pub(super) fn new(directory: &'a Path) -> Self {
        Self { directory, open: None }
    }

    /// The body, if it is what was stored.
    pub(super) fn read(&mut self, reference: BodyReference) -> Result<Vec<u8>, BodyError> {
        let file = match self.open.take() {
            Some((number, file)) if number == reference.segment => file,
            _ => self.open_segment(reference.segment)?,
        };
        let (_, file) = self.open.insert((reference.segment, file));
        file.seek(SeekFrom::Start(reference.offset)).map_err(BodyError::Io)?;
        let mut header = [0; RECORD_HEADER_LENGTH as usize];
        fill(file, &mut header)?;
        let mut expected = reference.length.to_be_bytes().to_vec();
        expected.extend_from_slice(&reference.checksum.to_be_bytes());
        // Compared before the length is trusted for an allocation.
        if header[..] != expected[..] {
            return Err(BodyError::Corrupt);
        }
        let mut body = vec![0; reference.length as usize];
        fill(file, &mut body)?;
        if crc32fast::hash(&body) == reference.checksum { Ok(body) } else { Err(BodyError::Corrupt) }
    }

    fn open_segment(&self, number: u64) -> Result<File, BodyError> {
        let mut file = File::open(path(self.directory, number)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BodyError::Gone,
            _ => BodyError::Io(error),
        })?;
        let mut header = [0; HEADER_LENGTH as usize];
        fill(&mut file, &mut header)?;
        let good = header[..8] == MAGIC[..] && header[8..] == number.to_be_bytes();
        if good { Ok(file) } else { Err(BodyError::Corrupt) }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> Result<(), BodyError> {
    file.read_exact(buffer).map_err(|error| match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::UnexpectedEof, _) => BodyError::Corrupt,
        // The disk has lost it. That concerns this body and no other.
        (_, Some(EIO)) => {
            tracing::error!(%error, "a segment cannot be read");
            BodyError::Corrupt
        }
        _ => BodyError::Io(error),
    })
}

/// The numbers of the segment files in a directory.
pub(super) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let number =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| u64::from_str_radix(stem, 16).ok());
            numbers.extend(number);
        }
    }
    Ok(numbers)
}

/// Deletes a segment file in which nothing is left. That it is gone need not survive a power failure: the next start
/// finds it empty again.
pub(super) fn delete(directory: &Path, number: u64) -> io::Result<()> {
    match fs::remove_file(path(directory, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Puts the entries of a directory on the disk.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.{EXTENSION}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_back_over_several_segments() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(directory.path().into(), 100, 5);
        let bodies: Vec<Vec<u8>> = (0..10u8).map(|byte| vec![byte; 30 + usize::from(byte)]).collect();
        let references: Vec<_> = bodies.iter().map(|body| writer.append(body).unwrap()).collect();
        writer.sync().unwrap();
        let mut reader = SegmentReader::new(directory.path());
        for (body, reference) in bodies.iter().zip(&references) {
            assert_eq!(&reader.read(*reference).unwrap(), body);
        }
        let mut numbers = list(directory.path()).unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, (5..=writer.current().unwrap()).collect::<Vec<_>>());
        assert!(numbers.len() > 2);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(directory.path().into(), 1 << 20, 1);
        let reference = writer.append(&[7; 40]).unwrap();
        writer.sync().unwrap();
        let file = path(directory.path(), 1);
        let good = fs::read(&file).unwrap();
        let read = || SegmentReader::new(directory.path()).read(reference);
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&file, bad).unwrap();
            assert!(matches!(read(), Err(BodyError::Corrupt)), "byte {position}");
            fs::write(&file, &good[..position]).unwrap();
            assert!(matches!(read(), Err(BodyError::Corrupt)), "cut at {position}");
        }
        fs::remove_file(&file).unwrap();
        assert!(matches!(read(), Err(BodyError::Gone)));
    }
}

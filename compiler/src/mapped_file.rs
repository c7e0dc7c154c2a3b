//! Read-only memory maps, so that weights are paged in when they are read and never copied.
//!
//! The one `unsafe` of this crate. Nothing here knows what the bytes mean.

#![allow(unsafe_code, reason = "memory maps have no safe constructor")]

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

/// Maps a whole file for as long as any slice of the result lives.
///
/// # Errors
/// Whatever the operating system says on opening and mapping; a path that is not a regular file.
pub(crate) fn map_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if meta.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is private and never written through. The bytes are only ever read as plain integers, for which every bit
    // pattern is valid; somebody who truncates a model while it is read takes a SIGBUS, as with every tool that maps its input.
    let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file)? };
    Ok(Bytes::from_owner(map))
}

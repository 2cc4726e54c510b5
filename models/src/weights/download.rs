//! Downloads weights into the cache. A download that broke off continues where it stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Card, PretrainedError, sha256};

/// Waits this long for a connection, and for the beginning of an answer.
const CONNECT: Duration = Duration::from_secs(10);
/// A slow server still sends so many bytes a second.
const SLOWEST: u64 = 50_000;

/// Fetches `{address}/{file of the card}` to this path, unless it is there.
pub(super) fn fetch(card: &Card, address: &str, path: &Path) -> Result<(), PretrainedError> {
    let url = format!("{}/{}", address.trim_end_matches('/'), card.file);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    // Another process that downloads is waited for. Not every file system has locks: what comes of two is seen by the hash.
    let lock = folder.join(".lock");
    let lock = File::create(&lock).map_err(io_error(&lock))?;
    let _ = lock.lock();
    if path.exists() {
        return Ok(());
    }
    let part = path.with_added_extension("part");
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&part).map_err(io_error(&part))?;
    receive(card, &url, &mut file, &part)?;
    let found = sha256(&fs::read(&part).map_err(io_error(&part))?);
    if found != card.sha256 {
        // Nothing of it can be used.
        let _ = fs::remove_file(&part);
        let (path, expected) = (PathBuf::from(url), card.sha256.clone());
        return Err(PretrainedError::Checksum {
            path,
            found,
            expected,
        });
    }
    file.sync_all().map_err(io_error(&part))?;
    fs::rename(&part, path).map_err(io_error(path))
}

/// Appends what is missing.
fn receive(card: &Card, url: &str, file: &mut File, part: &Path) -> Result<(), PretrainedError> {
    let failed = |reason: String| PretrainedError::Download {
        url: url.to_owned(),
        reason,
    };
    let on_disk = io_error(part);
    let mut have = file.metadata().map_err(&on_disk)?.len();
    if have == card.bytes {
        return Ok(());
    }
    if have > card.bytes {
        file.set_len(0).map_err(&on_disk)?;
        have = 0;
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(CONNECT))
        .timeout_recv_body(Some(Duration::from_secs(60 + card.bytes / SLOWEST)))
        .user_agent(concat!("synfire/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    // Bytes are counted as they are in the file.
    let mut request = agent.get(url).header("Accept-Encoding", "identity");
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = match request.call() {
        Ok(response) => response,
        Err(error) => {
            if matches!(error, ureq::Error::StatusCode(416)) {
                // There is nothing there to continue with: the next one begins anew.
                file.set_len(0).map_err(&on_disk)?;
            }
            return Err(failed(error.to_string()));
        }
    };
    if have > 0 && !continues(&response, have) {
        // The server sends all of it.
        file.set_len(0).map_err(&on_disk)?;
        have = 0;
    }
    let expected = card.bytes - have;
    if let Some(length) = response.body().content_length()
        && length != expected
    {
        return Err(failed(format!("{length} bytes, expected {expected}")));
    }
    file.seek(io::SeekFrom::Start(have)).map_err(&on_disk)?;
    // One byte more than there should be shows that it is another file.
    let mut body = response.body_mut().as_reader().take(card.bytes - have + 1);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match body.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|error| {
                failed(format!(
                    "the download broke off: {error}; the next one continues it"
                ))
            })?,
        };
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(&on_disk)?;
        have += read as u64;
    }
    match have < card.bytes {
        true => Err(failed(format!(
            "the download ended after {have} of {} bytes; the next one continues it",
            card.bytes
        ))),
        false => Ok(()),
    }
}

/// True if the answer begins with the byte that was asked for.
fn continues(response: &ureq::http::Response<ureq::Body>, from: u64) -> bool {
    let range = response.headers().get("Content-Range");
    let range = range.and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
    response.status() == 206 && first == Some(&from.to_string())
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> PretrainedError {
    move |source| PretrainedError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::card;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::thread;

    /// How a server answers one request.
    #[derive(Clone, Copy)]
    enum Answer {
        /// All that is asked for.
        Range,
        /// The whole file.
        Whole,
        /// The first bytes, then the connection breaks.
        First(usize),
        /// Another file of the same length.
        Other,
        NotFound,
    }

    /// Serves a file, with one answer for each request. Returns the address, and the ranges that were asked for.
    fn server(bytes: Vec<u8>, answers: Vec<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let asked = ranges.clone();
        thread::spawn(move || {
            for (answer, stream) in answers.into_iter().zip(listener.incoming()) {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines: Vec<String> = lines
                    .map_while(|line| line.ok().filter(|line| !line.is_empty()))
                    .collect();
                assert!(
                    lines[0].starts_with("GET /stbp-mlp-test.safetensors "),
                    "{}",
                    lines[0]
                );
                let range = lines.iter().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("range").then(|| value.to_owned())
                });
                asked
                    .lock()
                    .unwrap()
                    .push(range.clone().unwrap_or_default());
                let from = range.map_or(0, |range| {
                    range["bytes=".len()..]
                        .trim_end_matches('-')
                        .parse()
                        .unwrap()
                });
                let (status, body) = match answer {
                    Answer::Range if from > 0 => {
                        let (last, all) = (bytes.len() - 1, bytes.len());
                        let status = format!(
                            "206 Partial Content\r\nContent-Range: bytes {from}-{last}/{all}"
                        );
                        (status, bytes[from..].to_vec())
                    }
                    Answer::Other => ("200 OK".to_owned(), vec![7; bytes.len()]),
                    Answer::NotFound => ("404 Not Found".to_owned(), vec![]),
                    _ => ("200 OK".to_owned(), bytes.clone()),
                };
                let length = body.len();
                let sent = match answer {
                    Answer::First(sent) => &body[..sent],
                    _ => &body[..],
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(sent).unwrap();
            }
        });
        (address, ranges)
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    #[test]
    fn a_download_that_broke_off_continues() {
        let (card, bytes) = card();
        for second in [Answer::Range, Answer::Whole] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("weights/some");
            let (address, ranges) = server(bytes.clone(), vec![Answer::First(20), second]);
            let error = fetch(&card, &address, &path).unwrap_err().to_string();
            assert!(
                error.starts_with(&address) && error.contains("continues"),
                "{error}"
            );
            fetch(&card, &format!("{address}/"), &path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(*ranges.lock().unwrap(), ["", "bytes=20-"]);
            assert_eq!(files(path.parent().unwrap()), ["some"]);
            // There it is: the server answers no third request.
            fetch(&card, &address, &path).unwrap();
        }
        // A whole file that was not renamed any more needs no server.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some");
        fs::write(folder.path().join("some.part"), &bytes).unwrap();
        fetch(&card, "http://127.0.0.1:9", &path).unwrap();
        assert_eq!(fs::read(path).unwrap(), bytes);
    }

    #[test]
    fn another_file_is_not_kept() {
        let (card, bytes) = card();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some");
        let error = |bytes: &[u8], answer| {
            let (address, _) = server(bytes.to_vec(), vec![answer]);
            let error = fetch(&card, &address, &path).unwrap_err().to_string();
            assert!(error.starts_with(&address), "{error}");
            error
        };
        let longer = [&bytes[..], &[0]].concat();
        let text = error(&longer, Answer::Whole);
        assert!(
            text.contains(&format!("expected {}", bytes.len())),
            "{text}"
        );
        assert!(error(&bytes, Answer::NotFound).contains("404"));
        let text = error(&bytes, Answer::Other);
        assert!(text.contains("SHA-256 is"), "{text}");
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn the_cache_serves_what_the_folders_lack() {
        let (card, bytes) = card();
        let cache = tempfile::tempdir().unwrap();
        let (address, _) = server(bytes.clone(), vec![Answer::Whole]);
        let mut places = super::super::Places {
            folders: vec![],
            cache: Some(cache.path().to_path_buf()),
            address: Some(address),
        };
        assert_eq!(card.read(&places).unwrap().0, bytes);
        places.address = None;
        assert_eq!(card.read(&places).unwrap().0, bytes);
        // Those of another version have another name.
        let mut other = card.clone();
        other.sha256 = "0".repeat(64);
        let error = other.read(&places).unwrap_err();
        assert!(matches!(error, PretrainedError::NotFound { .. }), "{error}");
    }
}

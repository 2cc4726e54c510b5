//! Ends a run whose devices on other machines are lost. Burn's client does not: it drops what it cannot send, or waits.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;

use crate::device::remote_url;
use crate::{RunError, output, signals};

/// Time between two looks at the servers.
const EVERY: Duration = Duration::from_secs(2);
/// Time in which a server must accept a connection.
const TO_CONNECT: Duration = Duration::from_secs(5);
/// Looks in a row at which a server that is lost did not accept one.
const MISSED: usize = 3;

/// When figures came last.
static HEARD: Mutex<Option<Instant>> = Mutex::new(None);

fn heard() -> MutexGuard<'static, Option<Instant>> {
    HEARD.lock().expect("no holder of the lock panics")
}

/// Notes that figures came.
pub fn hear() {
    *heard() = Some(Instant::now());
}

/// Watches the servers of a run until it is dropped.
pub struct Watchdog(#[allow(dead_code)] Sender<()>);

impl Watchdog {
    /// Ends the program if a server of these devices is no longer there, or if no figures came for longer than `deadline`.
    pub fn new(devices: &[Device], out: &Path, deadline: Duration) -> Self {
        let workers = workers(devices);
        let (alive, ended) = mpsc::channel::<()>();
        let out = out.to_path_buf();
        hear();
        thread::spawn(move || {
            let mut missed = vec![0; workers.len()];
            loop {
                let since = Instant::now();
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                // The program itself was stopped for a while.
                if since.elapsed() > 5 * EVERY {
                    hear();
                }
                let mut found = None;
                for (worker, missed) in workers.iter().zip(&mut missed) {
                    match reach(worker) {
                        Ok(()) => *missed = 0,
                        Err(_) if *missed + 1 < MISSED => *missed += 1,
                        Err(reason) => found = Some(lost(worker.clone(), reason, &out)),
                    }
                }
                if heard().is_some_and(|heard| heard.elapsed() > deadline) {
                    let reason = format!("no figures came for {} s", deadline.as_secs());
                    found = found.or_else(|| Some(lost(workers.join(" or "), reason, &out)));
                }
                // The run may have ended meanwhile.
                if let (Some(error), Err(TryRecvError::Empty)) = (found, ended.try_recv()) {
                    end(&error);
                }
            }
        });
        Self(alive)
    }
}

/// The addresses of the devices on other machines, each once.
fn workers(devices: &[Device]) -> Vec<String> {
    let mut workers: Vec<_> = devices.iter().filter_map(remote_url).collect();
    workers.sort();
    workers.dedup();
    workers
}

/// The error of a run that failed, if a server of its devices is not there.
pub fn lost_one(devices: &[Device], out: &Path) -> Option<RunError> {
    let mut workers = workers(devices).into_iter();
    workers.find_map(|worker| {
        let reason = reach(&worker).err()?;
        Some(lost(worker, reason, out))
    })
}

fn lost(worker: String, reason: String, out: &Path) -> RunError {
    RunError::Lost {
        worker,
        reason,
        out: PathBuf::from(out),
    }
}

/// Opens a connection to a server, and closes it.
fn reach(worker: &str) -> Result<(), String> {
    let authority = worker.trim_start_matches("ws://");
    let authority = authority.split('/').next().unwrap_or(authority);
    let addresses = authority.to_socket_addrs();
    let addresses = addresses.map_err(|error| error.to_string())?;
    let mut reason = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, TO_CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// Ends the program: threads that wait for a server cannot be stopped.
fn end(error: &RunError) -> ! {
    signals::restore();
    output::complain(format_args!("error: {error}"));
    process::exit(1)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_is_gone_is_not_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let worker = format!("ws://{}/1", listener.local_addr().unwrap());
        assert_eq!(reach(&worker), Ok(()));
        drop(listener);
        assert!(reach(&worker).unwrap_err().contains("refused"));
        assert!(lost_one(&[Device::flex()], Path::new("run")).is_none());
    }
}

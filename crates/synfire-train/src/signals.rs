//! Termination signals: training stops after the current step, and the terminal is restored.

use burn::train::Interrupter;

#[cfg(not(unix))]
pub use elsewhere::*;
#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, OpenOptions};
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::sync::{Mutex, MutexGuard, Once};
    use std::thread;
    use std::time::{Duration, Instant};

    use crossterm::event::DisableMouseCapture;
    use crossterm::terminal::{LeaveAlternateScreen, disable_raw_mode, is_raw_mode_enabled};
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::signal_name;

    use super::Interrupter;

    /// The terminal that a process was started in.
    const TERMINAL: &str = "/dev/tty";
    /// The training that a signal stops.
    static TRAINING: Mutex<Option<Interrupter>> = Mutex::new(None);
    /// The first signal that came, or 0.
    static CAUGHT: AtomicI32 = AtomicI32::new(0);

    fn training() -> MutexGuard<'static, Option<Interrupter>> {
        TRAINING.lock().expect("no holder of the lock panics")
    }

    /// While it is alive, a signal stops training; a second signal ends the program.
    pub struct Watch(());

    impl Watch {
        /// Stops this training.
        pub fn new(interrupter: &Interrupter) -> Self {
            static HANDLER: Once = Once::new();
            HANDLER.call_once(handle);
            *training() = Some(interrupter.clone());
            Self(())
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            *training() = None;
        }
    }

    fn handle() {
        // The parent process may have set signals to be ignored, as `nohup` does.
        let ignored = ignored();
        // Other systems do not tell whether SIGHUP is ignored.
        let all: &[i32] = match cfg!(target_os = "linux") {
            true => &[SIGINT, SIGTERM, SIGHUP],
            false => &[SIGINT, SIGTERM],
        };
        let mut heeded = all.to_vec();
        heeded.retain(|signal| ignored >> (signal - 1) & 1 == 0);
        let Ok(mut signals) = Signals::new(heeded) else {
            // Without a handler, signals end the program at once.
            return;
        };
        thread::spawn(move || {
            for signal in signals.forever() {
                let order = Ordering::Relaxed;
                let first = CAUGHT.compare_exchange(0, signal, order, order);
                let training = training().clone();
                match training {
                    Some(interrupter) if first.is_ok() => interrupter.stop(signal_name(signal)),
                    _ => {
                        restore();
                        // Does not wait for other threads.
                        signal_hook::low_level::exit(128 + signal);
                    }
                }
            }
        });
    }

    /// The signals that are ignored, a bit each, where the system tells.
    fn ignored() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }

    /// The exit status for the signal that ended the program, if one did.
    pub fn exit_status() -> Option<u8> {
        match CAUGHT.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }

    /// Leaves the dashboard, if it is there.
    #[cfg_attr(not(feature = "remote"), allow(unreachable_pub))]
    pub fn restore() {
        if is_raw_mode_enabled().unwrap_or(false) {
            let _ = disable_raw_mode();
            // Not through standard output, whose lock the dashboard may hold.
            if let Ok(mut terminal) = OpenOptions::new().write(true).open(TERMINAL) {
                let _ = crossterm::execute!(
                    terminal,
                    DisableMouseCapture,
                    LeaveAlternateScreen,
                    crossterm::cursor::Show
                );
            }
        }
    }

    /// The dashboard takes keys one by one, Ctrl-C among them, which it does not know. This makes it a signal again.
    pub fn let_ctrl_c_through() {
        let started = Instant::now();
        // The dashboard takes the terminal on a thread of its own.
        while !is_raw_mode_enabled().unwrap_or(false) {
            if started.elapsed() > Duration::from_secs(2) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // Standard input may be redirected, so opens the terminal like the dashboard.
        let Ok(terminal) = File::open(TERMINAL) else {
            return;
        };
        if let Ok(mut modes) = tcgetattr(&terminal) {
            modes.local_modes |= LocalModes::ISIG;
            // Enables only this signal key: suspending the program would leave the dashboard on the screen.
            let apple = cfg!(target_vendor = "apple");
            let disabled = if apple { 0xff } else { 0 };
            for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
                modes.special_codes[key] = disabled;
            }
            let _ = tcsetattr(&terminal, OptionalActions::Now, &modes);
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::Interrupter;

    /// Signals end the program at once.
    pub struct Watch(());

    impl Watch {
        /// Stops nothing.
        pub fn new(_: &Interrupter) -> Self {
            Self(())
        }
    }

    /// Never.
    pub fn exit_status() -> Option<u8> {
        None
    }

    /// Does nothing.
    pub fn let_ctrl_c_through() {}

    /// Does nothing.
    pub fn restore() {}
}

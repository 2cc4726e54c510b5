//! Output that never ends a training run: standard output may be closed or full.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// The first error of standard output other than a closed pipe.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// [`println!`] for output that may be closed or full: drops lines that cannot be written, and keeps the first error for
/// [`failure`].
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::line(::std::format_args!($($text)*))
    };
}

/// [`say!`](crate::say) as a function.
pub fn line(text: Arguments) {
    write(format_args!("{text}\n"));
}

/// Text without an end of line.
pub fn write(text: Arguments) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILED.set(error);
    }
}

/// A line on standard error, if that is there.
pub fn complain(text: Arguments) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The first error of standard output other than a closed pipe.
pub fn failure() -> Option<&'static io::Error> {
    FAILED.get()
}

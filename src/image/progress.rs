//! Progress of long work.

/// Receives the progress of long work. `()` ignores it.
pub trait Progress {
    /// `bytes` more are to be copied or read. Not called for a pipe, whose length is unknown.
    fn expect(&mut self, bytes: u64);
    /// `bytes` more are done.
    fn advance(&mut self, bytes: u64);
}

impl Progress for () {
    fn expect(&mut self, _: u64) {}
    fn advance(&mut self, _: u64) {}
}

//! Finds and kills the descendants of a process.
//!
//! A process can leave its session and its process group (`setsid`), and its parent can end before it does. It cannot leave the
//! process that has made itself the reaper of its descendants (Linux, `PR_SET_CHILD_SUBREAPER`).

use std::{
    ffi::OsString,
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
#[cfg(feature = "policy")]
use rustix::{
    io::Errno,
    process::{WaitOptions, getpid, wait},
};

/// How long to wait for killed processes to end before looking again.
const PAUSE: Duration = Duration::from_millis(1);

/// Kills all descendants of this process. It must be their reaper, and no thread of it may wait for a child. Returns whether
/// they all ended before `until`.
#[cfg(feature = "policy")]
pub(crate) fn kill_own(until: Instant) -> bool {
    loop {
        // A process that has ended stays a child until it is waited for, and a process whose parent has ended becomes a child. So
        // without children there are no descendants.
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                Err(error) => return error == Errno::CHILD,
            }
        }
        if Instant::now() >= until {
            return false;
        }
        below(getpid()).iter().for_each(Process::kill);
        thread::sleep(PAUSE);
    }
}

/// Kills all descendants of `reaper`, another process, which is their reaper.
pub(crate) fn kill_below(reaper: Pid, until: Instant) {
    loop {
        let processes = below(reaper);
        if processes.iter().all(|process| process.has_ended) || Instant::now() >= until {
            return;
        }
        processes.iter().for_each(Process::kill);
        thread::sleep(PAUSE);
    }
}

/// A process at the time it was found.
struct Process {
    pid: Pid,
    parent: i32,
    /// Whether it has ended, and its parent has not waited for it yet.
    has_ended: bool,
    /// When it was started, in clock ticks since boot. Together with the process id it is unique.
    started: u64,
}

impl Process {
    /// Reads `/proc/PID/stat` (proc(5)).
    fn read(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The second field is the name in parentheses, which may contain any character.
        let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let fields = str::from_utf8(&stat[after_name..]).ok()?;
        let mut fields = fields.split_ascii_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        // The fields above are the third and the fourth. This is the 22nd.
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, has_ended, started })
    }

    /// Kills this process, but not another process that has been given its id since.
    fn kill(&self) {
        let process = pidfd_open(self.pid, PidfdFlags::empty());
        if Self::read(self.pid).is_none_or(|now| now.started != self.started) {
            return;
        }
        // The next look shows whether it worked.
        _ = match process {
            Ok(process) => pidfd_send_signal(process, Signal::KILL),
            // Before Linux 5.3, or if a seccomp filter forbids pidfd_open.
            Err(_) => kill_process(self.pid, Signal::KILL),
        };
    }
}

/// The descendants of `root`.
fn below(root: Pid) -> Vec<Process> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let number = |name: OsString| name.to_str()?.parse().ok().and_then(Pid::from_raw);
    let mut others: Vec<_> = names.filter_map(number).filter_map(Process::read).collect();
    let mut found = Vec::<Process>::new();
    let mut parent = root;
    for next in 0.. {
        found.extend(others.extract_if(.., |process| process.parent == parent.as_raw_nonzero().get()));
        match found.get(next) {
            Some(process) => parent = process.pid,
            None => break,
        }
    }
    found
}

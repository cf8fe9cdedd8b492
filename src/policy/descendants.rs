//! The processes that a process has started, and those that these have started: how they are found and ended.
//!
//! A process can leave its session and its process group (`setsid`), and its parent can end before it. What it cannot leave is
//! the process that has made itself the reaper of all below it (Linux, `PR_SET_CHILD_SUBREAPER`).

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

/// How long to wait for processes that were killed, before looking again.
const PAUSE: Duration = Duration::from_millis(1);

/// Ends all processes below this one, which must be their reaper and has no thread that waits for a child. Says whether none
/// is left at `until`.
#[cfg(feature = "policy")]
pub(super) fn end_own(until: Instant) -> bool {
    loop {
        // One that has ended is a child until somebody waits for it, and one whose parent has ended becomes a child: when there
        // are no children, there is nothing below them.
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
        beneath(getpid()).iter().for_each(Process::kill);
        thread::sleep(PAUSE);
    }
}

/// Ends all processes below `reaper`, another process that is their reaper.
pub(super) fn end_beneath(reaper: Pid, until: Instant) {
    loop {
        let processes = beneath(reaper);
        if processes.iter().all(|process| process.has_ended) || Instant::now() >= until {
            return;
        }
        processes.iter().for_each(Process::kill);
        thread::sleep(PAUSE);
    }
}

/// A process, as it was found.
struct Process {
    pid: Pid,
    parent: i32,
    /// Whether it is only there for its parent to be told.
    has_ended: bool,
    /// When it was started, in ticks of the clock since the system was: with the number it is unique.
    started: u64,
}

impl Process {
    /// Reads `/proc/PID/stat` (proc(5)).
    fn read(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The second field is the name in parentheses, which may have any character.
        let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let fields = str::from_utf8(&stat[behind_name..]).ok()?;
        let mut fields = fields.split_ascii_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        // The fields are the third and the fourth, and this is the 22nd.
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, has_ended, started })
    }

    /// Kills this process, and not another one that has got its number since.
    fn kill(&self) {
        let process = pidfd_open(self.pid, PidfdFlags::empty());
        if Self::read(self.pid).is_none_or(|now| now.started != self.started) {
            return;
        }
        // Whoever looks again sees whether it has helped.
        _ = match process {
            Ok(process) => pidfd_send_signal(process, Signal::KILL),
            // Before Linux 5.3, and where a filter of system calls forbids it.
            Err(_) => kill_process(self.pid, Signal::KILL),
        };
    }
}

/// The processes below `root`.
fn beneath(root: Pid) -> Vec<Process> {
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

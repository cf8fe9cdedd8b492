//! How much time, memory and output the evaluation of a policy may take.

use std::time::Duration;

/// The most bytes of an answer.
pub(super) const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How long an evaluation may take.
pub(super) const TIME_MAX: Duration = Duration::from_secs(10);

/// How long an evaluation that runs programs may take.
pub(super) const TIME_WITH_PROGRAMS_MAX: Duration = Duration::from_secs(30);

/// How long to wait for a supervisor to end: longer than [`DESCENDANTS_ENDING_TIME_MAX`], which the supervisor itself may take.
pub(super) const SUPERVISOR_ENDING_TIME_MAX: Duration = Duration::from_secs(7);

/// How long it may take to end the processes that an evaluation or a program has started.
#[cfg(feature = "policy")]
pub(super) const DESCENDANTS_ENDING_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of address space that an evaluation may take; 5 MB are resident for a small policy.
#[cfg(feature = "policy")]
pub(super) const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Seconds of processor time that an evaluation may take.
#[cfg(feature = "policy")]
pub(super) const PROCESSOR_SECONDS_MAX: u64 = 2;

/// How long a program that a policy runs may take.
#[cfg(feature = "policy")]
pub(super) const PROGRAM_TIME_MAX: Duration = Duration::from_secs(10);

/// The most bytes that a program may write to standard output, and to standard error.
#[cfg(feature = "policy")]
pub(super) const PROGRAM_OUTPUT_BYTES_MAX: u64 = 1 << 20;

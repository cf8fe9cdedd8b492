//! The threads: one reads the lines, several build images, and the caller's thread reports results in the order of the lines.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender, TryRecvError},
    },
    thread,
};

use super::{
    BatchOptions, Event, LineOutcome, Summary,
    input::{Line, LineReader},
    worker::write,
};
use crate::{
    error::{Context, Result, ensure, error},
    image::iso9660::writer::LayoutCache,
    output::group_commit::{GroupCommit, LastDirectory},
};

/// How many lines the reader may be ahead of the oldest unfinished one.
const WINDOW: u64 = 4096;

/// How many lines a thread gets at once, which keeps the cost per line small.
const CHUNK_LINES: usize = 32;

/// How many bytes of lines a thread gets at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The state that the threads share.
struct Shared<'a> {
    options: &'a BatchOptions,
    many: GroupCommit<(u64, LineOutcome)>,
    /// The last line to process, by its place in the shard.
    last: AtomicU64,
    /// The newest line that was started.
    newest: AtomicU64,
    /// How many lines have been reported.
    reported: Mutex<u64>,
    reported_more: Condvar,
    /// How many threads build images.
    building: AtomicUsize,
}

/// A line and its place in the shard, counted from 0.
type Job = (u64, Line);

/// The result of the line at a place; `None`: it was not started.
type Done = (u64, Option<LineOutcome>);

pub(super) fn build_all<R: Read + Send>(
    lines: LineReader<R>,
    options: &BatchOptions,
    each: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Summary> {
    let jobs = options.jobs.get();
    let shared = Shared {
        options,
        many: GroupCommit::open(&options.into, options.sync)?,
        last: AtomicU64::new(u64::MAX),
        newest: AtomicU64::new(0),
        reported: Mutex::new(0),
        reported_more: Condvar::new(),
        building: AtomicUsize::new(jobs),
    };
    let (to_build, chunks) = mpsc::sync_channel(2 * jobs);
    let chunks = Mutex::new(chunks);
    let (to_report, outcomes) = mpsc::channel();
    let summary = thread::scope(|scope| -> Result<Summary> {
        for _ in 0..jobs {
            let to_report = to_report.clone();
            let (shared, chunks) = (&shared, &chunks);
            scope.spawn(move || build(shared, chunks, &to_report));
        }
        drop(to_report);
        let reader = {
            let shared = &shared;
            scope.spawn(move || shared.read(lines, &to_build))
        };
        let reported = shared.report(&outcomes, each);
        if reported.is_err() {
            shared.stop(0);
            // The reader may be waiting for lines to be reported.
            *lock(&shared.reported) = u64::MAX / 2;
            shared.reported_more.notify_all();
        }
        let read = reader.join().map_err(|_| error!("the thread that reads the input panicked"))?;
        let summary = reported?;
        read?;
        Ok(summary)
    })?;
    if options.sync {
        shared.many.sync()?;
    }
    Ok(summary)
}

impl Shared<'_> {
    /// Starts no line after this place any more.
    fn stop(&self, place: u64) {
        self.last.fetch_min(place, Ordering::Relaxed);
    }

    fn is_over(&self, place: u64) -> bool {
        place > self.last.load(Ordering::Relaxed)
    }

    /// Reads lines and sends them to the threads that build images.
    fn read<R: Read>(&self, mut lines: LineReader<R>, to_build: &SyncSender<Vec<Job>>) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK_LINES);
        let mut bytes = 0;
        let mut place = 0;
        let read = loop {
            if self.is_over(place) {
                break Ok(());
            }
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error).context("reading the input"),
            };
            if line.task.is_err() && !self.options.keep_going {
                self.stop(place);
            }
            bytes += line.len;
            chunk.push((place, line));
            place += 1;
            if chunk.len() == CHUNK_LINES
                || bytes >= CHUNK_BYTES
                || !lines.is_ready()
                || !self.has_room(place)
            {
                bytes = 0;
                // Sending fails only when all builders have ended.
                if to_build.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_LINES))).is_err() {
                    break Ok(());
                }
                self.wait_for_room(place);
            }
        };
        drop(to_build.send(chunk));
        read
    }

    fn has_room(&self, place: u64) -> bool {
        place < *lock(&self.reported) + WINDOW
    }

    fn wait_for_room(&self, place: u64) {
        let reported = lock(&self.reported);
        drop(self.reported_more.wait_while(reported, |reported| place >= *reported + WINDOW));
    }

    /// Puts the results in order and reports them.
    fn report(
        &self,
        outcomes: &Receiver<Vec<Done>>,
        each: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut reported = 0;
        let mut waiting = VecDeque::new();
        loop {
            let done = match outcomes.try_recv() {
                Ok(done) => done,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    each(Event::Pause)?;
                    let Ok(done) = outcomes.recv() else { break };
                    done
                }
            };
            for (place, outcome) in done {
                let at = usize::try_from(place - reported)?;
                if waiting.len() <= at {
                    waiting.resize_with(at + 1, || None);
                }
                waiting[at] = Some(outcome);
            }
            while let Some(Some(_)) = waiting.front() {
                reported += 1;
                if let Some(Some(Some(outcome))) = waiting.pop_front() {
                    if outcome.built.is_ok() {
                        summary.built += 1;
                    } else {
                        summary.faulty += 1;
                    }
                    each(Event::Outcome(outcome))?;
                }
            }
            *lock(&self.reported) = reported;
            self.reported_more.notify_all();
        }
        ensure!(waiting.is_empty(), "a thread that builds images panicked");
        Ok(summary)
    }
}

/// Builds the images of all chunks.
fn build(shared: &Shared<'_>, chunks: &Mutex<Receiver<Vec<Job>>>, to_report: &Sender<Vec<Done>>) {
    let mut builder = Builder {
        shared,
        layouts: LayoutCache::default(),
        place: LastDirectory::default(),
        done: Vec::new(),
    };
    loop {
        // One thread waits for a chunk while it holds the lock, and the others wait for the lock.
        let chunk = lock(chunks).recv();
        let Ok(chunk) = chunk else { break };
        for (place, line) in chunk {
            builder.build(place, line);
        }
        drop(to_report.send(std::mem::take(&mut builder.done)));
    }
    // The last thread gives the waiting images their names.
    if shared.building.fetch_sub(1, Ordering::AcqRel) == 1 {
        builder.replaced(shared.many.replace_older(u64::MAX));
        drop(to_report.send(builder.done));
    }
}

/// A thread that builds images.
struct Builder<'a> {
    shared: &'a Shared<'a>,
    layouts: LayoutCache,
    place: LastDirectory,
    done: Vec<Done>,
}

impl Builder<'_> {
    fn build(&mut self, place: u64, line: Line) {
        if self.shared.is_over(place) {
            self.done.push((place, None));
            return;
        }
        let Shared { options, many, .. } = self.shared;
        self.shared.newest.fetch_max(place, Ordering::Relaxed);
        let Line { number, image, task, .. } = line;
        let outcome = |built| LineOutcome { line: number, image, built };
        match task.and_then(|task| write(task, options, many, &mut self.place, &mut self.layouts)) {
            Err(fault) => self.finish(place, outcome(Err(fault))),
            Ok((None, built)) => self.finish(place, outcome(Ok(built))),
            Ok((Some(taken), built)) => {
                let replaced = self.shared.many.replace(taken, place, (place, outcome(Ok(built))));
                self.replaced(replaced);
            }
        }
        // When the reader waits for the oldest line, no new images fill its group, so old groups are named early.
        let newest = self.shared.newest.load(Ordering::Relaxed);
        let replaced = self.shared.many.replace_older((newest + 1).saturating_sub(WINDOW / 2));
        self.replaced(replaced);
    }

    fn replaced(&mut self, named: Vec<((u64, LineOutcome), Result<()>)>) {
        for ((place, mut outcome), named) in named {
            if let Err(error) = named {
                let image = outcome.image.as_deref().unwrap_or_default();
                outcome.built = Err(error.context(format!("building image {image:?}")));
            }
            self.finish(place, outcome);
        }
    }

    fn finish(&mut self, place: u64, outcome: LineOutcome) {
        if outcome.built.is_err() && !self.shared.options.keep_going {
            self.shared.stop(place);
        }
        self.done.push((place, Some(outcome)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

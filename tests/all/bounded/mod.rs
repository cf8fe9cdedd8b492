//! Time, memory and stack grow with the bytes given: inputs that once cost the square of their size, or the stack.
//!
//! Each generator makes an input of about so many bytes. A child process of its own does all the work that user data,
//! meta-data and a line of a batch ever cause, and says how much heap and processor time that took.

mod images;
mod text;
mod work;

use std::{
    env, fmt, fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    fuzz_targets::mkisofs,
    support::{Sandbox, cases},
};

use images::IMAGES;
use text::{GENERATORS, MKISOFS, SEED, nested};
use work::{build, build_seed, read_image, work, write_file_of_seed};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The name of an input, and what it is.
fn generate(index: usize, size: usize) -> (&'static str, Vec<u8>) {
    match index.checked_sub(GENERATORS.len()) {
        None => (GENERATORS[index].0, GENERATORS[index].1(size).into_bytes()),
        Some(index) => (IMAGES[index].0, IMAGES[index].1(size)),
    }
}

/// What an input cost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Bytes of the input.
    size: usize,
    /// Bytes on the heap at most.
    heap: usize,
    processor_time: Duration,
}

impl Cost {
    const VARIABLE: &str = "METADATA_TEST_BOUNDED";

    /// That of an input of this size, in a process of its own.
    fn of(generator: usize, size: usize) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "bounded::cost_of_one_input", "--ignored", "--nocapture"])
            .env(Self::VARIABLE, format!("{generator} {size}"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        assert!(child.status.success(), "{} of {size} bytes: {said}", generate(generator, size).0);
        let line = said.lines().find_map(|line| line.strip_prefix("cost ")).unwrap();
        let (heap, nanoseconds) = line.split_once(' ').unwrap();
        Self {
            size,
            heap: heap.parse().unwrap(),
            processor_time: Duration::from_nanos(nanoseconds.parse().unwrap()),
        }
    }

    /// The same with the processor time of `other`, if that is less.
    fn least(self, other: Self) -> Self {
        Self { processor_time: self.processor_time.min(other.processor_time), ..self }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB, {:.3} s", self.heap / 1000, self.processor_time.as_secs_f64())
    }
}

/// The child of [`Cost::of`].
#[test]
#[ignore = "the other tests here run it with an input"]
fn cost_of_one_input() {
    let Some(input) = env::var(Cost::VARIABLE).ok() else { return };
    let (generator, size) = input.split_once(' ').unwrap();
    let generator: usize = generator.parse().unwrap();
    let (_, input) = generate(generator, size.parse().unwrap());
    // The file that lines name. This process has no other test.
    let directory = tempfile::tempdir().unwrap();
    env::set_current_dir(&directory).unwrap();
    fs::write("f", "x").unwrap();
    let seed = str::from_utf8(&input).ok().and_then(|text| text.strip_prefix(SEED));
    seed.into_iter().flat_map(str::lines).for_each(write_file_of_seed);
    let processor_time = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    HEAP.reset_peak_usage();
    let (heap, time) = (HEAP.current_usage(), processor_time());
    if generator < GENERATORS.len() {
        let text = str::from_utf8(&input).unwrap();
        if let Some(input) = text.strip_prefix(MKISOFS) {
            mkisofs::run(input.as_bytes());
        } else if seed.is_some() {
            build_seed();
        } else {
            work(text);
            build(text);
        }
    } else {
        read_image(&input);
    }
    let time = processor_time().checked_sub(time).unwrap();
    println!("cost {} {}", HEAP.peak_usage() - heap, time.as_nanos());
}

#[test]
fn time_and_memory_grow_with_the_bytes_given() {
    const SIZE: usize = 64 << 10;
    /// Times that an input is measured again when it took too long.
    const TRIES: usize = 5;
    // In a debug build, whose code is not optimised.
    let slower = if cfg!(debug_assertions) { 10 } else { 1 };
    for index in 0..GENERATORS.len() + IMAGES.len() {
        let (name, made) = generate(index, SIZE);
        let made = made.len();
        assert!((SIZE / 2..=SIZE + SIZE / 4).contains(&made), "{name}: {made} bytes");
        let mut costs = [SIZE / 4, SIZE].map(|size| Cost::of(index, size));
        // What any input takes is no growth.
        let heap = costs[0].heap.max(4 << 20);
        assert!(costs[1].heap <= (5 * heap).min(100_000_000), "{name}: {}; {}", costs[0], costs[1]);
        let is_bounded = |[small, large]: [Cost; 2]| {
            // Nor is the renaming by hadris, which is quadratic up to a number of names (image/iso9660/renaming.rs).
            let time = small.processor_time.max(slower * Duration::from_millis(40));
            large.processor_time <= (5 * time).min(slower * Duration::from_secs(1))
        };
        // Others on the machine can only make it slower, so that the least time of several is the one of the input.
        for _ in 0..TRIES {
            if is_bounded(costs) {
                break;
            }
            costs = costs.map(|cost| cost.least(Cost::of(index, cost.size)));
        }
        println!("{name}: {}; {}", costs[0], costs[1]);
        assert!(is_bounded(costs), "{name}: {}; {}", costs[0], costs[1]);
    }
}

#[test]
#[ignore = "needs GNU time"]
fn the_program_takes_no_more_for_what_it_prints() {
    let sandbox = Sandbox::on_tmpfs();
    for (name, generate) in GENERATORS {
        sandbox.write("input", generate(cases(32 << 10, 64 << 10)));
        for arguments in [
            &["check", "input"] as &[_],
            &["check", "--json", "--as", "cloud-init", "input"],
            &["check", "--as", "meta-data", "input"],
            &["apply", "input", "out"],
            &["agent", "--root", "out", "--json", "file=input"],
            &["create", "--lenient", "-l", "nocloud", "--data-file", "input", "--force", "out.iso"],
            &["create", "--lenient", "out.iso", "x", "-l", "nocloud", "--meta-data", "input", "--force"],
            &["agent", "--root", "out", "--json", "file=out.iso"],
        ] {
            let program = assert_cmd::cargo::cargo_bin!("metadata").to_str().unwrap();
            let time = ["-q", "-f", "%U %S %M", "-o", "cost", program];
            let mut command = Command::new("time");
            command.current_dir(sandbox.path("")).args(time).args(arguments);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(matches!(status.code(), Some(0 | 1)), "{name}: {arguments:?}: {status}");
            let cost = String::from_utf8(sandbox.read("cost")).unwrap();
            let cost: Vec<f64> = cost.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let slower = if cfg!(debug_assertions) { 10.0 } else { 1.0 };
            assert!(cost[0] + cost[1] <= slower, "{name}: {arguments:?}: {cost:?}");
            assert!(cost[2] <= 100_000.0, "{name}: {arguments:?}: {cost:?}");
        }
    }
}

#[test]
fn nesting_takes_no_stack() {
    const LEVELS: usize = 100_000;
    let deep = [
        format!("#cloud-config\n{}", "- ".repeat(LEVELS)),
        format!("#cloud-config\n{}", "? ".repeat(LEVELS)),
        format!("#cloud-config\n{}", "- ? ".repeat(LEVELS)),
        format!("#cloud-config\na: {}", "[".repeat(LEVELS)),
        format!("#cloud-config\na: {}", "{a: ".repeat(LEVELS)),
        format!("#cloud-config\n{}x\n", "&a - ".repeat(LEVELS)),
        format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{{\"a\":{}{}}}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{}{{}}{}", "{\"a\":{\"entries\":".repeat(LEVELS), "}}".repeat(LEVELS)),
        nested("a", "{}"),
    ];
    // As small as that of a thread that builds images.
    let work = move || {
        for text in &deep {
            work(text);
            build(text);
        }
    };
    thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

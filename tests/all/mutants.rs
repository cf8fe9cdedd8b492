//! Images with structures that were swapped, resized, or made to point elsewhere: what is read of them is the same in every
//! way of reading, or an error.

use std::{env, ops::Range, thread};

use crate::{
    fuzz_targets::image::{self, MUTANT, Seen},
    support::cases,
};

/// The seed of all mutants.
pub(crate) const SEED: u64 = 20_261_125;

/// Decisions about one mutant, in bytes.
const CHOICES_MAX: usize = 96;

/// Tells what to do with a mutant that a panic is about.
struct Report<'a> {
    number: u64,
    input: &'a [u8],
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { number, input } = self;
            let hex = input.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            println!(
                "mutant {number} of seed {SEED}; to keep it: xxd -r -p >testdata/fuzz/image/NAME <<<{hex}"
            );
        }
    }
}

/// Xorshift, George Marsaglia.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The input that stands for a mutant.
pub(crate) fn input(number: u64) -> Vec<u8> {
    let mut state = SEED ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut byte = || random(&mut state).to_le_bytes()[4];
    // One change needs some six bytes; few changes leave more of an image to be read.
    let len = usize::from(byte()) % (if byte() % 2 == 0 { 12 } else { CHOICES_MAX }) + 4;
    let first = MUTANT + byte() % 5;
    [first].into_iter().chain((0..len).map(|_| byte())).collect()
}

fn check_mutants(numbers: Range<u64>) {
    println!("seed {SEED}");
    let count = numbers.end - numbers.start;
    let mut seen = [0; 3];
    for number in numbers {
        let input = input(number);
        let report = Report { number, input: &input };
        let Seen { list, data, contents } = image::check(&image::image_of(report.input));
        for (sum, one) in seen.iter_mut().zip([list, data, contents]) {
            *sum += u64::from(one);
        }
    }
    let [list, data, contents] = seen;
    println!(
        "of {count} mutants {list} can be listed, {data} have data for a guest, of {contents} every file can be read"
    );
    // Mutants that all were errors would prove little.
    assert!(list > count / 10 && list < count && data > count / 10 && contents > count / 50);
}

#[test]
fn a_mutant_is_the_same_in_every_way_of_reading() {
    check_mutants(0..500);
}

#[test]
#[ignore = "takes half a minute"]
fn more_mutants_are_the_same_in_every_way_of_reading() {
    check_mutants(
        500..env::var("MUTANTS").map_or_else(|_| cases(2000, 5000) as u64, |count| count.parse().unwrap()),
    );
}

//! What other readers of an image would find in it.

use super::{SECTOR, places, public, refused, signed, taken_off, ucs2, verify_image, write_key};

use crate::support::{Sandbox, done, noise};

/// Swaps where the directory records at these offsets say that their files are.
fn swap_extents(image: &mut [u8], [one, other]: [usize; 2]) {
    for byte in 2..18 {
        image.swap(one + byte, other + byte);
    }
}

#[test]
fn trees_that_do_not_agree_are_refused() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox.write("other", "jello");
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--file", "konfig=other"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    let craft = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut image = image.clone();
        change(&mut image);
        sandbox.write("meta.iso", image);
        verify_image(&sandbox, &[])
    };
    assert_eq!(craft(&|_| ()), done(""));
    let joliet = |name: &str| places(&image, &ucs2(name))[0];
    let primary = |name: &str| places(&image, name.as_bytes())[0];
    // The trees name the same bytes by other names.
    let swapped = craft(&|image| swap_extents(image, [joliet("config") - 33, joliet("konfig") - 33]));
    assert_eq!(
        swapped,
        refused("the Joliet tree differs from the tree that is read: file \"config\" is another file there")
    );
    let swapped = craft(&|image| swap_extents(image, [primary("CONFIG.;1") - 33, primary("KONFIG.;1") - 33]));
    assert!(swapped.stderr.contains("the Joliet tree differs from the tree that is read"), "{swapped:?}");
    // A file that agents prefer, in one tree.
    let name = |from: &str, to: &str| {
        let (at, to) = (joliet(from), ucs2(to));
        craft(&|image| image[at..at + to.len()].copy_from_slice(&to))
    };
    assert!(
        name("konfig", "config")
            .stderr
            .contains("the Joliet tree differs from the tree that is read: Linux sees two files \"config\"")
    );
    let primary_name = craft(&|image| image[primary("KONFIG.;1")] = b'C');
    assert!(
        primary_name.stderr.contains(
            "the ISO 9660 tree differs from the tree that is read: Linux sees two files \"config\""
        ),
        "{primary_name:?}"
    );
    // Without Rock Ridge the names would be those of Joliet, which is whole.
    let root = u32::from_le_bytes(image[16 * SECTOR + 158..][..4].try_into().unwrap()) as usize * SECTOR;
    let at = root + image[root..root + SECTOR].windows(2).position(|pair| pair == b"SP").unwrap();
    let without = craft(&|image| image[at] = b'X');
    let why = "reading Rock Ridge of the root directory: its first entry is not a valid \"SP\"";
    assert_eq!(without, refused(&format!("reading image \"meta.iso\": {why}")));
    // Bytes of no file.
    let extent = craft(&|image| {
        let record = joliet("konfig") - 33;
        let sector = 16_u32;
        image[record + 2..][..4].copy_from_slice(&sector.to_le_bytes());
        image[record + 6..][..4].copy_from_slice(&sector.to_be_bytes());
    });
    assert_eq!(
        extent,
        refused("the Joliet tree differs from the tree that is read: file \"konfig\" is another file there")
    );
}

#[test]
fn files_that_overlap_are_not_read_again_and_again() {
    let sandbox = signed();
    let mut image = sandbox.read("meta.iso");
    let [small, large] = ["CA.PEM;1", "LARGE.;1"].map(|name| places(&image, name.as_bytes())[0] - 33);
    image.copy_within(large + 2..large + 18, small + 2);
    let bytes = image.len();
    sandbox.write("meta.iso", image);
    let sum = 2 * 1_200_000 + 14 + 19 + taken_off(&sandbox).0.len() + taken_off(&sandbox).1.len();
    assert!(sum > bytes);
    assert_eq!(
        verify_image(&sandbox, &[]),
        refused(&format!("the files have {sum} bytes together, more than the image"))
    );
}

#[test]
fn what_only_other_readers_find_is_refused() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    let differs = |image: &[u8], why: &str| {
        sandbox.write("meta.iso", image);
        let what = "reading image \"meta.iso\": the image differs from the one that is built from its files";
        assert_eq!(verify_image(&sandbox, &[]), refused(&format!("{what}: {why}")));
    };
    // A boot sector, a second set of descriptors, text behind the end.
    let mut with_boot_sector = image.clone();
    with_boot_sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    differs(&with_boot_sector, "bytes from 0 on differ");
    let terminator = (16..32).find(|sector| image[sector * SECTOR] == 255).unwrap() * SECTOR;
    let mut with_descriptor = image.clone();
    with_descriptor.copy_within(17 * SECTOR..18 * SECTOR, terminator);
    with_descriptor.copy_within(terminator - SECTOR..terminator, terminator + SECTOR);
    with_descriptor[terminator + SECTOR..][..7].copy_from_slice(b"\xffCD001\x01");
    sandbox.write("meta.iso", with_descriptor);
    let ran = verify_image(&sandbox, &[]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let bytes = image.len();
    let why = format!("it has {} bytes instead of {bytes}", bytes + 1);
    differs(&[&image[..], b"x"].concat(), &why);
    sandbox.write("meta.iso", image);
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
fn gaps_around_a_large_file_are_looked_at() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    let large = noise(1_200_001);
    sandbox.write("large", &large);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--file", "large=large"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    assert_eq!(verify_image(&sandbox, &[]), done(""));
    let start = places(&image, &large[..64])[0];
    let end = start + large.len();
    for (at, why) in [
        (start - 1, "the image differs from the one that is built from its files"),
        (start, "comparing the image with its manifest.json"),
        (end - 1, "comparing the image with its manifest.json"),
        (end, "the image differs from the one that is built from its files"),
        (image.len() - 1, "the image differs from the one that is built from its files"),
    ] {
        let mut changed = image.clone();
        changed[at] ^= 1;
        sandbox.write("meta.iso", changed);
        let ran = verify_image(&sandbox, &[]);
        assert!(ran.status == Some(1) && ran.stderr.contains(why), "byte {at}: {ran:?}");
    }
}

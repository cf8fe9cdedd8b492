//! Images of ours read by other programs, and theirs read by us.

use std::{fs, os::unix::fs::symlink, path::Path};

use metadata_image::provider::cdrom;

use crate::support::{Sandbox, noise};

/// Gives the bytes of a file on `meta.iso`.
type Reader = fn(&Sandbox, &str) -> Vec<u8>;

/// What people read images with.
const READERS: [(&str, Reader); 5] = [
    ("xorriso", |sandbox, name| {
        let path = sandbox.path("restored");
        drop(fs::remove_file(&path));
        let name = format!("/{name}");
        sandbox.tool(
            "xorriso",
            ["-osirrox", "on", "-indev", "meta.iso", "-extract", &name, path.to_str().unwrap()],
        );
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        bytes
    }),
    ("isoinfo -R", |sandbox, name| {
        sandbox.tool("isoinfo", ["-R", "-i", "meta.iso", "-x", &format!("/{name}")])
    }),
    ("isoinfo -J", |sandbox, name| {
        sandbox.tool("isoinfo", ["-J", "-i", "meta.iso", "-x", &format!("/{name}")])
    }),
    ("bsdtar", |sandbox, name| sandbox.tool("bsdtar", ["-xOf", "meta.iso", name])),
    ("7z", |sandbox, name| sandbox.tool("7z", ["x", "-so", "meta.iso", name])),
];

/// The volume identifier as isoinfo reads it.
fn volume_identifier(sandbox: &Sandbox) -> String {
    let text = String::from_utf8(sandbox.tool("isoinfo", ["-d", "-i", "meta.iso"])).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Volume id: ")).unwrap().to_owned()
}

#[test]
#[ignore = "needs xorriso, isoinfo, isovfy, bsdtar and 7z"]
fn every_reader_gives_every_byte_back() {
    let sandbox = Sandbox::new();
    for len in [1, 2047, 2048, 2049, 1 << 20, (1 << 20) + 1, 5 << 20] {
        let data = noise(len);
        let path = sandbox.write("data", &data);
        sandbox.succeed(["create", "meta.iso", "--data-file", "data"]);
        assert_eq!(volume_identifier(&sandbox), "CIDATA");
        let checked = String::from_utf8(sandbox.tool("isovfy", ["meta.iso"])).unwrap();
        assert!(checked.contains("No errors found"), "{checked}");
        for (name, read) in READERS {
            assert!(read(&sandbox, "config") == data, "{name}, {len} bytes");
        }
        assert!(
            cdrom::fetch_from(&sandbox.path("meta.iso"), &mut |_, _| {}).unwrap().userdata == Some(data),
            "{len} bytes"
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
#[ignore = "needs xorriso, isoinfo, bsdtar and 7z"]
fn every_reader_finds_the_files_of_every_layout() {
    let sandbox = Sandbox::new();
    sandbox.write("f", [0xff, 0, 0xfe]);
    for (layout, identifier, names) in [
        ("linuxkit", "CIDATA", &["config"] as &[_]),
        ("nocloud", "CIDATA", &["user-data", "meta-data"]),
        ("configdrive", "config-2", &["openstack/latest/user_data", "openstack/latest/meta_data.json"]),
    ] {
        sandbox.succeed([
            "create",
            "--lenient",
            "meta.iso",
            "--data-file",
            "f",
            "--layout",
            layout,
            "--file",
            "a dir/A.b.c=f",
        ]);
        assert_eq!(volume_identifier(&sandbox), identifier);
        for (reader, read) in READERS {
            for name in names.iter().chain(&["a dir/A.b.c"]) {
                assert_eq!(
                    read(&sandbox, name),
                    sandbox.succeed(["extract", "meta.iso", name]),
                    "{reader}, {name}"
                );
            }
        }
        let listed = String::from_utf8(sandbox.tool("bsdtar", ["-tvf", "meta.iso"])).unwrap();
        let modes: Vec<_> = listed.lines().map(|line| &line[..10]).collect();
        assert!(modes.iter().all(|mode| ["-r--------", "dr-x------"].contains(mode)), "{listed}");
    }
}

#[test]
#[ignore = "needs xorriso and bsdtar"]
fn a_file_over_4_gib_is_there_to_its_last_byte() {
    let sandbox = Sandbox::new();
    let len = (4_u64 << 30) + 5;
    let path = sandbox.write("data", "first");
    fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(len - 4).unwrap();
    std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(&path).unwrap(), b"last")
        .unwrap();
    sandbox.succeed(["create", "meta.iso", "--data-file", "data"]);
    sandbox.tool("sh", ["-c", "bsdtar -xOf meta.iso config | cmp - data"]);
    let metadata = assert_cmd::cargo::cargo_bin!("metadata").to_str().unwrap().to_owned();
    sandbox.tool("sh", ["-c", "\"$0\" extract meta.iso config | cmp - data", &metadata]);
    sandbox.tool("xorriso", ["-osirrox", "on", "-indev", "meta.iso", "-extract", "/config", "restored"]);
    sandbox.tool("cmp", ["restored", "data"]);
    let on_disk =
        std::os::unix::fs::MetadataExt::blocks(&fs::metadata(sandbox.path("meta.iso")).unwrap()) * 512;
    assert!(on_disk < 10 << 20, "holes stay holes: {on_disk} bytes");
}

/// The user data, and the entries that the provider makes of the meta-data.
fn provider_reads(image: &Path) -> (String, String) {
    let found = cdrom::fetch_from(image, &mut |_, _| {}).unwrap();
    (String::from_utf8(found.userdata.unwrap()).unwrap(), serde_json::to_string(&found.entries).unwrap())
}

#[test]
#[ignore = "needs genisoimage and xorriso"]
fn images_that_other_programs_make_are_read() {
    let sandbox = Sandbox::new();
    sandbox.write("seed/user-data", "#cloud-config\n");
    sandbox.write("seed/meta-data", "instance-id: i\nlocal-hostname: web\n");
    sandbox.write("plain/config", "hello\n");
    let image = sandbox.path("meta.iso");
    let nocloud = ("#cloud-config\n".to_owned(), r#"{"hostname":{"content":"web"}}"#.to_owned());
    for arguments in [
        &["genisoimage", "-quiet", "-V", "cidata", "-J", "-r"] as &[_],
        &["genisoimage", "-quiet", "-V", "cidata", "-r"],
        &["genisoimage", "-quiet", "-J"],
        &["xorriso", "-as", "mkisofs", "-V", "CIDATA", "-J", "-r"],
        &["xorriso", "-as", "mkisofs", "-iso-level", "4"],
    ] {
        let (program, options) = arguments.split_first().unwrap();
        sandbox.tool(program, [options, &["-o", "meta.iso", "seed"]].concat());
        assert_eq!(provider_reads(&image), nocloud, "{arguments:?}");
        assert_eq!(sandbox.succeed(["extract", "meta.iso", "user-data"]), b"#cloud-config\n");
    }
    sandbox.tool("genisoimage", ["-quiet", "-o", "meta.iso", "plain"]);
    assert_eq!(provider_reads(&image), ("hello\n".to_owned(), "{}".to_owned()));
}

#[test]
fn images_of_linuxkit_are_read() {
    let sandbox = Sandbox::new();
    for data in ["hello", "x", &"long ".repeat(1000)] {
        let image = sandbox.write("meta.iso", crate::support::linuxkit_image(data.as_bytes()));
        assert_eq!(provider_reads(&image), (data.to_owned(), "{}".to_owned()));
        assert_eq!(sandbox.succeed(["extract", "meta.iso", "config"]), data.as_bytes());
    }
}

#[test]
#[ignore = "needs genisoimage"]
fn user_data_behind_a_symbolic_link_is_lost_and_said() {
    let sandbox = Sandbox::new();
    sandbox.write("disc/data", "hello");
    symlink("data", sandbox.path("disc/user-data")).unwrap();
    sandbox.tool("genisoimage", ["-quiet", "-V", "CIDATA", "-R", "-o", "meta.iso", "disc"]);
    let mut said = Vec::new();
    let found =
        cdrom::fetch_from(&sandbox.path("meta.iso"), &mut |_, text| said.push(text.to_owned())).unwrap();
    assert_eq!((found.userdata, found.losses.len()), (None, 1));
    assert_eq!(said, ["skipping \"user-data\": symbolic links are not followed"]);

    // Beside the file that it leads to, for agents that look for the other name.
    fs::remove_file(sandbox.path("disc/user-data")).unwrap();
    fs::rename(sandbox.path("disc/data"), sandbox.path("disc/user-data")).unwrap();
    symlink("user-data", sandbox.path("disc/config")).unwrap();
    sandbox.tool("genisoimage", ["-quiet", "-V", "CIDATA", "-R", "-o", "meta.iso", "disc"]);
    let found = cdrom::fetch_from(&sandbox.path("meta.iso"), &mut |_, _| {}).unwrap();
    assert_eq!((found.userdata.as_deref(), found.losses.len()), (Some(&b"hello"[..]), 0));
}

#[test]
#[ignore = "needs genisoimage"]
fn of_a_disc_full_of_other_files_an_agent_reads_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("disc/config", "hello");
    // Names that stay apart when genisoimage cuts them, which takes it the square of their number otherwise.
    for number in 0..17_000 {
        sandbox.write(&format!("disc/f{number}"), "");
    }
    sandbox.tool("genisoimage", ["-quiet", "-R", "-o", "disc.iso", "disc"]);
    let image = sandbox.path("disc.iso");
    assert_eq!(provider_reads(&image), ("hello".to_owned(), "{}".to_owned()));
    let why = "the volume has more than 16384 files";
    assert_eq!(
        sandbox.run(["show", "disc.iso"]),
        crate::support::failed(1, &format!("reading image \"disc.iso\": {why}"))
    );
}

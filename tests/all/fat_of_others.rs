//! FAT volumes that other programs made: names, labels, sizes, and images that are ISO 9660 as well.

use std::{collections::BTreeMap, fs};

use metadata_image::{
    datasource::layout::{Layout, has_cidata},
    image::{
        FatLabels, Image,
        fat::{label::fat_labels, writer},
        probe,
        source::Source,
    },
};

use crate::support::{Sandbox, done, failed};

/// Writes a volume with these files.
fn volume(sandbox: &Sandbox, name: &str, label: &str, files: &[(&str, &str)]) {
    let files = files.iter().map(|(path, text)| (path.as_bytes().to_vec(), Source::Bytes((*text).into())));
    let spec = writer::VolumeSpec {
        label: label.to_owned(),
        files: files.collect(),
        ..writer::VolumeSpec::default()
    };
    let mut image = Vec::new();
    writer::Draft::new(spec).unwrap().write_forward(&mut image, &mut ()).unwrap();
    sandbox.write(name, image);
}

const USER_DATA: &str = "#cloud-config\npackages: [vim]\n";
const META_DATA: &str = "instance-id: i-1\nlocal-hostname: web\n";

/// What the row of an agent says.
fn row(sandbox: &Sandbox, image: &str, agent: &str) -> String {
    let shown = String::from_utf8(sandbox.succeed(["show", image])).unwrap();
    let row = shown.lines().find(|line| line.starts_with(&format!("{agent} "))).unwrap();
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_found_whatever_their_case() {
    let sandbox = Sandbox::new();
    volume(&sandbox, "a.img", "CIDATA", &[("USER-DATA", USER_DATA), ("Meta-Data", META_DATA)]);
    let shown = String::from_utf8(sandbox.succeed(["show", "a.img"])).unwrap();
    assert!(shown.contains("layout    nocloud\n"), "{shown}");
    assert_eq!(row(&sandbox, "a.img", "metadata"), "metadata USER-DATA yes yes");
    assert!(row(&sandbox, "a.img", "cloud-init").starts_with("cloud-init USER-DATA no yes:"));
    let listed = sandbox.succeed(["apply", "--dry-run", "a.img"]);
    assert_eq!(String::from_utf8(listed).unwrap(), "0600       30 userdata\n0644        3 hostname\n");
    sandbox.succeed(["agent", "--root", "out", "--quiet", "file=a.img"]);
    assert_eq!(fs::read_to_string(sandbox.path("out/hostname")).unwrap(), "web");

    // What is checked is what a guest reads.
    volume(&sandbox, "b.img", "CIDATA", &[("USER-DATA", "#cloud-config\n\ta: 1\n"), ("META-DATA", "x: [")]);
    let checked = sandbox.run(["check", "b.img"]);
    assert_eq!(checked.status, Some(1));
    for place in ["b.img/USER-DATA:2", "b.img/META-DATA:1"] {
        assert!(checked.stdout.contains(place), "{checked:?}");
    }
    let drive = [("OpenStack/LATEST/Meta_Data.JSON", "{\"uuid\": \"u\"}"), ("openstack", USER_DATA)];
    volume(&sandbox, "c.img", "config-2", &drive[..1]);
    let drive = "cloud-init OpenStack/LATEST/Meta_Data.JSON no yes:";
    assert!(row(&sandbox, "c.img", "cloud-init").starts_with(drive));
    assert_eq!(
        row(&sandbox, "c.img", "cloudbase-init"),
        "cloudbase-init OpenStack/LATEST/Meta_Data.JSON yes yes"
    );
}

#[test]
fn other_file_systems_have_names_with_a_case() {
    let sandbox = Sandbox::new();
    sandbox.write("u", USER_DATA);
    let made = ["create", "--quiet", "--volume-id=CIDATA", "a.iso", "x", "--file", "USER-DATA=u"];
    sandbox.succeed(made);
    assert_eq!(row(&sandbox, "a.iso", "metadata"), "metadata config yes yes");
}

#[test]
fn a_changed_file_keeps_its_name() {
    let sandbox = Sandbox::new();
    volume(
        &sandbox,
        "a.img",
        "CIDATA",
        &[("USER-DATA", USER_DATA), ("Dir/Meta-Data", ""), ("Meta-Data", META_DATA)],
    );
    sandbox.write("u", "#cloud-config\npackages: [ed]\n");
    fs::copy(sandbox.path("a.img"), sandbox.path("b.img")).unwrap();
    let id = "--instance-id=i-2";
    sandbox.succeed(["set", "--quiet", "b.img", "user-data=u", "dir/new=u", "--hostname", "db", id]);
    let listed = Image::open(sandbox.path("b.img")).unwrap().list().unwrap().1;
    let names: Vec<_> = listed.iter().map(metadata_image::image::Record::display_path).collect();
    assert_eq!(names, ["Dir", "Dir/Meta-Data", "Dir/new", "Meta-Data", "USER-DATA"]);
    assert_eq!(sandbox.succeed(["extract", "b.img", "user-data"]), sandbox.read("u"));
    assert_eq!(
        String::from_utf8(sandbox.succeed(["extract", "b.img", "meta-data"])).unwrap(),
        "instance-id: \"i-2\"\nlocal-hostname: \"db\"\n"
    );
    sandbox.write("wrong", "#cloud-config\n\ta: 1\n");
    let ran = sandbox.run(["set", "b.img", "User-Data=wrong"]);
    assert!(ran.stderr.contains("b.img/USER-DATA:2"), "{ran:?}");
    sandbox.succeed(["set", "--quiet", "b.img", "--remove", "DIR/meta-data", "--remove", "dir/NEW", id]);
    let ran = sandbox.run(["set", "b.img", "user-data=u", "USER-data=u"]);
    assert_eq!(ran, failed(2, "changing image \"b.img\": file name \"USER-DATA\" is given twice"));
    // Names that a guest cannot tell apart are no difference.
    volume(
        &sandbox,
        "c.img",
        "CIDATA",
        &[("user-data", USER_DATA), ("meta-data", META_DATA), ("dir/meta-data", "")],
    );
    assert_eq!(sandbox.run(["diff", "a.img", "c.img"]), done(""));
}

/// The offset of the root directory of the volumes here, and of the label in the boot sector.
const ROOT: usize = 3 * 512;
const BOOT_LABEL: usize = 0x2b;

/// A volume with this label in its boot sector, and these entries in its root directory: names and attributes, and the number of the
/// first cluster.
fn labelled(base: &[u8], boot: &[u8; 11], entries: &[(&[u8; 11], u8, u8)]) -> Vec<u8> {
    let mut image = base.to_vec();
    image[BOOT_LABEL..BOOT_LABEL + 11].copy_from_slice(boot);
    for (number, (name, attributes, cluster)) in entries.iter().enumerate() {
        let entry = &mut image[ROOT + number * 32..][..32];
        entry.fill(0);
        entry[..11].copy_from_slice(*name);
        (entry[11], entry[26]) = (*attributes, *cluster);
    }
    image
}

type Labelled =
    (&'static [u8; 11], &'static [(&'static [u8; 11], u8, u8)], Option<&'static str>, Option<&'static str>);

/// The label in the boot sector, the entries of the root directory, and what `LABEL` and `LABEL_FATBOOT` are.
const LABELS: &[Labelled] = &[
    (b"BOOT       ", &[(b"root       ", 0x08, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x28, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x48, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x0f, 0)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x4f, 0)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0xcf, 0)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x18, 0)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x08, 5)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x08, 5), (b"other      ", 0x08, 0)], Some("other"), Some("BOOT")),
    (b"BOOT       ", &[(b"root       ", 0x08, 0), (b"other      ", 0x08, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b"\xe5oot       ", 0x08, 0), (b"other      ", 0x08, 0)], Some("other"), Some("BOOT")),
    (b"BOOT       ", &[(b"           ", 0x08, 0), (b"other      ", 0x08, 0)], None, Some("BOOT")),
    (b"BOOT       ", &[(b"ro\0ot      ", 0x08, 0)], Some("ro"), Some("BOOT")),
    (b"BOOT       ", &[(b"root\0\0\0\0\0\0\0", 0x08, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b" root      ", 0x08, 0)], Some(" root"), Some("BOOT")),
    (b"BOOT       ", &[(b"root\t\n     ", 0x08, 0)], Some("root"), Some("BOOT")),
    (b"BOOT       ", &[(b"NO NAME    ", 0x08, 0)], Some("NO NAME"), Some("BOOT")),
    (b"BOOT       ", &[(b"\x05oot       ", 0x08, 0)], Some("σoot"), Some("BOOT")),
    (b"BOOT       ", &[(b"r\x81ot       ", 0x08, 0)], Some("rüot"), Some("BOOT")),
    (b"NO NAME    ", &[(b"\xe5          ", 0, 0)], None, None),
    (b"           ", &[(b"\xe5          ", 0, 0)], None, None),
    (b"\0\0\0\0\0\0\0\0\0\0\0", &[(b"root       ", 0x08, 0)], Some("root"), None),
    (b"BO\0OT      ", &[(b"root       ", 0x08, 0)], Some("root"), Some("BO")),
    (b" BOOT      ", &[(b"\xe5          ", 0, 0)], None, Some("BOOT")),
    (b"\xe5OOT       ", &[(b"\xe5          ", 0, 0)], None, Some("σOOT")),
];

fn base(sandbox: &Sandbox) -> Vec<u8> {
    volume(sandbox, "a.img", "CIDATA", &[("user-data", USER_DATA), ("meta-data", META_DATA)]);
    // Room for two labels.
    let mut image = sandbox.read("a.img");
    image.copy_within(ROOT + 32..ROOT + 480, ROOT + 64);
    image
}

#[test]
fn labels_are_those_that_blkid_shows() {
    let sandbox = Sandbox::on_tmpfs();
    let base = base(&sandbox);
    for (boot, entries, root_label, boot_label) in LABELS {
        let mut image = labelled(&base, boot, entries);
        if entries.len() == 1 {
            image[ROOT + 32] = 0xe5;
        }
        let path = sandbox.write("b.img", &image);
        let labels = FatLabels { root: root_label.map(str::to_owned), boot: boot_label.map(str::to_owned) };
        let (volume, _) = Image::open(&path).unwrap().list().unwrap();
        assert_eq!(volume.fat_labels.as_ref(), Some(&labels), "{boot:?} {entries:?}");
        assert_eq!(volume.identifier, root_label.or(*boot_label).unwrap_or_default());
        assert_eq!(fat_labels(&mut probe::open(&path).unwrap()).as_ref(), Some(&labels));
    }
    // The boot sector says that it has no label.
    let mut image = labelled(&base, b"BOOT       ", &[(b"root       ", 0x08, 0)]);
    (image[0x26], image[ROOT + 32]) = (0x28, 0xe5);
    let path = sandbox.write("b.img", &image);
    let labels = FatLabels { root: Some("root".to_owned()), boot: None };
    assert_eq!(fat_labels(&mut probe::open(&path).unwrap()), Some(labels));
}

#[test]
#[ignore = "needs blkid"]
fn blkid_shows_the_same_labels() {
    let sandbox = Sandbox::on_tmpfs();
    let base = base(&sandbox);
    for (boot, entries, root_label, boot_label) in LABELS {
        let mut image = labelled(&base, boot, entries);
        if entries.len() == 1 {
            image[ROOT + 32] = 0xe5;
        }
        sandbox.write("b.img", &image);
        let said = String::from_utf8(sandbox.tool("blkid", ["-p", "-o", "export", "b.img"])).unwrap();
        let said: BTreeMap<_, _> = said.lines().filter_map(|line| line.split_once('=')).collect();
        assert_eq!(said["TYPE"], "vfat");
        for (key, label) in [("LABEL", root_label), ("LABEL_FATBOOT", boot_label)] {
            // Blanks have a backslash before them, and bytes outside of ASCII are written like `M-e`.
            let shown = said.get(key).map(|shown| shown.replace('\\', ""));
            let label = label.map(|label| label.replace('σ', "M-e").replace('ü', "M-^A"));
            assert_eq!(shown, label, "{key}: {boot:?} {entries:?}");
        }
    }
}

#[test]
fn a_guest_finds_a_volume_by_either_label() {
    let sandbox = Sandbox::new();
    let base = base(&sandbox);
    for (boot, root, cloud_init, agent) in [
        (b"cidata     ", b"OTHER      ", true, true),
        (b"CIDATA     ", b"OTHER      ", false, true),
        (b"NO NAME    ", b"cidata     ", true, true),
        (b"OTHER      ", b"CIDATA     ", true, true),
        (b"OTHER      ", b"OTHER      ", false, false),
        (b"OTHER      ", b" CIDATA    ", false, false),
        (b"OTHER      ", b"Cidata     ", false, false),
    ] {
        let mut image = labelled(&base, boot, &[(root, 0x08, 0)]);
        image[ROOT + 32] = 0xe5;
        let path = sandbox.write("b.img", &image);
        let (volume, records) = Image::open(&path).unwrap().list().unwrap();
        assert_eq!(has_cidata(&volume), agent, "{boot:?}, {root:?}");
        assert_eq!(Layout::of(&volume, &records), agent.then_some(Layout::NoCloud));
        let found = row(&sandbox, "b.img", "cloud-init").contains(" yes:");
        assert_eq!(found, cloud_init, "{boot:?}, {root:?}");
        assert_eq!(row(&sandbox, "b.img", "metadata").ends_with("yes yes"), agent);
    }
}

#[test]
fn a_disk_keeps_its_size() {
    let sandbox = Sandbox::new();
    sandbox.write("u", USER_DATA);
    for (bytes, expected) in
        [(8192, 8192), (100_000, 102_400), (2 << 20, 2 << 20), (1 << 30, 1 << 30), (40 << 30, 40 << 30)]
    {
        volume(&sandbox, "a.img", "CIDATA", &[("user-data", "x"), ("meta-data", "")]);
        let path = sandbox.path("a.img");
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes).unwrap();
        let ran = sandbox.run(["set", "a.img", "user-data=u"]);
        assert_eq!(ran, done(&format!("metadata: a.img: {expected} bytes, layout nocloud\n")));
        assert_eq!(fs::metadata(&path).unwrap().len(), expected);
        let mut image = Image::open(&path).unwrap();
        let (volume, records) = image.list().unwrap();
        assert_eq!(volume.bytes, expected);
        assert_eq!(
            image.read(volume.find(&records, "user-data").unwrap(), 100).unwrap(),
            USER_DATA.as_bytes()
        );
    }
    // More than fits makes it larger.
    volume(&sandbox, "a.img", "CIDATA", &[("user-data", "x"), ("meta-data", "")]);
    sandbox.write("large", vec![b'x'; 100_000]);
    sandbox.succeed(["set", "--quiet", "a.img", "large=large"]);
    assert_eq!(fs::metadata(sandbox.path("a.img")).unwrap().len(), 106_496);
    // The tables of a larger disk would be too large, and nobody has one.
    let file = fs::OpenOptions::new().write(true).open(sandbox.path("a.img")).unwrap();
    file.set_len(3 << 40).unwrap();
    let ran = sandbox.run(["set", "a.img", "--remove", "large"]);
    let warning = "metadata: warning: a.img: the disk had 3298534883328 bytes and has 8192\n";
    assert_eq!(ran, done(&format!("{warning}metadata: a.img: 8192 bytes, layout nocloud\n")));
}

#[test]
#[ignore = "needs mkfs.vfat, fsck.vfat and mtools"]
fn a_disk_of_mkfs_vfat_keeps_its_size_and_is_sound() {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", USER_DATA);
    sandbox.write("meta-data", META_DATA);
    sandbox.write("large", vec![b'x'; 1 << 20]);
    for (options, kib) in [
        (&["-F", "12"][..], "1440"),
        (&["-F", "12"], "128"),
        (&["-F", "16"], "16384"),
        (&[], "65536"),
        (&["-F", "32"], "40000"),
        (&["-F", "32", "-s", "1"], "2000000"),
        (&["-S", "2048"], "65536"),
    ] {
        drop(fs::remove_file(sandbox.path("a.img")));
        sandbox.tool("mkfs.vfat", options.iter().chain(&["-n", "CIDATA", "-C", "a.img", kib]));
        sandbox.tool("mcopy", ["-i", "a.img", "user-data", "meta-data", "::"]);
        for change in [&["user-data=meta-data", "--lenient"][..], &["large=large"], &["--remove", "large"]] {
            if kib == "128" && change == ["large=large"] {
                break;
            }
            sandbox.succeed(["set", "--quiet", "a.img"].iter().chain(change));
            sandbox.tool("fsck.vfat", ["-n", "a.img"]);
            let size = fs::metadata(sandbox.path("a.img")).unwrap().len();
            assert_eq!(size, kib.parse::<u64>().unwrap() * 1024, "{options:?}");
            assert_eq!(sandbox.tool("mtype", ["-i", "a.img", "::user-data"]), META_DATA.as_bytes());
        }
    }
}

/// An ISO 9660 image with these bytes at its start, as long as is said.
fn two_in_one(sandbox: &Sandbox, start: &[u8], at: usize, len: usize) {
    let data = ["create", "--quiet", "--force", "--layout=nocloud", "a.iso", USER_DATA];
    sandbox.succeed(data);
    let mut image = sandbox.read("a.iso");
    image[at..at + start.len()].copy_from_slice(start);
    image.resize(image.len().max(len), 0);
    sandbox.write("b.iso", image);
}

const MISTAKABLE: &str = "warning[mistakable]: other programs may mistake the image";

#[test]
fn an_image_that_is_fat_as_well_is_no_iso_9660_image_to_cloud_init() {
    let sandbox = Sandbox::new();
    volume(&sandbox, "f.img", "CIDATA", &[("user-data", "#!/bin/sh\nother\n"), ("meta-data", "")]);
    for len in [0, 4 << 20] {
        two_in_one(&sandbox, &sandbox.read("f.img"), 0, len);
        let rows = [
            "cloud-init nothing no no: blkid takes the image for FAT",
            "metadata user-data yes yes",
            "LinuxKit user-data yes yes",
        ];
        for expected in rows {
            let agent = expected.split(' ').next().unwrap();
            assert_eq!(row(&sandbox, "b.iso", agent), expected);
        }
        let checked = sandbox.run(["check", "b.iso"]);
        assert_eq!(checked.status, Some(1));
        assert!(checked.stdout.contains(MISTAKABLE), "{checked:?}");
        assert!(
            checked.stdout.contains("cloud-init does not find the user data: blkid takes the image for FAT")
        );
        // Everything else reads the ISO 9660 volume, as a guest that looks for one does.
        assert_eq!(sandbox.succeed(["extract", "b.iso", "user-data"]), USER_DATA.as_bytes());
        assert_eq!(sandbox.run(["diff", "a.iso", "b.iso"]), done(""));
        sandbox.succeed(["agent", "--root", "out", "--quiet", "file=b.iso"]);
        assert_eq!(fs::read_to_string(sandbox.path("out/userdata")).unwrap(), USER_DATA);
    }
    // A changed image would lose the other volume.
    sandbox.write("u", USER_DATA);
    let before = sandbox.read("b.iso");
    let ran = sandbox.run(["set", "b.iso", "user-data=u"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(sandbox.read("b.iso") == before);
}

/// Magic bytes at places where an ISO 9660 image has nothing.
const OTHERS: [(&str, usize, &[u8]); 6] = [
    ("ext2", 1080, b"\x53\xef"),
    ("XFS", 0, b"XFSB"),
    ("NTFS", 3, b"NTFS    "),
    ("HFS+", 1024, b"H+"),
    ("LUKS", 0, b"LUKS\xba\xbe\0\x01"),
    ("swap space", 4086, b"SWAPSPACE2"),
];

#[test]
fn magic_bytes_before_the_descriptors_are_a_finding() {
    let sandbox = Sandbox::new();
    for (name, at, bytes) in OTHERS {
        two_in_one(&sandbox, bytes, at, 0);
        let checked = sandbox.run(["check", "b.iso"]);
        assert!(checked.stdout.contains(MISTAKABLE) && checked.stdout.contains(name), "{checked:?}");
        let expected = "cloud-init user-data yes yes: unless blkid takes the image for another file system (see metadata check)";
        assert_eq!(row(&sandbox, "b.iso", "cloud-init"), expected);
    }
    // Boot code is no file system.
    two_in_one(&sandbox, b"\xeb\x3c\x90 boot code", 0, 0);
    assert_eq!(sandbox.run(["check", "b.iso"]).status, Some(0));
    assert_eq!(row(&sandbox, "b.iso", "cloud-init"), "cloud-init user-data yes yes");
}

#[test]
#[ignore = "needs blkid"]
fn blkid_takes_an_image_that_is_fat_as_well_for_fat_or_for_nothing() {
    let sandbox = Sandbox::new();
    volume(&sandbox, "f.img", "CIDATA", &[("user-data", "other"), ("meta-data", "")]);
    // As small as a floppy disk, the first file system counts; otherwise two are an error.
    for (len, said) in [(0, "vfat"), (1440 << 10, "vfat"), (1444 << 10, ""), (4 << 20, "")] {
        two_in_one(&sandbox, &sandbox.read("f.img"), 0, len);
        let mut command = std::process::Command::new("blkid");
        let found = command.current_dir(sandbox.path("")).args(["-p", "-o", "value", "-s", "TYPE", "b.iso"]);
        let found = found.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), said, "{len}");
        assert_eq!(found.status.code(), Some(if said.is_empty() { 8 } else { 0 }));
    }
}

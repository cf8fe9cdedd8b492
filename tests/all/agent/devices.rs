//! Block devices: which are looked at, in which order, and what is made of their images.

use std::{fs, io, os::unix::fs::symlink, sync::Arc, thread};

use metadata_image::{
    agent::{ProbeOutcome, run},
    provider::{
        LogLevel, Provider,
        aws::Aws,
        cdrom::{Cdrom, FileSystems},
    },
};
use rustix::io::Errno;

use super::{Machine, options};

use crate::{imds::Service, support::linuxkit_image, userdata::tree_of};

#[test]
fn a_cdrom_is_applied_before_a_silent_address_is_asked() {
    let machine = Machine::new();
    machine.device("sr0", &machine.image(&["hello"]));
    let service = Service::silent();
    let (report, said) = machine.run(&[Arc::new(Aws::new(&service.url()).unwrap())]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let asked: Vec<_> = report.probes.iter().map(|probe| (probe.provider, probe.outcome)).collect();
    assert_eq!(asked, [("cdrom", ProbeOutcome::Served)], "named second, asked first, and nobody else");
    assert!(report.is_whole());
    assert_eq!(service.log(), [""; 0], "nobody connected");
    assert!(said.last().unwrap().ends_with("2 files written"), "{said:?}");
}

#[test]
fn every_bus_is_looked_at_and_cidata_comes_first() {
    let machine = Machine::new();
    let image = |data: &str| machine.image(&[data]);
    machine.device("sda", &image("from a disk"));
    machine.device("sr0", &machine.image(&["--volume-id", "OTHER", "from a disc"]));
    machine.device("vdb", &image("from another disk"));
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sda"));
    machine.device("sda", &machine.image(&["--volume-id", "OTHER", "of no interest"]));
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/vdb"));
    fs::remove_file(machine.sandbox.path("dev/vdb")).unwrap();
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sr0"));
    assert_eq!(machine.sandbox.read("out/userdata"), b"from a disc");
    // A name with a slash, which sysfs writes otherwise.
    machine.sandbox.write("dev/cciss/c0d0", image("raid"));
    machine.sysfs("cciss!c0d0", 1000);
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/cciss/c0d0"));
}

#[test]
fn no_drive_is_looked_at_once_user_data_has_been_found() {
    let machine = Machine::new();
    machine.device("sda", &machine.image(&["--layout", "nocloud", "", "--hostname", "web"]));
    machine.device("sr0", &machine.image(&["hello"]));
    machine.sysfs("sr1", 1000);
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let about = |name: &str| said.iter().any(|line| line.contains(name));
    assert!(about("/dev/sda"), "it has no user data, so that a better one was looked for: {said:?}");
    assert!(!about("/dev/sr1"), "it cannot even be opened: {said:?}");
}

#[test]
fn a_fat_disk_is_read_unless_its_image_must_be_signed() {
    let machine = Machine::new();
    machine
        .device("vda", &machine.image(&["--filesystem", "vfat", "--volume-id", "OTHER", "of no interest"]));
    machine.device("vdb", &machine.image(&["--filesystem", "vfat", "--volume-id", "cidata", "hello"]));
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"), "{said:?}");
    let other = "cdrom: /dev/vda: a disk with volume identifier \"OTHER\" instead of CIDATA";
    assert!(said.iter().any(|line| line == other), "{said:?}");

    let [devices, blocks] = ["dev", "sys"].map(|name| machine.sandbox.path(name));
    let signed_only = Cdrom::new(devices, blocks).file_systems(FileSystems::Iso9660);
    let mut said = Vec::new();
    let found =
        signed_only.fetch(std::time::Instant::now(), &mut |_, text| said.push(text.to_owned())).unwrap();
    assert_eq!(found, None);
    assert_eq!(said, ["/dev/vda: no ISO 9660 volume", "/dev/vdb: no ISO 9660 volume"]);
}

#[test]
fn without_sysfs_the_cdrom_drives_are_looked_at() {
    let machine = Machine::new();
    machine.device("sr1", &linuxkit_image(b"hello"));
    machine.device("vda", &machine.image(&["of no interest"]));
    fs::remove_dir_all(machine.sandbox.path("sys")).unwrap();
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sr1"));
}

#[test]
fn what_is_no_image_is_passed_over() {
    let machine = Machine::new();
    machine.device("loop0", &machine.image(&["of no interest"]));
    machine.device("ram0", &machine.image(&["of no interest"]));
    machine.device("fd0", &[0; 512]);
    machine.device("vda", &vec![0; 100_000]);
    let huge = fs::File::create(machine.sandbox.path("dev/vdb")).unwrap();
    huge.set_len(10 << 40).unwrap();
    machine.sysfs("vdb", 20 << 30);
    // Reading there is an input/output error.
    symlink("/proc/self/mem", machine.sandbox.path("dev/vdc")).unwrap();
    machine.sysfs("vdc", 1000);
    symlink("/dev/null", machine.sandbox.path("dev/sr0")).unwrap();
    machine.sysfs("sr0", 0);
    machine.device("sr1", &machine.image(&["--layout", "configdrive", "of no interest"]));
    // In the words of the C library.
    let unreadable = format!("cdrom: /dev/vdc: {}", io::Error::from(Errno::IO));
    let (report, said) = machine.run(&[]);
    assert_eq!(
        said,
        [
            "cdrom: /dev/fd0: too small for an image",
            "cdrom: /dev/sr0: not a regular file or a block device",
            "cdrom: /dev/vda: no ISO 9660 or FAT volume",
            "cdrom: /dev/vdb: no ISO 9660 or FAT volume",
            &unreadable,
            "cdrom: /dev/sr1: volume \"config-2\" has no data in user-data, config or meta-data",
            "cdrom: nothing found",
            "no metadata found (asked cdrom)",
        ]
    );
    assert!(report.is_whole(), "nothing was found, and nothing is broken");
}

#[test]
fn a_device_that_cannot_be_looked_at_may_have_been_the_one() {
    let machine = Machine::new();
    machine.sysfs("vda", 1000);
    let (report, said) = machine.run(&[]);
    let why = "/dev/vda: opening the device (is devtmpfs mounted on /dev?)";
    assert_eq!(said, [format!("cdrom: broken: {why}: No such file or directory (os error 2)")]);
    assert!(!report.is_whole());

    machine.device("vdb", &machine.image(&["hello"]));
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"));
    assert!(report.is_whole() && said.iter().any(|line| line.contains(why)), "{said:?}");
}

#[test]
fn a_broken_image_is_named_and_the_next_one_serves() {
    let machine = Machine::new();
    let whole = machine.image(&["hello"]);
    machine.device("vda", &whole[..40_000]);
    let (report, _) = machine.run(&[]);
    assert!(!report.is_whole());
    assert_eq!(report.probes[0].outcome, ProbeOutcome::Broken);
    machine.device("vdb", &whole);
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"));
    assert!(report.is_whole());
    let about_vda: Vec<_> = said.iter().filter(|line| line.contains("/dev/vda")).collect();
    assert!(about_vda.len() == 1 && about_vda[0].starts_with("cdrom: /dev/vda: reading image"), "{said:?}");
}

#[test]
fn user_data_of_more_than_64_mebibytes_is_refused() {
    let machine = Machine::new();
    let data = fs::File::create(machine.sandbox.path("data")).unwrap();
    data.set_len((64 << 20) + 1).unwrap();
    let sandbox = &machine.sandbox;
    sandbox.succeed(["create", "--quiet", "--data-file", "data", "dev/sr0"]);
    machine.sysfs("sr0", 1 << 20);
    let (report, said) = machine.run(&[]);
    assert!(report.probes[0].outcome == ProbeOutcome::Broken && !report.is_whole(), "{said:?}");
    data.set_len(64 << 20).unwrap();
    sandbox.succeed(["create", "--quiet", "--data-file", "data", "dev/sr0"]);
    assert!(machine.run(&[]).0.is_whole());
}

#[test]
fn meta_data_gives_what_user_data_does_not() {
    let machine = Machine::new();
    machine.sandbox.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me\n",
    );
    let nocloud = ["--layout", "nocloud", "--hostname", "web", "--ssh-key", "key.pub"];
    machine.device("vda", &machine.image(&[&nocloud[..], &["#cloud-config\n"]].concat()));
    machine.run(&[]);
    let tree = |machine: &Machine| {
        let tree = tree_of(&machine.sandbox.path("out"));
        tree.split_inclusive('\n').filter(|line| !line.contains("userdata")).collect::<String>()
    };
    let expected = r#"0644 hostname "web"
0644 provider "CDROM /dev/vda"
0700 ssh/
0600 ssh/authorized_keys "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me\n"
"#;
    assert_eq!(tree(&machine), expected);
    let own =
        r#"{"hostname": {"content": "own"}, "ssh": {"entries": {"authorized_keys": {"content": "own"}}}}"#;
    machine.device("vda", &machine.image(&[&nocloud[..], &[own]].concat()));
    machine.run(&[]);
    let expected = "0644 hostname \"own\"\n0644 provider \"CDROM /dev/vda\"\n0700 ssh/\n0644 ssh/authorized_keys \"own\"\n";
    assert_eq!(tree(&machine), expected);
}

#[test]
fn meta_data_that_cannot_be_read_is_a_loss() {
    let machine = Machine::new();
    for metadata in ["local-hostname: [\n", "- a\n", "a: 1\n---\nb: 2\n", "local-hostname: we_b\n"] {
        machine.sandbox.write("meta-data", metadata);
        let arguments = ["--layout", "nocloud", "--meta-data", "meta-data", "#cloud-config\n"];
        machine.device("vda", &machine.image(&arguments));
        let (report, said) = machine.run(&[]);
        assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vda"));
        assert!(report.skipped.len() == 1 && !report.is_whole(), "{metadata}: {said:?}");
    }
}

#[test]
fn a_provider_s_keys_do_not_go_without_a_word() {
    let machine = Machine::new();
    machine.sandbox.write(
        "meta-data",
        "public-keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV]\n",
    );
    let data = r#"{"ssh": {"content": "in the way"}}"#;
    let arguments = ["--layout", "nocloud", "--meta-data", "meta-data", data];
    machine.device("vda", &machine.image(&arguments));
    let (report, _) = machine.run(&[]);
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(report.skipped[0].path, "ssh");
}

#[test]
fn a_device_that_appears_late_is_waited_for() {
    let machine = Machine::new();
    machine.device("vda", &vec![0; 100_000]);
    let image = machine.image(&["hello"]);
    let mut said = Vec::new();
    let report = run(&[machine.cdrom()], &options(&machine.sandbox.path("out"), 600), &mut |level, text| {
        if said.is_empty() {
            // The first round is under way.
            machine.device("sr0", &image);
        }
        said.push((level, text.to_owned()));
    });
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let about_vda =
        said.iter().filter(|(level, text)| *level == LogLevel::Detail && text.contains("/dev/vda"));
    assert_eq!(about_vda.count(), 1, "{said:?}");
}

#[test]
fn two_agents_at_once_write_the_same() {
    let machine = Machine::new();
    machine.device("sr0", &machine.image(&[r#"{"a": {"entries": {"b": {"content": "x"}}}}"#]));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(machine.run(&[]).0.is_whole()));
        }
    });
    assert_eq!(tree_of(&machine.sandbox.path("out")).lines().count(), 4);
}

//! The program in a virtual machine. `scripts/guest-test` runs these tests.

mod agreement;
mod fat;
mod isofs;
mod linuxkit;
mod machine;
mod network;
mod trust;

use std::fs::OpenOptions;

use machine::{Guest, Run, directory, file};

use crate::support::{self, noise};

/// User data with a host name, and with modes that are not the usual ones.
const TREE: &str = r#"{
  "hostname": {"content": "web\n"},
  "ssh": {"perm": "0700", "entries": {"sshd_config": {"perm": "0600", "content": "PermitRootLogin no\n"}}},
  "run": {"entries": {"start": {"perm": "0755", "content": "exec true\n"}, "empty": {"content": ""}}}
}"#;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcvBFcVyl0SXBu2wJNyjYVSaIgOgMQzCcsFRmyGsNcF me@host";

/// The agent's run in a guest without a host name and without /run/config when all is well: what it says, and that it
/// makes `provider`, `userdata` and the other files and directories, sets the host name, and changes nothing else.
fn applied(origin: &str, userdata: &str, name: Option<&str>, others: &[Vec<String>]) -> Run {
    let mut made = vec![
        directory("/run/config", 0o755),
        file("/run/config/provider", 0o644, origin),
        file("/run/config/userdata", 0o600, userdata),
    ];
    made.extend_from_slice(others);
    let bytes = userdata.len();
    let files = made.iter().filter(|lines| !lines[0].ends_with('/')).count();
    let mut says = vec![
        format!("metadata: {origin}: {bytes} bytes of user data\n"),
        format!("metadata: \"/run/config\": {files} files written\n"),
    ];
    let mut run = Run::new("", &made);
    if let Some(name) = name {
        says.push(format!("metadata: the host name is {name:?}\n"));
        run.changes.extend(["- hostname (none)".to_owned(), format!("+ hostname {name}")]);
        run.changes.sort();
    }
    Run { ran: support::done(&says.concat()), ..run }
}

/// The same for [`TREE`].
fn applied_tree(origin: &str) -> Run {
    let others = [
        file("/run/config/hostname", 0o644, "web\n"),
        directory("/run/config/ssh", 0o700),
        file("/run/config/ssh/sshd_config", 0o600, "PermitRootLogin no\n"),
        directory("/run/config/run", 0o755),
        file("/run/config/run/start", 0o755, "exec true\n"),
        file("/run/config/run/empty", 0o644, ""),
    ];
    applied(origin, TREE, Some("web"), &others)
}

#[test]
#[ignore = "needs a guest"]
fn a_cd_rom_on_ata_is_applied_and_applied_again() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    let report = guest.boot("umask 077\n run first metadata agent\n run again metadata agent");
    let expected = applied_tree("CDROM /dev/sr0");
    assert_eq!(report.run("first"), expected);
    assert_eq!(report.run("again"), Run { changes: Vec::new(), ..expected });
}

#[test]
#[ignore = "needs a guest"]
fn a_virtio_disk_is_applied() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.virtio_disk("meta.iso");
    let report = guest.boot(
        "run agent metadata agent cdrom
        hostname other
        run roundabout metadata agent --root /run/../run/config cdrom",
    );
    assert_eq!(report.run("agent"), applied_tree("CDROM /dev/vda"));
    assert_eq!(report.run("roundabout").changes, ["+ hostname web", "- hostname other"]);
}

#[test]
#[ignore = "needs a guest"]
fn a_cd_rom_on_scsi_is_applied_by_the_other_name_of_the_provider() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.scsi_cdrom("meta.iso");
    let report = guest.boot("run agent metadata agent hyperkit");
    assert_eq!(report.run("agent"), applied_tree("CDROM /dev/sr0"));
}

#[test]
#[ignore = "needs a guest"]
fn a_guest_with_nothing_but_dev_and_sys_is_enough() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    let report = guest.boot_bare("modules\n drives 1\n umask 077\n run agent metadata agent");
    let mut expected = applied_tree("CDROM /dev/sr0");
    expected.changes.extend(Run::new("", &[directory("/run", 0o755)]).changes);
    expected.changes.sort();
    assert_eq!(report.run("agent"), expected);
}

#[test]
#[ignore = "needs a guest"]
fn a_device_that_appears_late_is_waited_for() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    let report =
        guest.boot_bare("ordinary\n (sleep 2; modules) &\n run agent metadata agent --wait 60 cdrom");
    let mut run = report.run("agent");
    // The devices appear while the agent runs.
    run.changes.retain(|line| !line.contains(" /dev/"));
    assert_eq!(run, applied_tree("CDROM /dev/sr0"));
}

#[test]
#[ignore = "needs a guest"]
fn a_nocloud_seed_gives_the_host_name_and_public_keys() {
    let mut guest = Guest::new();
    let data = "#cloud-config\npackages: [nginx]\n";
    guest.sandbox.write("key.pub", format!("{KEY}\n"));
    let arguments = ["create", "seed.iso", data, "--layout", "nocloud"];
    guest.sandbox.succeed([&arguments[..], &["--hostname", "web-1", "--ssh-key", "key.pub"]].concat());
    guest.virtio_disk("seed.iso");
    let report = guest.boot("run agent metadata agent cdrom");
    let others = [
        file("/run/config/hostname", 0o644, "web-1"),
        directory("/run/config/ssh", 0o700),
        file("/run/config/ssh/authorized_keys", 0o600, format!("{KEY}\n")),
    ];
    assert_eq!(report.run("agent"), applied("CDROM /dev/vda", data, Some("web-1"), &others));
}

#[test]
#[ignore = "needs a guest"]
fn a_seed_that_virt_install_asks_for_is_applied() {
    let mut guest = Guest::new();
    let data = "#cloud-config\npackages: [nginx]\n";
    guest.sandbox.write("seed/user-data", data);
    guest.sandbox.write("seed/meta-data", "instance-id: i-1\nlocal-hostname: web-1\n");
    std::fs::create_dir(guest.sandbox.path("bin")).unwrap();
    guest.sandbox.succeed(["install-names", "bin"]);
    // virtinst/install/installerinject.py of virt-manager 4.1, which makes the file before.
    guest.sandbox.write("seed.iso", "");
    let arguments = "-o seed.iso -J -input-charset utf8 -rational-rock -V cidata seed";
    let program = guest.sandbox.path("bin/xorrisofs");
    guest.sandbox.tool(program.to_str().unwrap(), arguments.split(' '));
    let label = guest.sandbox.tool("blkid", ["-p", "-o", "value", "-s", "LABEL", "seed.iso"]);
    assert_eq!(label, b"cidata\n");
    guest.virtio_disk("seed.iso");
    let report = guest.boot(
        "mkdir /seed && mount -t iso9660 -o ro /dev/vda /seed
        run mounted cat /seed/meta-data
        umount /seed && rmdir /seed
        run agent metadata agent cdrom",
    );
    assert_eq!(report.run("mounted").ran.stdout, "instance-id: i-1\nlocal-hostname: web-1\n");
    let others = [file("/run/config/hostname", 0o644, "web-1")];
    assert_eq!(report.run("agent"), applied("CDROM /dev/vda", data, Some("web-1"), &others));
}

#[test]
#[ignore = "needs a guest"]
fn user_data_goes_before_meta_data() {
    let mut guest = Guest::new();
    let data =
        r#"{"hostname": {"content": "mine"}, "ssh": {"entries": {"authorized_keys": {"content": "mine"}}}}"#;
    guest.sandbox.write("key.pub", KEY);
    let arguments = ["create", "--lenient", "seed.iso", data, "--layout", "nocloud"];
    guest.sandbox.succeed([&arguments[..], &["--hostname", "web-1", "--ssh-key", "key.pub"]].concat());
    guest.cdrom("seed.iso");
    let report = guest.boot("run agent metadata agent cdrom");
    let others = [
        file("/run/config/hostname", 0o644, "mine"),
        directory("/run/config/ssh", 0o700),
        file("/run/config/ssh/authorized_keys", 0o644, "mine"),
    ];
    assert_eq!(report.run("agent"), applied("CDROM /dev/sr0", data, Some("mine"), &others));
}

#[test]
#[ignore = "needs a guest"]
fn of_two_discs_the_one_with_the_right_label_is_taken() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "other.iso", "of another disc", "--volume-id", "OTHER"]);
    guest.sandbox.succeed(["create", "meta.iso", "hello"]);
    guest.cdrom("other.iso");
    guest.cdrom("meta.iso");
    let report = guest.boot("run agent metadata agent cdrom");
    assert_eq!(report.run("agent"), applied("CDROM /dev/sr1", "hello", None, &[]));
}

#[test]
#[ignore = "needs a guest"]
fn an_empty_drive_is_passed_over() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", "hello"]);
    guest.empty_cdrom();
    guest.virtio_disk("meta.iso");
    let report = guest.boot("run agent metadata agent cdrom");
    assert_eq!(report.run("agent"), applied("CDROM /dev/vda", "hello", None, &[]));
}

#[test]
#[ignore = "needs a guest"]
fn a_disc_that_linuxkit_made_is_applied() {
    let mut guest = Guest::new();
    guest.sandbox.write("meta.iso", support::linuxkit_image(TREE.as_bytes()));
    guest.cdrom("meta.iso");
    let report = guest.boot("run agent metadata agent cdrom");
    assert_eq!(report.run("agent"), applied_tree("CDROM /dev/sr0"));
}

#[test]
#[ignore = "needs a guest"]
fn data_disks_are_left_alone() {
    let mut guest = Guest::new();
    // A partition of Linux from sector 64 on, of 1,984 sectors.
    let mut disk = noise(1 << 20);
    disk[446..512].fill(0);
    disk[450] = 0x83;
    disk[454] = 64;
    disk[458..460].copy_from_slice(&1984_u16.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    guest.sandbox.write("disk", &disk);
    let huge = guest.sandbox.write("huge", "");
    OpenOptions::new().write(true).open(huge).unwrap().set_len(10 << 40).unwrap();
    guest.sandbox.succeed(["create", "meta.iso", "hello"]);
    guest.sandbox.succeed(["create", "faulty.iso", "of a disk that cannot be read"]);
    guest.data_disk("disk");
    guest.data_disk("huge");
    guest.faulty_disk("faulty.iso");
    guest.cdrom("meta.iso");
    let report =
        guest.boot("run partition ls /dev/vda1\n run reading head -c 1 /dev/vdc\n run agent metadata agent");
    assert_eq!(report.run("partition").ran.status, Some(0));
    assert_eq!(report.run("reading").ran.stderr, "head: /dev/vdc: Input/output error\n");
    assert_eq!(report.run("agent"), applied("CDROM /dev/sr0", "hello", None, &[]));
    assert!(report.sandbox.read("disk") == disk);
}

#[test]
#[ignore = "needs a guest"]
fn a_damaged_disc_does_not_hide_a_good_disk() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", "hello"]);
    // Cut off behind the descriptors, so that the directories are missing.
    let mut damaged = guest.sandbox.read("meta.iso");
    damaged.truncate(19 * 2048);
    guest.sandbox.write("damaged.iso", damaged);
    guest.cdrom("damaged.iso");
    guest.virtio_disk("meta.iso");
    let report = guest.boot("run agent metadata agent");
    let mut expected = applied("CDROM /dev/vda", "hello", None, &[]);
    let why = "the image is cut off, or refers to a place past its end";
    let says = format!("metadata: cdrom: /dev/sr0: reading image \"/dev/sr0\": {why}\n");
    expected.ran.stderr.insert_str(0, &says);
    assert_eq!(report.run("agent"), expected);
}

#[test]
#[ignore = "needs a guest"]
fn nothing_attached_is_no_fault_and_said_in_one_line() {
    let report = Guest::new().boot("run agent metadata agent\n run again metadata agent cdrom");
    let says = "metadata: no metadata found (asked cdrom, aws, gcp)\n";
    assert_eq!(report.run("agent"), Run::new(says, &[directory("/run/config", 0o755)]));
    let says = "metadata: no metadata found (asked cdrom)\n";
    assert_eq!(report.run("again"), Run::new(says, &[]));
}

#[test]
#[ignore = "needs a guest"]
fn names_and_links_lead_nowhere_else() {
    let data = r#"{"../a": {"content": "x"}, "/b": {"content": "x"},
"c": {"content": "c"}, "d": {"entries": {"e": {"content": "e"}}}}"#;
    let report = Guest::new().boot(&format!(
        "echo -n '{data}' >/data
        mkdir /run/config
        ln -s /c /run/config/c
        ln -s / /run/config/d
        run agent metadata agent file=/data"
    ));
    let why = "the name contains '/', which would lead to another directory; the entry is skipped [bad-name]";
    let says = format!(
        "metadata: FILE /data: 116 bytes of user data\n\
         metadata: user data:1:2: \"../a\": {why}\n\
         metadata: user data:1:28: \"/b\": {why}\n\
         metadata: skipping \"d\": a symbolic link has this name\n\
         metadata: \"/run/config\": 3 files written\n\
         metadata: applying FILE /data: 3 items were skipped\n"
    );
    let made = [
        file("/run/config/provider", 0o644, "FILE /data"),
        file("/run/config/userdata", 0o600, data),
        file("/run/config/c", 0o644, "c"),
    ];
    let mut expected = Run::new(&says, &made);
    expected.ran.status = Some(1);
    expected.changes.push("- 777 symbolic link /run/config/c".to_owned());
    assert_eq!(report.run("agent"), expected);
}

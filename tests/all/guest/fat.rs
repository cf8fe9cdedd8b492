//! FAT volumes: the agent reads the block device itself, where the kernel has no module for them.

use super::{
    applied, applied_tree,
    machine::{Guest, file},
};

/// The file systems that the kernel of the guest knows, without `vfat`.
const WITHOUT_VFAT: &str = "run known grep -c vfat /proc/filesystems";

#[test]
#[ignore = "needs a guest"]
fn a_fat_image_as_a_virtio_disk_is_applied_without_a_module() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "--filesystem", "vfat", "meta.img", super::TREE]);
    guest.virtio_disk("meta.img");
    let report = guest.boot(&format!("{WITHOUT_VFAT}\n run agent metadata agent"));
    assert_eq!(report.run("known").ran.stdout, "0\n");
    assert_eq!(report.run("agent"), applied_tree("CDROM /dev/vda"));
}

#[test]
#[ignore = "needs a guest"]
fn a_seed_that_mkfs_vfat_and_mcopy_made_is_applied_without_a_module() {
    let mut guest = Guest::new();
    let data = "#cloud-config\npackages: [nginx]\n";
    guest.sandbox.write("user-data", data);
    guest.sandbox.write("meta-data", "instance-id: i-1\nlocal-hostname: web-1\n");
    // Cloud Hypervisor's script makes its seed so; the disk has 8 MiB.
    guest.sandbox.tool("mkfs.vfat", ["-n", "CIDATA", "-C", "seed.img", "8192"]);
    guest.sandbox.tool("mcopy", ["-i", "seed.img", "user-data", "meta-data", "::"]);
    guest.virtio_disk("seed.img");
    let report = guest.boot(&format!("{WITHOUT_VFAT}\n run agent metadata agent cdrom"));
    assert_eq!(report.run("known").ran.stdout, "0\n");
    let others = [file("/run/config/hostname", 0o644, "web-1")];
    assert_eq!(report.run("agent"), applied("CDROM /dev/vda", data, Some("web-1"), &others));
}

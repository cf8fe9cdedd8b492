use crate::support::{Ran, Sandbox, failed};

fn printed(line: &str) -> Ran {
    Ran { status: Some(0), stdout: format!("{line}\n"), stderr: String::new() }
}

#[test]
fn every_monitor_gets_its_arguments() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    for (arguments, line) in [
        (&["qemu"] as &[_], "-drive file=meta.iso,media=cdrom,readonly=on,format=raw"),
        (&["qemu", "--as", "virtio"], "-drive file=meta.iso,if=virtio,readonly=on,format=raw"),
        (&["hyperkit"], "-s 3,ahci-cd,meta.iso"),
        (&["hyperkit", "--as", "virtio"], "-s 3,virtio-blk,meta.iso"),
        (&["cloud-hypervisor"], "--disk path=meta.iso,readonly=on"),
        (&["vfkit", "--as", "virtio"], "--device virtio-blk,path=meta.iso"),
        (&["virt-install"], "--disk path=meta.iso,device=cdrom,readonly=on"),
        (&["virt-install", "--as", "virtio"], "--disk path=meta.iso,device=disk,bus=virtio,readonly=on"),
        (
            &["firecracker"],
            "-X PUT http://localhost/drives/metadata -H 'Content-Type: application/json' -d \
             '{\"drive_id\":\"metadata\",\"is_read_only\":true,\"is_root_device\":false,\"path_on_host\":\"meta.iso\"}'",
        ),
    ] {
        let (vmm, options) = arguments.split_first().unwrap();
        let ran = sandbox.run([&["attach", vmm, "meta.iso"], options].concat());
        assert_eq!(ran, printed(line));
    }
}

#[test]
fn paths_that_a_shell_would_split_are_quoted() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "it's a, b.iso", "hello"]);
    let line = r#"-drive "file=it's a,, b.iso,media=cdrom,readonly=on,format=raw""#;
    assert_eq!(sandbox.run(["attach", "qemu", "it's a, b.iso"]), printed(line));
    let line = r#"["-drive","file=it's a,, b.iso,media=cdrom,readonly=on,format=raw"]"#;
    assert_eq!(sandbox.run(["attach", "qemu", "it's a, b.iso", "--json"]), printed(line));
    let line = r#"vfkit does not accept a comma in a path: "it's a, b.iso""#;
    assert_eq!(sandbox.run(["attach", "vfkit", "it's a, b.iso"]), failed(1, line));
}

#[test]
fn mistakes_are_shown_before_the_boot() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello", "--volume-id", "mine"]);
    let line = r#"reading image "absent.iso": No such file or directory (os error 2)"#;
    assert_eq!(sandbox.run(["attach", "qemu", "absent.iso"]), failed(1, line));
    let line = "firecracker has no CD-ROM; attach the image as a virtio disk (--as virtio)";
    assert_eq!(sandbox.run(["attach", "firecracker", "meta.iso", "--as", "cdrom"]), failed(2, line));
    let ran = sandbox.run(["attach", "vfkit", "meta.iso"]);
    let warning = "warning: no known agent finds data on this virtio disk (metadata show says why)";
    assert_eq!(ran.stderr, format!("metadata: {warning}\n"));
    assert_eq!(ran.stdout, "--device virtio-blk,path=meta.iso\n");
}

#[test]
fn managers_of_machines_attach_an_image_themselves() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "my seed.iso", "hello"]);
    let whole = sandbox.path("my seed.iso");
    let libvirt = format!(
        "libvirt attaches the image itself, by its whole path: virsh attach-disk DOMAIN '{}' sda --targetbus sata --type cdrom \
         --mode readonly --config; for a new domain: metadata attach virt-install IMAGE",
        whole.display()
    );
    let proxmox = "Proxmox VE attaches the image itself, from /var/lib/vz/template/iso: qm set VMID --ide2 local:iso/'my seed.iso',media=cdrom";
    sandbox.succeed(["create", "-q", "--filesystem", "vfat", "fat.img", "hello"]);
    let disk = sandbox.path("fat.img");
    let [libvirt_disk, proxmox_disk] = [
        "libvirt attaches the image itself, by its whole path: virsh attach-disk DOMAIN {} vdb --targetbus virtio --mode \
         readonly --config; for a new domain: metadata attach virt-install IMAGE",
        "Proxmox VE copies the image to a disk of its own, by its whole path: qm set VMID --virtio1 STORAGE:0,import-from={}",
    ]
    .map(|words| words.replace("{}", disk.to_str().unwrap()));
    for (arguments, line) in [
        (&["attach", "libvirt", "my seed.iso"] as &[_], &*libvirt),
        (&["attach", "libvirt", "fat.img"], &libvirt_disk),
        (&["attach", "qm", "fat.img"], &proxmox_disk),
        (&["attach", "proxmox", "--as", "cdrom", "my seed.iso"], proxmox),
        (&["attach", "Virsh", "my seed.iso"], &libvirt),
        (&["attach", "proxmox", "my seed.iso"], proxmox),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
}

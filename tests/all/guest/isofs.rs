//! Images as the kernel's own isofs reads them, by every kind of name that is on them.

use super::machine::{Guest, directory, file};
use crate::support::noise;

/// An image, and what was put on it.
struct Volume {
    image: &'static str,
    directories: &'static [&'static str],
    files: Vec<(&'static str, Vec<u8>)>,
}

/// What is left to read names by, the modes that come of it, and whether a name has its dashes.
const WAYS: [(&str, u32, u32, bool); 4] = [
    ("ro", 0o400, 0o500, true),
    ("ro,nojoliet", 0o400, 0o500, true),
    ("ro,norock", 0o555, 0o555, true),
    ("ro,norock,nojoliet", 0o555, 0o555, false),
];

#[test]
#[ignore = "needs a guest"]
fn the_kernel_reads_every_layout_by_every_kind_of_name() {
    let mut guest = Guest::new();
    let volumes = every_layout(&guest);
    let devices = [["sr0", "vda"], ["sr1", "vdb"], ["sr2", "vdc"]];
    let mut steps = Vec::new();
    for (volume, devices) in volumes.iter().zip(devices) {
        guest.cdrom(volume.image);
        guest.virtio_disk(volume.image);
        for (device, (options, ..)) in devices.iter().flat_map(|device| WAYS.map(|way| (device, way))) {
            steps.push(format!("volume {device},{options} {device} {options}\n"));
        }
    }
    let report = guest.boot(&steps.concat());
    for (volume, devices) in volumes.iter().zip(devices) {
        for (options, file_mode, directory_mode, dashes) in WAYS {
            let path =
                |name: &str| format!("./{}", if dashes { name.to_owned() } else { name.replace('-', "_") });
            let directories = volume.directories.iter().map(|name| directory(&path(name), directory_mode));
            let files = volume.files.iter().map(|(name, content)| file(&path(name), file_mode, content));
            let mut expected: Vec<_> = directories.chain(files).flatten().collect();
            expected.sort();
            for device in devices {
                assert_eq!(report.volume(&format!("{device},{options}")), expected, "{device}, {options}");
            }
        }
    }
}

/// Where `create` warns and `sign` refuses, the kernel does find one file by the name of another; and where not, it finds all.
#[test]
#[ignore = "needs a guest"]
fn the_kernel_folds_names_as_we_say() {
    let mut guest = Guest::new();
    let names = ["USER-DATA", "user-data...", "a+", "a-", "日", "日本語"];
    let files = names.iter().enumerate().flat_map(|(number, name)| {
        guest.sandbox.write(&number.to_string(), number.to_string());
        ["--file".to_owned(), format!("{name}={number}")]
    });
    let create = ["create", "--quiet", "names.iso", "hello"].map(str::to_owned);
    guest.sandbox.succeed(create.into_iter().chain(files));
    guest.virtio_disk("names.iso");
    let steps = WAYS.map(|(options, ..)| format!("volume vda,{options} vda {options}\n"));
    let report = guest.boot(&steps.concat());
    let own = ["USER-DATA", "user-data...", "a+", "a-", "日", "日本語"].map(str::to_owned);
    let rock_ridge: Vec<_> = own.iter().cloned().zip(0..).collect();
    // `user-data`, which the directory has for `user-data...`, is the file `USER-DATA` to whoever opens it.
    let mut joliet: Vec<_> = own.into_iter().zip(0..).collect();
    joliet[1] = ("user-data".to_owned(), 0);
    let plain = ["user_data", "user_data__", "a_", "a__1", "_", "___"].map(str::to_owned);
    let plain: Vec<_> = plain.into_iter().zip(0..).collect();
    for ((options, mode, ..), files) in WAYS.into_iter().zip([&rock_ridge, &rock_ridge, &joliet, &plain]) {
        let files = files.iter().map(|(name, number)| (name.clone(), number.to_string()));
        let files = files.chain([("config".to_owned(), "hello".to_owned())]);
        let mut expected: Vec<_> =
            files.flat_map(|(name, content)| file(&format!("./{name}"), mode, content)).collect();
        expected.sort();
        assert_eq!(report.volume(&format!("vda,{options}")), expected, "{options}");
    }
}

fn every_layout(guest: &Guest) -> [Volume; 3] {
    guest.sandbox.write("large", noise(300_000));
    guest.sandbox.write("network", "version: 2\n");
    guest.sandbox.write("openstack", "{\"uuid\": \"i-1\"}\n");
    let create = |arguments: &[&str]| guest.sandbox.succeed([&["create", "--lenient"], arguments].concat());
    create(&["linuxkit.iso", "hello", "--file", "models/large=large"]);
    create(&[
        "nocloud.iso",
        "hello",
        "--layout=nocloud",
        "--instance-id=i-1",
        "--hostname=web",
        "--network-config=network",
    ]);
    create(&["configdrive.iso", "hello", "--layout=configdrive", "--meta-data=openstack"]);
    [
        Volume {
            image: "linuxkit.iso",
            directories: &["models"],
            files: vec![("config", b"hello".to_vec()), ("models/large", noise(300_000))],
        },
        Volume {
            image: "nocloud.iso",
            directories: &[],
            files: vec![
                ("user-data", b"hello".to_vec()),
                ("meta-data", b"instance-id: \"i-1\"\nlocal-hostname: \"web\"\n".to_vec()),
                ("network-config", b"version: 2\n".to_vec()),
            ],
        },
        Volume {
            image: "configdrive.iso",
            directories: &["openstack", "openstack/latest"],
            files: vec![
                ("openstack/latest/user_data", b"hello".to_vec()),
                ("openstack/latest/meta_data.json", b"{\"uuid\": \"i-1\"}\n".to_vec()),
            ],
        },
    ]
}

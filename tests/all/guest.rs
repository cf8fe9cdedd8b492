//! The program in a virtual machine, and its images there. `scripts/guest-test` runs these tests.

mod machine;

use machine::{Guest, directory, file};

use crate::support::noise;

/// Gives an image of each layout, and what is on it: names, and the contents of files.
fn images_of_all_layouts(guest: &Guest) -> [(&'static str, Vec<(&'static str, Option<Vec<u8>>)>); 3] {
    let large = noise(300_000);
    guest.sandbox.write("large", &large);
    guest.sandbox.write("network", "version: 2\n");
    guest.sandbox.write("openstack.json", "{\"uuid\": \"i-1\"}\n");
    let create = |image, layout, options: &[&str]| {
        guest.sandbox.succeed([&["create", image, "hello", "--layout", layout], options].concat());
    };
    create("linuxkit.iso", "linuxkit", &["--file", "models/large=large"]);
    let options = ["--instance-id", "i-1", "--hostname", "web", "--network-config", "network"];
    create("nocloud.iso", "nocloud", &options);
    create("configdrive.iso", "configdrive", &["--meta-data", "openstack.json"]);

    let text = |text: &str| Some(text.as_bytes().to_vec());
    [
        ("linuxkit.iso", vec![("config", text("hello")), ("models", None), ("models/large", Some(large))]),
        (
            "nocloud.iso",
            vec![
                ("user-data", text("hello")),
                ("meta-data", text("instance-id: \"i-1\"\nlocal-hostname: \"web\"\n")),
                ("network-config", text("version: 2\n")),
            ],
        ),
        (
            "configdrive.iso",
            vec![
                ("openstack", None),
                ("openstack/latest", None),
                ("openstack/latest/user_data", text("hello")),
                ("openstack/latest/meta_data.json", text("{\"uuid\": \"i-1\"}\n")),
            ],
        ),
    ]
}

#[test]
#[ignore = "needs a guest"]
fn the_kernel_reads_every_layout_by_every_kind_of_name() {
    let mut guest = Guest::new();
    let images = images_of_all_layouts(&guest);
    for (image, _) in &images {
        guest.cdrom(image);
        guest.virtio_disk(image);
    }
    // What the options leave to read names by, the modes that come of it, and whether a name has its dashes.
    let ways = [
        ("exec", 0o400, 0o500, true),
        ("nojoliet", 0o400, 0o500, true),
        ("norock", 0o555, 0o555, true),
        ("norock,nojoliet", 0o555, 0o555, false),
    ];
    let devices = [["sr0", "vda"], ["sr1", "vdb"], ["sr2", "vdc"]];
    let mut steps = String::new();
    for device in devices.as_flattened() {
        for (options, ..) in ways {
            steps += &format!("volume {device},{options} {device} {options}\n");
        }
    }
    let report = guest.boot(&steps);
    for ((_, entries), devices) in images.iter().zip(devices) {
        for (options, file_mode, directory_mode, dashes) in ways {
            let lines = entries.iter().flat_map(|(name, content)| {
                let path = format!("./{}", if dashes { (*name).to_owned() } else { name.replace('-', "_") });
                match content {
                    Some(content) => file(&path, file_mode, content),
                    None => directory(&path, directory_mode),
                }
            });
            let mut expected: Vec<_> = lines.collect();
            expected.sort();
            for device in devices {
                assert_eq!(report.volume(&format!("{device},{options}")), expected, "{device}, {options}");
            }
        }
    }
}

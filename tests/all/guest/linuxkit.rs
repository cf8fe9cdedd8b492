//! The entry for the YAML of LinuxKit in docs/agent.md, in a container as LinuxKit makes it.

use std::fs;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

use super::{TREE, applied_tree, machine::Guest};

fn texts(list: &Yaml) -> Vec<String> {
    list.as_sequence().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What LinuxKit gives the container runtime for a container: mounts that every one has unless the entry binds something
/// to their place, namespaces of its own for processes, mounts and control groups, and no device that the entry does not
/// name (linuxkit, `src/cmd/linuxkit/moby/config.go`).
fn oci(entry: &Yaml) -> Value {
    let mount = |place: &str, kind: &str, source: &str, options: &[&str]| {
        let options = options.to_vec();
        json!({"destination": place, "type": kind, "source": source, "options": options})
    };
    let mut mounts = vec![
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        mount("/proc", "proc", "proc", &["nosuid", "nodev", "noexec", "relatime"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ];
    for bind in texts(&entry["binds"]) {
        let (source, place) = bind.split_once(':').unwrap();
        mounts.retain(|mount| mount["destination"] != place);
        mounts.push(mount(place, "bind", source, &["rw", "rbind", "rshared"]));
    }
    mounts.sort_by_key(|mount| mount["destination"].to_string());
    let devices = entry["devices"].as_sequence().unwrap().iter().map(|device| {
        assert_eq!(device["path"].as_str(), Some("all"), "another one takes its numbers");
        json!({"allow": true, "type": device["type"].as_str().unwrap(), "access": "rwm"})
    });
    let capabilities = texts(&entry["capabilities"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": texts(&entry["command"]),
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities,
                "inheritable": capabilities, "permitted": capabilities,
            },
        },
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {
            "resources": {"devices": devices.collect::<Vec<_>>()},
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}],
        },
    })
}

#[test]
#[ignore = "needs a guest"]
fn in_a_container_of_linuxkit_the_entry_in_the_manual_is_enough() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    guest.runc();
    let manual = fs::read_to_string("docs/agent.md").unwrap();
    let start = manual.find("onboot:\n").expect("docs/agent.md has an example for LinuxKit");
    let example = Yaml::load_from_str(manual[start..].split("```").next().unwrap()).unwrap();
    let entry = &example[0]["onboot"][0];
    let command = texts(&entry["command"]);
    assert_eq!(command[0], "/usr/bin/metadata", "where docs/agent.md puts the program");
    let mut without = oci(entry);
    without["linux"]["resources"] = json!({});
    let report = guest.boot(&format!(
        "mount -t cgroup2 cgroup /sys/fs/cgroup
        mount --make-rshared /
        mkdir -p /dev/pts /bundle/rootfs/usr/bin
        cp /bin/metadata /bundle/rootfs/usr/bin/
        echo '{without}' >/bundle/config.json
        run without runc run --no-pivot --bundle /bundle without
        rm -r /run/config
        echo '{with}' >/bundle/config.json
        run with runc run --no-pivot --bundle /bundle with",
        with = oci(entry)
    ));

    let why = "/dev/sr0: opening the device (a container needs it among its devices): Operation not permitted (os error 1)";
    let said = report.run("without").ran;
    assert!(said.stderr.contains(why) && said.status == Some(1), "no need of devices any more: {said:?}");
    assert_eq!(report.run("with"), applied_tree("CDROM /dev/sr0"));
}

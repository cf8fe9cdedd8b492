//! The entry for the YAML of LinuxKit in docs/agent.md, and the package in linuxkit, in a container as LinuxKit makes it.

use std::fs;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

use super::{TREE, applied_tree, machine::Guest};

fn load(text: &str) -> Yaml<'_> {
    Yaml::load_from_str(text).unwrap().remove(0)
}

fn texts(list: &Yaml) -> Vec<String> {
    list.as_sequence().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The text of docs/agent.md with the entry.
fn manual() -> String {
    let manual = fs::read_to_string("docs/agent.md").unwrap();
    let start = manual.find("onboot:\n").expect("docs/agent.md has an example for LinuxKit");
    manual[start..].split("```").next().unwrap().to_owned()
}

/// What the Dockerfile of the package says, a pair of instruction and argument for each line.
fn dockerfile() -> Vec<(String, String)> {
    let text = fs::read_to_string("linuxkit/Dockerfile").unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(instruction, argument)| (instruction.to_owned(), argument.to_owned())).collect()
}

/// The arguments of an instruction in [`dockerfile`].
fn arguments<'a>(dockerfile: &'a [(String, String)], instruction: &str) -> Vec<&'a str> {
    let pairs = dockerfile.iter().filter(|(name, _)| name == instruction);
    pairs.map(|(_, argument)| &argument[..]).collect()
}

/// What LinuxKit gives the container runtime for a command in a container: mounts that every one has unless the entry binds something
/// to their place, namespaces of its own for processes, mounts and control groups, and no device that the entry does not
/// name (linuxkit, `src/cmd/linuxkit/moby/config.go`).
fn oci(entry: &Yaml, command: &[String]) -> Value {
    let is_readonly = entry.as_mapping_get("readonly").is_some_and(|value| value.as_bool().unwrap());
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
    if is_readonly {
        for mount in
            mounts.iter_mut().filter(|mount| mount["destination"] == "/dev" || mount["destination"] == "/sys")
        {
            mount["options"].as_array_mut().unwrap().push("ro".into());
        }
    }
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
            "args": command,
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities,
                "inheritable": capabilities, "permitted": capabilities,
            },
        },
        "root": {"path": "rootfs", "readonly": is_readonly},
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
    let manual = manual();
    let example = load(&manual);
    let entry = &example["onboot"][0];
    let command = texts(&entry["command"]);
    assert_eq!(command[0], "/usr/bin/metadata", "where docs/agent.md puts the program");
    let mut without = oci(entry, &command);
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
        with = oci(entry, &command)
    ));

    let why = "/dev/sr0: opening the device (a container needs it among its devices): Operation not permitted (os error 1)";
    let said = report.run("without").ran;
    assert!(said.stderr.contains(why) && said.status == Some(1), "no need of devices any more: {said:?}");
    assert_eq!(report.run("with"), applied_tree("CDROM /dev/sr0"));
}

#[test]
#[ignore = "needs a guest"]
fn the_package_of_linuxkit_needs_nothing_but_its_image() {
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    guest.runc();
    let text = fs::read_to_string("linuxkit/build.yml").unwrap();
    let package = load(&text);
    let dockerfile = dockerfile();
    let command: Vec<String> = serde_json::from_str(arguments(&dockerfile, "CMD")[0]).unwrap();
    let [copied, licences] = arguments(&dockerfile, "COPY")[..] else { panic!("a program and licences") };
    assert!(licences.ends_with(" /usr/share/doc/metadata/"), "{licences}");
    let program = copied.split_once(' ').unwrap().1;
    // Those that the image has. On the others nothing could be mounted.
    let directories = arguments(&dockerfile, "WORKDIR").join(" /bundle/rootfs");
    let report = guest.boot(&format!(
        "mount -t cgroup2 cgroup /sys/fs/cgroup
        mount --make-rshared /
        mkdir -m 700 /run/runc
        mkdir -p /dev/pts /bundle/rootfs/usr/bin /bundle/rootfs{directories}
        cp /bin/metadata /bundle/rootfs{program}
        echo '{config}' >/bundle/config.json
        run package runc run --no-pivot --bundle /bundle package",
        config = oci(&package["config"], &command)
    ));
    assert_eq!(report.run("package"), applied_tree("CDROM /dev/sr0"));
}

#[test]
fn the_package_asks_for_what_the_manual_asks_for() {
    let (manual, text) = (manual(), fs::read_to_string("linuxkit/build.yml").unwrap());
    let (example, package) = (load(&manual), load(&text));
    for key in ["binds", "devices", "capabilities"] {
        assert_eq!(package["config"][key], example["onboot"][0][key], "{key}");
    }
}

#[test]
fn the_example_of_the_package_runs_its_program() {
    let text = fs::read_to_string("linuxkit/example.yml").unwrap();
    let example = load(&text);
    let command = texts(&example["onboot"][0]["command"]);
    let default: Vec<String> = serde_json::from_str(arguments(&dockerfile(), "CMD")[0]).unwrap();
    assert!(command.starts_with(&default), "{command:?} instead of {default:?}");
}

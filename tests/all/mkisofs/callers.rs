//! Programs that call mkisofs, unmodified, with ours first in `PATH`.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{Programs, write};

/// Runs another program with our names first in `PATH`, and the temporary directory in the sandbox. It must succeed.
#[track_caller]
fn call<A: AsRef<OsStr>>(
    programs: &Programs,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Output {
    let path = format!("{}:{}", programs.path("ours").display(), env::var("PATH").unwrap());
    fs::create_dir_all(programs.path("tmp")).unwrap();
    let mut command = Command::new(program);
    command.current_dir(programs.path(".")).env("PATH", path).env("TMPDIR", programs.path("tmp"));
    let output = command.args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors} {}", String::from_utf8_lossy(&output.stdout));
    output
}

/// Our writer made the image.
#[track_caller]
fn assert_ours(image: &[u8]) {
    let application = &image[16 * 2048 + 574..][..14];
    assert_eq!(application, b"METADATA-IMAGE");
}

fn write_seed(programs: &Programs) {
    write(&programs.path("user-data"), "#cloud-config\n");
    write(&programs.path("meta-data"), "instance-id: i-1\n");
}

#[test]
#[ignore = "needs cloud-localds"]
fn cloud_localds_of_debian() {
    let programs = Programs::new();
    write_seed(&programs);
    call(&programs, "/usr/bin/cloud-localds", ["seed.img", "user-data", "meta-data"]);
    assert_ours(&programs.sandbox.read("seed.img"));
    assert_eq!(programs.sandbox.succeed(["extract", "seed.img", "user-data"]), b"#cloud-config\n");
}

#[test]
#[ignore = "needs virt-install"]
fn virt_install_of_debian() {
    let programs = Programs::new();
    write_seed(&programs);
    // A wrapper keeps the image, which virt-install removes.
    let wrapper = programs.path("ours/xorrisofs");
    fs::rename(&wrapper, programs.path("ours/xorrisofs.program")).unwrap();
    fs::create_dir(programs.path("keep")).unwrap();
    fs::rename(programs.path("ours/xorrisofs.program"), programs.path("keep/xorrisofs")).unwrap();
    let script = format!(
        "#!/bin/sh\n{0}/keep/xorrisofs \"$@\" && cp \"$2\" {0}/kept.iso\n",
        programs.path("").display().to_string().trim_end_matches('/')
    );
    write(&wrapper, script);
    programs.sandbox.tool("chmod", ["755", "ours/xorrisofs"]);
    call(
        &programs,
        "virt-install",
        [
            "--connect",
            "test:///default",
            "--import",
            "--name",
            "guest",
            "--memory",
            "64",
            "--disk",
            "none",
            "--osinfo",
            "generic",
            "--graphics",
            "none",
            "--noautoconsole",
            "--cloud-init",
            "user-data=user-data,meta-data=meta-data",
        ],
    );
    assert_ours(&programs.sandbox.read("kept.iso"));
    assert_eq!(programs.sandbox.succeed(["extract", "kept.iso", "user-data"]), b"#cloud-config\n");
}

/// The image that a program from `PyPI` gives, as base64 of gzip on its standard output.
#[track_caller]
fn python(programs: &Programs, script: &str) -> Vec<u8> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/callers/bin/python");
    let script = format!(
        "import base64, gzip, sys\n{script}\nsys.stdout.buffer.write(gzip.decompress(base64.b64decode(drive)))"
    );
    call(programs, python.to_str().unwrap(), ["-c", &script]).stdout
}

#[test]
#[ignore = "needs packages of PyPI"]
fn pypi_openstacksdk() {
    let programs = Programs::new();
    let image = python(
        &programs,
        "from openstack.baremetal import configdrive\n\
         drive = configdrive.build({'uuid': 'i-1', 'hostname': 'web'}, user_data='#cloud-config\\n')",
    );
    assert_ours(&image);
    fs::write(programs.path("drive.iso"), image).unwrap();
    let user_data = programs.sandbox.succeed(["extract", "drive.iso", "openstack/latest/user_data"]);
    assert_eq!(user_data, b"#cloud-config\n");
}

#[test]
#[ignore = "needs packages of PyPI"]
fn pypi_ironicclient() {
    let programs = Programs::new();
    write(&programs.path("drive/openstack/latest/meta_data.json"), "{}");
    let image =
        python(&programs, "from ironicclient.common import utils\ndrive = utils.make_configdrive('drive')");
    assert_ours(&image);
    fs::write(programs.path("drive.iso"), image).unwrap();
    assert_eq!(programs.sandbox.succeed(["extract", "drive.iso", "openstack/latest/meta_data.json"]), b"{}");
}

#[test]
#[ignore = "needs packages of PyPI"]
fn pypi_kcli() {
    let programs = Programs::new();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/callers/bin/python");
    let script = "import sys, types\n\
                  sys.modules['libvirt'] = types.ModuleType('libvirt')\n\
                  from kvirt import common\n\
                  common.make_iso('seed', '.', '#cloud-config\\n', 'instance-id: i-1\\n', 'version: 2\\n')\n\
                  common.make_iso('drive', '.', '#cloud-config\\n', '{}', None, openstack=True)";
    call(&programs, python.to_str().unwrap(), ["-c", script]);
    for (image, label, user_data, meta_data) in [
        ("seed.ISO", "cidata", "user-data", "meta-data"),
        ("drive.ISO", "config-2", "openstack/latest/user_data", "openstack/latest/meta_data.json"),
    ] {
        assert_ours(&programs.sandbox.read(image));
        let listing = String::from_utf8(programs.sandbox.succeed(["show", "--json", image])).unwrap();
        assert!(listing.contains(&format!("\"volume_identifier\": \"{label}\"")), "{listing}");
        assert_eq!(programs.sandbox.succeed(["extract", image, user_data]), b"#cloud-config\n");
        programs.sandbox.succeed(["extract", image, meta_data]);
    }
    assert_eq!(programs.sandbox.succeed(["extract", "seed.ISO", "network-config"]), b"version: 2\n");
}

//! Names that cannot be meant.

use super::with_image;
use crate::support::failed;

#[test]
fn names_that_cannot_be_meant_are_errors_and_the_image_is_unchanged() {
    let failing = |layout: &str, arguments: &[&str], status: i32, why: &str| {
        let sandbox = with_image(layout, &["--file", "d/f=old"]);
        let before = sandbox.read("seed.iso");
        let ran = sandbox.run([&["set", "seed.iso"], arguments].concat());
        assert_eq!(ran, failed(status, why), "{arguments:?}");
        assert!(sandbox.read("seed.iso") == before, "{arguments:?}");
        assert_eq!(sandbox.names(), ["new", "old", "seed.iso"]);
    };
    let changing = |why: &str| format!("changing image \"seed.iso\": {why}");
    for (layout, name, right) in [
        ("configdrive", "user-data", "openstack/latest/user_data"),
        ("nocloud", "user_data", "user-data"),
        ("linuxkit", "user-data", "config"),
        ("nocloud", "user-dta", "user-data"),
        ("nocloud", "metdata", "meta-data"),
        ("nocloud", "netwrok-config.yaml", "network-config"),
        ("configdrive", "openstack/lastest/user_data", "openstack/latest/user_data"),
        ("linuxkit", "confg", "config"),
    ] {
        let why = format!(
            "the layout {layout} does not use a file \"{name}\"; write {right}=PATH (--lenient adds \"{name}\")"
        );
        failing(layout, &[&format!("{name}=new")], 1, &changing(&why));
    }
    failing("nocloud", &["d=new"], 1, &changing("\"d\" is a directory on the image; name the files in it"));
    failing(
        "nocloud",
        &["--remove", "d"],
        1,
        &changing("\"d\" is a directory on the image; name the files in it"),
    );
    failing(
        "nocloud",
        &["--remove", "D/f"],
        1,
        &changing("the image has no file \"D/f\" (there is \"d/f\")"),
    );
    failing("nocloud", &["--remove", "x"], 1, &changing("the image has no file \"x\""));
    failing("nocloud", &["d/f/g=new"], 1, &changing("file name \"d/f\" is also a directory of another file"));
    failing(
        "linuxkit",
        &["--remove", "config", "--remove", "d/f"],
        1,
        &changing("no file would be left on the image"),
    );
    failing(
        "linuxkit",
        &["--hostname", "x"],
        1,
        &changing(
            "--hostname and --instance-id need the layout nocloud or configdrive; the image has the layout linuxkit",
        ),
    );
    failing(
        "nocloud",
        &["meta-data=new", "--hostname", "x"],
        1,
        &changing(
            "--hostname and --instance-id change the meta-data on the image, which is itself replaced or removed",
        ),
    );
    failing("nocloud", &["x=seed.iso"], 1, &changing("the image is the same file as \"seed.iso\""));
    failing("nocloud", &["../x=new"], 2, "file name \"../x\" has a component '.' or '..'");
    failing("nocloud", &["/x=new"], 2, "file name \"/x\" is not relative");
    failing("nocloud", &["x=new", "x=old"], 2, "file name \"x\" is given twice");
    failing(
        "nocloud",
        &["user-data=new", "--remove", "user-data"],
        2,
        "file name \"user-data\" is given twice",
    );
    failing("nocloud", &["x=-", "y=-"], 2, "standard input can be read only once");
    failing(
        "nocloud",
        &["--hostname", "a_b"],
        2,
        "host name \"a_b\" has characters other than letters, digits, '-' and '.'",
    );
    failing(
        "nocloud",
        &["manifest.json=new"],
        2,
        "file name \"manifest.json\" is used for the manifest or its signature, which confirm and sign write",
    );
    failing(
        "nocloud",
        &["x=none"],
        1,
        &changing("reading file \"none\": No such file or directory (os error 2)"),
    );
}

#[test]
fn a_name_that_is_meant_is_added() {
    let sandbox = with_image("nocloud", &[]);
    for name in ["user-data2", "user-data.old", "app.conf", "network"] {
        sandbox.succeed(["set", "seed.iso", &format!("{name}=new")]);
        sandbox.succeed(["extract", "seed.iso", name]);
    }
    sandbox.succeed(["set", "--lenient", "seed.iso", "user-dta=new"]);
    sandbox.succeed(["set", "seed.iso", "user-dta=old"]);
    sandbox.succeed(["extract", "seed.iso", "user-dta"]);
}

#[test]
fn words_in_another_order_show_the_command() {
    let sandbox = with_image("nocloud", &[]);
    sandbox.write("user.yaml", "#cloud-config\n");
    let before = sandbox.read("seed.iso");
    let command = "metadata set seed.iso user-data=user.yaml";
    for (words, line) in [
        (
            &["seed.iso", "user.yaml=user-data"] as &[_],
            format!("the name on the image comes before the file: {command} (--lenient stores \"user-data\" as \"user.yaml\")"),
        ),
        (&["seed.iso", "user-data", "user.yaml"], format!("a file is one word, NAME=PATH: {command}")),
        (&["seed.iso", "user.yaml", "user-data"], format!("a file is one word, NAME=PATH: {command}")),
        (&["user-data=user.yaml", "seed.iso"], format!("the image comes first: {command}")),
        (&["user-data", "user.yaml", "seed.iso"], format!("the image comes first: {command}")),
        (&["user.yaml", "seed.iso"], format!("the image comes first: {command}")),
        (&["seed.iso", "user-data:user.yaml"], format!("a file is one word, NAME=PATH: {command}")),
        (
            &["seed.iso", "hostname", "db"],
            "there is no file \"db\" to store as \"hostname\"; to change a value in the meta-data: metadata set seed.iso \
             --hostname db"
                .to_owned(),
        ),
        (
            &["seed.iso", "user-data"],
            "the file with the new user-data is missing: metadata set IMAGE user-data=PATH".to_owned(),
        ),
        (
            &["seed.iso", "user.yaml"],
            "the name on the image is missing: metadata set IMAGE NAME=user.yaml, such as user-data=PATH".to_owned(),
        ),
        (
            &["seed.iso", "user-data="],
            "PATH is missing: the image comes first, and then NAME=PATH: metadata set IMAGE NAME=PATH (--help shows more)"
                .to_owned(),
        ),
    ] {
        assert_eq!(sandbox.run([&["set"], words].concat()), failed(2, &line), "{words:?}");
        assert!(sandbox.read("seed.iso") == before);
    }
    sandbox.write("user-data", "#cloud-config\n");
    sandbox.succeed(["set", "--lenient", "seed.iso", "user.yaml=user-data"]);
    sandbox.succeed(["extract", "seed.iso", "user.yaml"]);
}

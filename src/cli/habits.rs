//! What people type out of habit: options and commands of other programs, one operand more, and what to write instead.

/// What every image has, for those who ask for it.
const NAMES: &str = "every ISO 9660 image has Joliet and Rock Ridge names";

/// What `--layout` is for.
const LAYOUT: &str = "--layout LAYOUT says where the guest looks for the data";

/// Options of other programs, the command that they are given to, and what to write.
pub(super) const OPTIONS: &[(&str, &[&str], &str)] = &[
    (
        "create",
        &["V"],
        "--volume-id ID sets the volume identifier, and --vendor-data PATH is cloud-localds' -V",
    ),
    (
        "create",
        &["f"],
        "--filesystem vfat makes a FAT image, --force replaces a file that is not an image, and --file NAME=PATH adds a file",
    ),
    ("create", &["v", "verbose"], "progress is shown on a terminal, and --json describes the image"),
    (
        "check",
        &["user-data", "u", "file", "from"],
        "files, images and directories are given without an option: metadata check PATH",
    ),
    (
        "check",
        &["f"],
        "--format FORMAT chooses text, json, sarif or github, and a file is given without an option: metadata check PATH",
    ),
    (
        "show",
        &["l", "a", "la", "long", "list"],
        "the mode, size and name of every file are shown without an option",
    ),
    ("pack", &["o", "output", "into"], "the JSON goes to standard output: metadata pack DIR > FILE"),
    (
        "sign",
        &["expires", "expire", "valid-for", "until", "ttl", "validity"],
        "--not-after +30d lets guests accept the image for 30 days",
    ),
    ("create", &["dry-run", "n", "check"], "metadata check PATH finds mistakes without building an image"),
    ("set", &["dry-run", "n"], "to try it, change a copy of the image"),
    ("create", &["i"], "--instance-id ID sets the instance ID"),
    (
        "create",
        &[
            "k",
            "ssh-keys",
            "sshkey",
            "public-key",
            "authorized-keys",
            "ssh-authorized-keys",
            "ssh-authorized-key",
            "key",
        ],
        "--ssh-key PATH adds public keys",
    ),
    ("create", &["m"], "--meta-data PATH is the meta-data file"),
    ("create", &["d", "disk-format"], "an image is always raw; qemu-img convert makes other formats"),
    ("create", &["J", "R", "r", "JR", "RJ", "joliet", "rock", "rational-rock"], NAMES),
    ("create", &["volid", "label", "volume", "volume-label"], "--volume-id ID sets the volume identifier"),
    ("create", &["vfat", "fat"], "--filesystem vfat makes a FAT image"),
    ("create", &["local-hostname"], "--hostname NAME sets the host name"),
    ("create", &["interfaces"], "--network-config PATH is the network configuration"),
    ("create", &["dsmode"], "--meta-data PATH is a meta-data file, which may have dsmode"),
    ("create", &["host-name", "host", "name"], "--hostname NAME sets the host name"),
    ("create", &["format", "type", "nocloud", "cloud-init"], LAYOUT),
    (
        "create",
        &["u", "a", "cloud-config", "stdin"],
        "--user-data PATH is the user data; '-' is standard input",
    ),
    ("create", &["network", "network-data"], "--network-config PATH is the network configuration"),
    ("create", &["vendor"], "--vendor-data PATH is the vendor data"),
    (
        "create",
        &["dir", "directory"],
        "--from DIR takes the files of a seed, --data-dir DIR makes JSON for LinuxKit",
    ),
    (
        "create",
        &["password", "admin-pass", "admin-password", "password-file", "admin-password-file"],
        "--admin-pass-file PATH names a file with the password",
    ),
    ("create", &["graft-points"], "--file NAME=PATH adds a file"),
    ("create", &["overwrite", "y"], "--force replaces a file that is not an image"),
    ("create", &["sign"], "metadata sign IMAGE --key PATH signs an image"),
    (
        "set",
        &["user-data", "meta-data", "network-config", "vendor-data", "file", "add"],
        "NAME=PATH adds or replaces a file, such as user-data=PATH",
    ),
    ("set", &["delete", "rm"], "--remove NAME removes a file"),
    ("set", &["name", "host-name"], "--hostname NAME sets the host name"),
    ("extract", &["o", "d", "C", "to", "output", "dir", "all"], "--into DIR writes files to a directory"),
    ("batch", &["o", "output", "dir"], "--into DIR is the directory for the images"),
    (
        "batch",
        &["dry-run", "n", "check"],
        "all lines of a file are checked before the first image is built; to look at the images first, give --into another \
         directory",
    ),
    ("batch", &["j", "parallel", "threads"], "--jobs N builds N images at the same time"),
    ("check", &["sarif", "o", "output-format"], "--format FORMAT chooses text, json, sarif or github"),
    ("check", &["network-config", "config-file", "type"], "--as WHAT says what a file is"),
    ("diff", &["u", "unified", "content"], "--text shows the lines of text files"),
    (
        "verify",
        &["key", "k", "signer", "signers", "I"],
        "--allowed-signers PATH names the file that says who may sign",
    ),
];

/// What to write instead of one more operand of a command.
pub(super) const ONE_OPERAND_MORE: &[(&str, &str)] = &[
    ("extract", "one file is printed at a time; --into DIR writes all files of an image to a directory"),
    ("show", "one image is shown at a time; metadata extract IMAGE NAME prints a file of it"),
    ("verify", "the allowed signers are an option: metadata verify IMAGE --allowed-signers PATH"),
    ("policy", "the policy is an option: metadata policy IMAGE --policy PATH"),
    ("confirm", "the string is an option: metadata confirm IMAGE --run-metadata STRING"),
    ("batch", "the directory for the images is an option: metadata batch FILE --into DIR"),
    ("apply", "the directory is an option: metadata apply SOURCE --into DIR"),
    ("attach", "one image is attached at a time"),
    ("pack", "the JSON goes to standard output: metadata pack DIR > FILE"),
    ("diff", "two images are compared: metadata diff A B"),
];

/// Subcommands of other programs, and what to write.
pub(super) const COMMANDS: &[(&[&str], &str)] = &[
    (&["version"], "--version prints the version"),
    (&["build", "make", "new", "generate", "init"], "create builds an image"),
    (&["inspect", "list", "tree", "view", "dump", "print", "read"], "show describes an image"),
    (&["get", "copy", "cp"], "extract copies files from an image"),
    (&["edit", "update", "modify", "change", "replace", "add"], "set changes files of an image"),
    (&["rm", "remove", "delete"], "set --remove NAME removes a file of an image"),
    (&["compare", "cmp"], "diff compares two images"),
    (&["validate", "lint", "schema", "test"], "check finds mistakes"),
    (
        &["genisoimage", "xorriso", "xorrisofs"],
        "mkisofs builds an image as mkisofs does, and create builds one for a guest",
    ),
    (&["metadata", "linuxkit"], "the command comes first: metadata create IMAGE DATA"),
    (&["run", "start", "boot"], "attach prints the arguments that attach an image to a virtual machine"),
    (&["isoinfo"], "show describes an image, and extract copies files from it"),
    (&["make-mime"], "create --user-data PATH --user-data PATH makes one MIME document"),
    (&["unpack"], "extract --into DIR writes the files of an image, and apply --into DIR those of user data"),
];

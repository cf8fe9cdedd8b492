//! The agent on the host: providers on loopback, devices and a sysfs that are files. `guest.rs` has the real ones.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use metadata_image::{
    agent::{AgentOptions, ProbeOutcome, Report, Trust, run},
    provider::{
        LogLevel, Provider,
        aws::Aws,
        cdrom::{Cdrom, FileSystems},
    },
};
use serde_json::Value;

use crate::{
    imds::{Answer, Service, TOKEN, ec2, ec2_v1, google},
    support::{Ran, Sandbox, failed, fat_boot_sector, linuxkit_image},
    userdata::tree_of,
};

/// Runs `metadata agent` with these providers on `out`.
fn agent(sandbox: &Sandbox, aws: &str, gcp: &str, arguments: &[&str]) -> Ran {
    let mut command = sandbox.command(["agent", "--root", "out"]);
    command.args(arguments);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws).env("GCE_METADATA_HOST", gcp);
    Ran::from(command.output().unwrap())
}

/// The same with EC2 only.
fn ask_aws(service: &Service, timeout: &str) -> (Sandbox, Ran) {
    let sandbox = Sandbox::new();
    let ran = agent(&sandbox, &service.url(), "", &["--timeout", timeout, "aws"]);
    (sandbox, ran)
}

/// The same with Google only.
fn ask_gcp(service: &Service, timeout: &str) -> (Sandbox, Ran) {
    let sandbox = Sandbox::new();
    let ran = agent(&sandbox, "", &service.host(), &["--timeout", timeout, "gcp"]);
    (sandbox, ran)
}

const BROKEN: &str = "metadata: no metadata was applied, because a provider is broken\n";

const NOTHING: &str = "metadata: no metadata found (asked aws)\n";

fn ran(status: i32, stderr: &str) -> Ran {
    Ran { status: Some(status), stdout: String::new(), stderr: stderr.to_owned() }
}

const EC2_TREE: &str = r#"0644 availability_zone "eu-central-1a"
0644 hostname "ip-10-0-0-7.ec2.internal"
0644 instance_id "i-0123456789abcdef0"
0644 instance_type "t3.micro"
0644 local_hostname "ip-10-0-0-7.ec2.internal"
0644 local_ipv4 "10.0.0.7"
0644 provider "AWS"
0644 public_ipv4 "203.0.113.7"
0700 ssh/
0600 ssh/authorized_keys "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV first\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= second\n"
0600 userdata "hello"
"#;

const EC2_DONE: &str = "metadata: AWS: 5 bytes of user data\nmetadata: \"out\": 10 files written\n";

#[test]
fn ec2_gives_its_nine_files_and_the_token_is_not_shown() {
    let service = Service::start(|question| ec2(question, "hello"));
    let (sandbox, quiet) = ask_aws(&service, "10");
    assert_eq!(quiet, ran(0, EC2_DONE));
    assert_eq!(tree_of(&sandbox.path("out")), EC2_TREE);
    let verbose = agent(&sandbox, &service.url(), "", &["-v", "aws"]);
    assert_eq!(verbose.status, Some(0), "{verbose:?}");
    assert!(!verbose.stderr.contains(TOKEN), "{}", verbose.stderr);
    assert_eq!(tree_of(&sandbox.path("out")), EC2_TREE, "the same a second time");
}

#[test]
fn ec2_without_version_2_is_asked_with_version_1() {
    for status in [403, 404, 405] {
        let service = Service::start(move |question| {
            if question.is_put() { Answer::status(status) } else { ec2_v1(question.path(), "hello") }
        });
        let (sandbox, said) = ask_aws(&service, "10");
        let warning = format!(
            "metadata: aws: using IMDSv1, since there is no token: PUT /latest/api/token has status {status}\n"
        );
        assert_eq!(said, ran(0, &(warning + EC2_DONE)));
        assert_eq!(tree_of(&sandbox.path("out")), EC2_TREE);
    }
}

#[test]
fn who_is_not_ec2_is_not_taken_for_it() {
    let google = |question: &crate::imds::Question| google(question, "hello");
    let page = |_: &crate::imds::Question| Answer::ok("<html>\nWelcome, please log in\n</html>");
    let no_id = "the meta-data has no instance-id";
    let redirect = |_: &crate::imds::Question| Answer::status(302).with("Location: http://127.0.0.1:1/");
    for (service, why) in [
        (Service::start(|_| Answer::status(404)), "/latest/meta-data/ has status 404"),
        (Service::start(|_| Answer::ok("")), no_id),
        (Service::start(page), no_id),
        (Service::start(google), "Google answers"),
        (Service::start(redirect), "/latest/meta-data/ has status 302"),
    ] {
        let (sandbox, said) = ask_aws(&service, "60");
        let why = format!("metadata: aws: not EC2: {why}\n");
        assert_eq!(said, ran(0, &(why + NOTHING)), "{:?}", service.log());
        assert_eq!(tree_of(&sandbox.path("out")), "", "the directory is there, and empty");
        assert!(!service.log().is_empty());
    }
}

#[test]
fn who_gives_no_answer_is_named() {
    let silent = Service::silent();
    let address = silent.url();
    let ran_with = |arguments: &[&str]| {
        let sandbox = Sandbox::new();
        let said = agent(&sandbox, &address, &silent.host(), &[&["--timeout", "0.3"], arguments].concat());
        (said, tree_of(&sandbox.path("out")))
    };
    for (name, path) in [("aws", "latest/meta-data/"), ("gcp", "computeMetadata/v1/instance/hostname")] {
        let why = format!("metadata: {name}: requesting {address}/{path}: no response in time\n");
        let nothing = format!("metadata: no metadata found (asked {name}; no answer from {name})\n");
        assert_eq!(ran_with(&[name]), (ran(0, &(why + &nothing)), String::new()));
    }
    let (both, _) = ran_with(&["gcp", "file=absent", "aws"]);
    assert!(both.stderr.contains("(asked gcp, file, aws; no answer from "), "{both:?}");
}

#[test]
fn a_redirect_leads_nowhere() {
    let elsewhere = Service::start(|question| ec2(question, "not for you"));
    let location = format!("Location: {}/latest/api/token", elsewhere.url());
    let same = location.clone();
    for service in [
        Service::start(move |_| Answer::status(307).with(&location)),
        Service::start(move |question| match question.path() {
            "/latest/user-data" => Answer::status(302).with(&same),
            _ => ec2(question, "hello"),
        }),
    ] {
        let (_, said) = ask_aws(&service, "5");
        assert!(!said.stderr.contains("bytes of user data"), "{said:?}");
        assert_eq!(elsewhere.log(), [""; 0]);
    }
}

#[test]
fn a_proxy_is_not_asked() {
    let proxy = Service::start(|_| Answer::ok("I am a proxy"));
    let service = Service::start(|question| ec2(question, "hello"));
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["agent", "--root", "out", "aws"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, proxy.url());
    }
    let said = Ran::from(command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url()).output().unwrap());
    assert_eq!(said, ran(0, EC2_DONE));
    assert_eq!(proxy.log(), [""; 0]);
}

/// What is said of a broken service: its fault, and that nothing was applied.
fn broken(service: &Service, path: &str, why: &str) -> Ran {
    let fault = format!("metadata: aws: broken: requesting {}{path}: {why}\n", service.url());
    ran(1, &(fault + BROKEN))
}

#[test]
fn a_broken_ec2_is_named() {
    let meta_data = "/latest/meta-data/";
    let service = Service::start(|question| Answer::status(if question.is_put() { 403 } else { 401 }));
    assert_eq!(ask_aws(&service, "5").1, broken(&service, meta_data, "status 401"));

    let service = Service::start(|_| Answer::status(500));
    assert_eq!(ask_aws(&service, "0.5").1, broken(&service, "/latest/api/token", "status 500"));

    let service = Service::start(|_| Answer::ok("").slow());
    assert_eq!(ask_aws(&service, "0.5").1, broken(&service, meta_data, "no response in time"));

    let huge = "x".repeat((1 << 20) + 1);
    let service = Service::start(move |question| ec2(question, &huge));
    let why = "the response is larger than 1048576 bytes";
    assert_eq!(ask_aws(&service, "5").1, broken(&service, "/latest/user-data", why));

    let service = Service::start(|question| match question.path() {
        "/latest/user-data" => Answer::ok("").slow(),
        _ => ec2(question, "hello"),
    });
    assert_eq!(ask_aws(&service, "0.5").1, broken(&service, "/latest/user-data", "no response in time"));

    let service = Service::start(|question| match question.path() {
        "/latest/user-data" => ec2(question, "hello").cut_off(),
        _ => ec2(question, "hello"),
    });
    let (sandbox, said) = ask_aws(&service, "0.5");
    assert_eq!((said.status, tree_of(&sandbox.path("out"))), (Some(1), String::new()), "{said:?}");
    assert!(said.stderr.contains("/latest/user-data: "), "{said:?}");
}

#[test]
fn what_is_answered_is_not_lost_with_what_is_not() {
    // Linux ends a wait on a socket up to an eighth late, which shows with some seconds.
    let ask = |silent: &'static str| {
        let service = Service::start(move |question| match question.path() {
            path if path == silent => loop {
                thread::park();
            },
            _ => ec2(question, "hello"),
        });
        let (sandbox, said) = ask_aws(&service, "3");
        (sandbox, said, service)
    };
    let value = thread::spawn(move || ask("/latest/meta-data/public-ipv4"));
    let (sandbox, said, service) = ask("/latest/user-data");
    assert_eq!(said, broken(&service, "/latest/user-data", "no response in time"));
    assert_eq!(tree_of(&sandbox.path("out")), "");

    let (sandbox, said, service) = value.join().unwrap();
    let stderr = format!(
        "\
metadata: aws: requesting {}/latest/meta-data/public-ipv4: no response in time
metadata: AWS: 5 bytes of user data
metadata: \"out\": 9 files written
metadata: applying AWS: 1 item was skipped
",
        service.url()
    );
    assert_eq!(said, ran(1, &stderr));
    let is_kept = |line: &&str| !line.starts_with("0644 public_ipv4 ");
    let expected: String = EC2_TREE.split_inclusive('\n').filter(is_kept).collect();
    assert_eq!(tree_of(&sandbox.path("out")), expected);
}

#[test]
fn of_public_keys_without_end_a_hundred_are_taken() {
    let service = Service::start(|question| match question.path() {
        "/latest/meta-data/public-keys/" => {
            let lines: Vec<_> = (0..5000).map(|number| format!("{number}=name")).collect();
            Answer::ok(lines.join("\n"))
        }
        path if path.ends_with("/openssh-key") => Answer::ok(format!(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV {}",
            path.len()
        )),
        _ => ec2(question, "hello"),
    });
    let (_, said) = ask_aws(&service, "60");
    let stderr = EC2_DONE.to_owned() + "metadata: applying AWS: 1 item was skipped\n";
    assert_eq!(
        said,
        ran(1, &format!("metadata: aws: skipping 4900 public keys: at most 100 are requested\n{stderr}"))
    );
    assert_eq!(service.log().iter().filter(|line| line.ends_with("/openssh-key")).count(), 100);
}

#[test]
fn faults_that_pass_are_waited_out() {
    let service = Service::start(|question| match (question.path(), question.before) {
        ("/latest/api/token", 0 | 1) => Answer::status(503),
        ("/latest/meta-data/hostname", 0) => Answer::status(500),
        ("/latest/user-data", 0) => ec2(question, "hello").cut_off(),
        _ => ec2(question, "hello"),
    });
    let (sandbox, said) = ask_aws(&service, "10");
    assert_eq!(said, ran(0, EC2_DONE));
    assert_eq!(tree_of(&sandbox.path("out")), EC2_TREE);
}

#[test]
fn a_token_that_does_not_come_is_done_without() {
    let service = Service::start(|question| match question.path() {
        "/latest/api/token" => Answer::ok("").slow(),
        path => ec2_v1(path, "hello"),
    });
    let (sandbox, said) = ask_aws(&service, "4");
    let why = "since there is no token: no response to PUT /latest/api/token";
    assert_eq!(said, ran(0, &format!("metadata: aws: using IMDSv1, {why}\n{EC2_DONE}")));
    assert_eq!(tree_of(&sandbox.path("out")), EC2_TREE);
}

#[test]
fn a_value_that_is_broken_is_lost_and_the_others_are_written() {
    let service = Service::start(|question| match question.path() {
        "/latest/meta-data/public-ipv4" => Answer::status(500),
        "/latest/meta-data/hostname" => Answer::ok("not a name"),
        "/latest/meta-data/public-keys/1/openssh-key" => Answer::status(403),
        _ => ec2(question, "hello"),
    });
    let (sandbox, said) = ask_aws(&service, "30");
    let asking = format!("requesting {}/latest/meta-data", service.url());
    let stderr = format!(
        "\
metadata: aws: the host name \"not a name\" has characters other than letters, digits, '-' and '.'
metadata: aws: {asking}/public-keys/1/openssh-key: status 403
metadata: aws: {asking}/public-ipv4: status 500
metadata: AWS: 5 bytes of user data
metadata: \"out\": 8 files written
metadata: applying AWS: 3 items were skipped
"
    );
    assert_eq!(said, ran(1, &stderr));
    let without = ["hostname", "public_ipv4"].map(|name| format!("0644 {name} "));
    let kept =
        EC2_TREE.split_inclusive('\n').filter(|line| !without.iter().any(|name| line.starts_with(name)));
    let expected = kept.collect::<String>().replace("\\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= second", "");
    assert_eq!(tree_of(&sandbox.path("out")), expected);
    let asked = service.log().iter().filter(|line| line.ends_with("/public-ipv4")).count();
    assert_eq!(asked, 4, "not until the deadline");
}

#[test]
fn what_is_no_line_of_authorized_keys_is_lost_and_other_keys_are_written() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV";
    let service = Service::start(|question| match question.path() {
        "/latest/meta-data/public-keys/" => Answer::ok("0=a\n1=b\n2=c\n3=d"),
        "/latest/meta-data/public-keys/0/openssh-key" => Answer::ok(format!("command=\"id\" {KEY} a")),
        "/latest/meta-data/public-keys/1/openssh-key" => Answer::ok(format!("{KEY} \u{1b}[2Jb")),
        "/latest/meta-data/public-keys/2/openssh-key" => Answer::ok(format!("<html>\n{KEY} c\n")),
        "/latest/meta-data/public-keys/3/openssh-key" => Answer::ok(format!("{KEY}\u{2028}d")),
        _ => ec2(question, "hello"),
    });
    let (sandbox, said) = ask_aws(&service, "30");
    let losses = "\
metadata: aws: skipping public key 0 of the instance: options are not allowed in front of the key
metadata: aws: skipping public key 1 of the instance: the line has control characters
metadata: aws: skipping public key 2 of the instance: not a public key
metadata: aws: skipping public key 3 of the instance: the line has control characters
";
    let done = EC2_DONE.to_owned() + "metadata: applying AWS: 4 items were skipped\n";
    assert_eq!(said, ran(1, &(losses.to_owned() + &done)));
    assert_eq!(sandbox.read("out/ssh/authorized_keys"), format!("{KEY} c\n").as_bytes());

    let service = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/ssh-keys" => {
            Answer::ok(format!("eve:restrict {KEY}\nbob:ssh-rsa x\nalice:{KEY} alice")).google()
        }
        "/computeMetadata/v1/project/attributes/ssh-keys" => Answer::status(404).google(),
        _ => google(question, "hello"),
    });
    let (sandbox, said) = ask_gcp(&service, "30");
    let losses = "\
metadata: gcp: skipping a public key of \"eve\": options are not allowed in front of the key
metadata: gcp: skipping a public key of \"bob\": not a public key
";
    assert!(said.status == Some(1) && said.stderr.starts_with(losses), "{said:?}");
    assert_eq!(sandbox.read("out/ssh/authorized_keys"), format!("{KEY} alice\n").as_bytes());
}

#[test]
fn lines_of_meta_data_keep_their_options() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV";
    let machine = Machine::new();
    let keys =
        format!("instance-id: i-1\npublic-keys: ['restrict {KEY} a', hello, \"{KEY} \\e[2J\", '{KEY} b']\n");
    machine.sandbox.write("meta-data", keys);
    let arguments = ["--layout", "nocloud", "--meta-data", "meta-data", "#cloud-config\n"];
    machine.device("vda", &machine.image(&arguments));
    let (report, said) = machine.run(&[]);
    let lost: Vec<_> = report.skipped.iter().map(|loss| loss.reason.as_str()).collect();
    let losses = [
        "skipping public key 2 of meta-data: not a public key",
        "skipping public key 3 of meta-data: the line has control characters",
    ];
    assert_eq!(lost, losses, "{said:?}");
    let written = machine.sandbox.read("out/ssh/authorized_keys");
    assert_eq!(String::from_utf8(written).unwrap(), format!("restrict {KEY} a\n{KEY} b\n"));
}

#[test]
fn an_answer_of_a_mebibyte_is_taken() {
    let service = Service::start(|question| ec2(question, &"x".repeat(1 << 20)));
    let (sandbox, said) = ask_aws(&service, "10");
    assert_eq!(said.status, Some(0), "{said:?}");
    assert_eq!(sandbox.read("out/userdata").len(), 1 << 20);
}

const GOOGLE_TREE: &str = r#"0644 hostname "web.c.project.internal"
0644 provider "GCP"
0700 ssh/
0600 ssh/authorized_keys "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= bob\n"
0600 userdata "hello"
"#;

#[test]
fn google_gives_a_host_name_keys_and_user_data() {
    let (sandbox, said) = ask_gcp(&Service::start(|question| google(question, "hello")), "10");
    assert_eq!(said, ran(0, "metadata: GCP: 5 bytes of user data\nmetadata: \"out\": 4 files written\n"));
    assert_eq!(tree_of(&sandbox.path("out")), GOOGLE_TREE);

    let old = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/userdata" => Answer::ok("hello").google(),
        _ => google(question, ""),
    });
    assert_eq!(tree_of(&ask_gcp(&old, "10").0.path("out")), GOOGLE_TREE, "the document's key");

    let blocked = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/block-project-ssh-keys" => Answer::ok("TRUE").google(),
        _ => google(question, "hello"),
    });
    let (sandbox, _) = ask_gcp(&blocked, "10");
    assert_eq!(
        sandbox.read("out/ssh/authorized_keys"),
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\n"
    );
    assert!(blocked.log().iter().all(|line| !line.contains("/project/")));

    let unknown = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/block-project-ssh-keys" => Answer::status(403).google(),
        _ => google(question, "hello"),
    });
    let (sandbox, said) = ask_gcp(&unknown, "10");
    assert_eq!(said.status, Some(1), "{said:?}");
    let why = "metadata: gcp: skipping the keys of the project, which the instance may block\n";
    assert!(said.stderr.contains(why), "{said:?}");
    assert_eq!(
        sandbox.read("out/ssh/authorized_keys"),
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\n"
    );

    let old = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/sshKeys" => Answer::ok(
            "carol:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcvBFcVyl0SXBu2wJNyjYVSaIgOgMQzCcsFRmyGsNcF",
        )
        .google(),
        _ => google(question, "hello"),
    });
    let (sandbox, _) = ask_gcp(&old, "10");
    assert_eq!(sandbox.read("out/ssh/authorized_keys"), b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcvBFcVyl0SXBu2wJNyjYVSaIgOgMQzCcsFRmyGsNcF\n");
}

#[test]
fn only_who_answers_as_google_is_google() {
    for service in [
        Service::start(|_| Answer::ok("hello")),
        Service::start(|_| Answer::ok("hello").with("Metadata-Flavor: Vanilla")),
        Service::start(|question| ec2(question, "hello")),
    ] {
        let (sandbox, said) = ask_gcp(&service, "60");
        let why = "computeMetadata/v1/instance/hostname: the response has no header Metadata-Flavor: Google";
        let why = format!("metadata: gcp: requesting {}/{why}\n", service.url());
        assert_eq!(said, ran(0, &(why + "metadata: no metadata found (asked gcp)\n")));
        assert_eq!(tree_of(&sandbox.path("out")), "");
        assert!(!service.log().is_empty());
    }
    let service = Service::start(|question| match question.path() {
        "/computeMetadata/v1/instance/attributes/user-data" => Answer::ok("hello"),
        _ => google(question, ""),
    });
    let (sandbox, said) = ask_gcp(&service, "5");
    assert_eq!((said.status, tree_of(&sandbox.path("out"))), (Some(1), String::new()), "{said:?}");
    let why = "user-data: the response has no header Metadata-Flavor: Google\n";
    assert!(said.stderr.contains("gcp: broken: requesting") && said.stderr.contains(why), "{said:?}");
}

#[test]
fn the_network_is_asked_at_once_and_the_order_given_decides() {
    // EC2 answers only after Google has been asked for everything, so that one after the other would take for ever.
    let asked = Arc::new((Mutex::new(false), Condvar::new()));
    let told = Arc::clone(&asked);
    let aws = Service::start(move |question| {
        let (lock, condition) = &*asked;
        drop(condition.wait_while(lock.lock().unwrap(), |asked| !*asked).unwrap());
        ec2(question, "hello")
    });
    let gcp = Service::start(move |question| {
        if question.path().ends_with("/user-data") {
            *told.0.lock().unwrap() = true;
            told.1.notify_all();
        }
        google(question, "hello")
    });
    let sandbox = Sandbox::new();
    let said = agent(&sandbox, &aws.url(), &gcp.host(), &["--json", "aws", "gcp"]);
    assert_eq!(said.stderr, EC2_DONE);
    assert_eq!(outcomes(&said), [("aws", "served"), ("gcp", "unused")]);
}

#[test]
fn an_answer_is_held_back_for_an_earlier_provider_but_not_for_ever() {
    let (aws, gcp) = (Service::silent(), Service::start(|question| google(question, "hello")));
    let sandbox = Sandbox::new();
    let said = agent(&sandbox, &aws.url(), &gcp.host(), &["--json", "--timeout", "600", "aws", "gcp"]);
    assert_eq!(tree_of(&sandbox.path("out")), GOOGLE_TREE);
    assert_eq!(outcomes(&said), [("aws", "unanswered"), ("gcp", "served")]);
}

#[test]
fn after_a_broken_provider_the_next_one_serves() {
    let aws = Service::start(|_| Answer::status(401));
    let gcp = Service::start(|question| google(question, "hello"));
    let sandbox = Sandbox::new();
    let said = agent(&sandbox, &aws.url(), &gcp.host(), &["--json", "aws", "gcp"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.stderr.contains("aws: broken"), "{said:?}");
    assert_eq!(tree_of(&sandbox.path("out")), GOOGLE_TREE);
    assert_eq!(outcomes(&said), [("aws", "broken"), ("gcp", "served")]);
}

/// Providers and outcomes in the report, sorted.
fn outcomes(said: &Ran) -> Vec<(&'static str, &'static str)> {
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let mut outcomes: Vec<_> = report["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| {
            assert!(probe["seconds"].as_f64().unwrap() >= 0.0);
            let text = |key: &str| &*probe[key].as_str().unwrap().to_owned().leak();
            (text("provider"), text("outcome"))
        })
        .collect();
    outcomes.sort_unstable();
    outcomes
}

#[test]
fn the_report_names_what_was_written_skipped_and_left() {
    let sandbox = Sandbox::new();
    let data = r#"{"hostname": {"content": "web\n"}, "a": {"entries": {"b": {"perm": "0600", "content": "x"}}}, "../c": {"content": ""}, "d": {"content": "y"}}"#;
    sandbox.write("data", data);
    sandbox.write("out/d/in the way", "");
    sandbox.write("out/old", "");
    let said = agent(&sandbox, "", "", &["--json", "file=data"]);
    let mut report: Value = serde_json::from_str(&said.stdout).unwrap();
    report["probes"][0]["seconds"] = 0.into();
    let expected = serde_json::json!({
        "provider": "FILE data",
        "probes": [{"provider": "file", "outcome": "served", "error": null, "seconds": 0}],
        "written": [
            {"name": "provider", "path": "provider", "mode": "0644", "size": 9},
            {"name": "userdata", "path": "userdata", "mode": "0600", "size": data.len()},
            {"name": "a/b", "path": "a/b", "mode": "0600", "size": 1},
            {"name": "a", "path": "a", "mode": "0755", "size": null},
            {"name": "hostname", "path": "hostname", "mode": "0644", "size": 4},
        ],
        "skipped": [
            {"path": "../c", "reason": "the name contains '/', which would lead to another directory; the entry is skipped"},
            {"path": "d", "reason": "a directory has this name"},
        ],
        "left": ["d/in the way", "old"],
        "hostname": null,
    });
    assert_eq!(report, expected);
    let stderr = "\
metadata: FILE data: 141 bytes of user data
metadata: user data:1:95: \"../c\": the name contains '/', which would lead to another directory; the entry is skipped [bad-name]
metadata: skipping \"d\": a directory has this name
metadata: \"out\": 4 files written
metadata: left unchanged: \"d/in the way\", \"old\"
metadata: applying FILE data: 2 items were skipped
";
    assert_eq!((said.status, &*said.stderr), (Some(1), stderr));
}

#[test]
fn a_report_of_a_refusal_names_who_was_asked_and_what_is_left() {
    let sandbox = Sandbox::new();
    sandbox.write("signers", "a@b ssh-ed25519 AAAA\n");
    sandbox.write("out/userdata", "old");
    let said = agent(&sandbox, "", "", &["--json", "--allowed-signers", "signers", "cdrom"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["probes"][0]["provider"], "cdrom", "{report}");
    assert_eq!(report["left"], serde_json::json!(["userdata"]));
    assert_eq!(report["error"], "the metadata must be verified, and none was found");
    assert!(said.stderr.contains("metadata: left unchanged: \"userdata\"\n"), "{said:?}");
    assert_eq!(said.status, Some(1));
}

#[test]
fn a_host_name_that_cannot_be_one_is_not_set() {
    let sandbox = Sandbox::new();
    sandbox.write("data", r#"{"hostname": {"content": "a_b"}}"#);
    let said = agent(&sandbox, "", "", &["--set-hostname", "file=data"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let why =
        "setting the host name \"a_b\": the name has characters other than letters, digits, '-' and '.'";
    assert!(said.stderr.contains(why), "{said:?}");
    assert_eq!(sandbox.read("out/hostname"), b"a_b");
}

#[test]
fn providers_are_named_as_linuxkit_names_them() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "hello");
    let said = agent(&sandbox, "", "", &["hetzner", "vmware", "file=data", "file=data"]);
    let stderr = "\
metadata: skipping hetzner: only LinuxKit's agent has this provider
metadata: skipping vmware: only LinuxKit's agent has this provider
metadata: FILE data: 5 bytes of user data
metadata: \"out\": 2 files written
";
    assert_eq!(said, ran(0, stderr));
    for (name, why) in [
        ("file=", "invalid value 'file=' for '[PROVIDER]...': the path is missing (--help shows the usage)"),
        (
            "AWS",
            "invalid value 'AWS' for '[PROVIDER]...': unknown provider; use cdrom, aws, gcp or file=PATH (--help shows the usage)",
        ),
    ] {
        assert_eq!(agent(&sandbox, "", "", &[name]), ran(2, &format!("metadata: {why}\n")));
    }
}

#[test]
fn a_file_that_is_not_there_is_no_fault_and_one_that_cannot_be_read_is() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "");
    let asked = "metadata: no metadata found (asked file)\n";
    let said = agent(&sandbox, "", "", &["file=absent"]);
    assert_eq!(said, ran(0, &format!("metadata: file: the file \"absent\" does not exist\n{asked}")));
    let said = agent(&sandbox, "", "", &["file=empty"]);
    assert_eq!(said, ran(0, &format!("metadata: file: the file \"empty\" is empty\n{asked}")));
    let said = agent(&sandbox, "", "", &["file=out"]);
    let fault = "metadata: file: broken: reading \"out\": not a regular file\n";
    assert_eq!(said, ran(1, &format!("{fault}{BROKEN}")));
}

#[test]
fn an_address_that_is_none_is_a_fault_of_usage() {
    let sandbox = Sandbox::new();
    for (aws, gcp, why) in [
        (
            "127.0.0.1:80",
            "",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT=\"127.0.0.1:80\": the URL does not begin with http://",
        ),
        ("", "a/b", "GCE_METADATA_HOST=\"a/b\": the URL has more than a host and a port"),
        (
            "",
            "http://a",
            "GCE_METADATA_HOST=\"http://a\": give a host, perhaps with a port, instead of a URL",
        ),
        ("", "::1", "GCE_METADATA_HOST=\"::1\": write an IPv6 address in brackets"),
    ] {
        assert_eq!(agent(&sandbox, aws, gcp, &["aws", "gcp"]), ran(2, &format!("metadata: {why}\n")));
    }
    for seconds in ["-1", "nan", "1e99", "x"] {
        let said = agent(&sandbox, "", "", &["--timeout", seconds, "cdrom"]);
        let why = "not a number of seconds from 0 to 86400 (--help shows the usage)";
        let line = format!("metadata: invalid value '{seconds}' for '--timeout <SECONDS>': {why}\n");
        assert_eq!(said, ran(2, &line));
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn user_data_may_come_from_standard_input() {
    let sandbox = Sandbox::new();
    let said = sandbox.run_with_input(["agent", "--root", "out", "-v", "-v", "file=-"], "x");
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.stderr.contains(" FILE -: 1 byte of user data\n"), "{said:?}");
    assert_eq!(sandbox.read("out/userdata"), b"x");
}

#[test]
fn an_image_in_a_file_is_read_as_one() {
    let sandbox = Sandbox::new();
    sandbox.succeed([
        "create",
        "-q",
        "--lenient",
        "seed.iso",
        "hello",
        "--layout",
        "nocloud",
        "--hostname",
        "web",
    ]);
    let said = agent(&sandbox, "", "", &["file=seed.iso"]);
    assert_eq!(
        said,
        ran(0, "metadata: FILE seed.iso: 5 bytes of user data\nmetadata: \"out\": 3 files written\n")
    );
    let expected = "0644 hostname \"web\"\n0644 provider \"FILE seed.iso\"\n0600 userdata \"hello\"\n";
    assert_eq!(tree_of(&sandbox.path("out")), expected);
    fs::remove_dir_all(sandbox.path("out")).unwrap();

    sandbox.succeed(["create", "-q", "empty.iso", ""]);
    let nothing = "\
metadata: file: the image \"empty.iso\" has no data in user-data, config or meta-data
metadata: no metadata found (asked file)
";
    assert_eq!(agent(&sandbox, "", "", &["file=empty.iso"]), ran(0, nothing));

    sandbox.write("fat.img", fat_boot_sector());
    let fat =
        "reading image \"fat.img\": the boot sector is not valid: the volume ends before its files begin";
    let broken = format!("metadata: file: broken: {fat}\n{BROKEN}");
    assert_eq!(agent(&sandbox, "", "", &["file=fat.img"]), ran(1, &broken));
    for arguments in [&["apply", "--dry-run", "fat.img"][..], &["check", "fat.img"]] {
        assert_eq!(sandbox.run(arguments), failed(1, fat));
    }
    let options =
        ["--lenient", "--filesystem=vfat", "--layout=nocloud", "--hostname=web", "seed.img", "hello"];
    sandbox.succeed(["create", "--quiet"].into_iter().chain(options));
    let said = "metadata: FILE seed.img: 5 bytes of user data\nmetadata: \"out\": 3 files written\n";
    assert_eq!(agent(&sandbox, "", "", &["file=seed.img"]), ran(0, said));
    assert_eq!(tree_of(&sandbox.path("out")), expected.replace(".iso", ".img"));
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    let image = sandbox.read("seed.iso");
    for arguments in [&["apply", "--dry-run", "-"][..], &["check", "-"]] {
        let line = "reading standard input: the input is an image; save it to a file and give its path";
        assert_eq!(sandbox.run_with_input(arguments, image.clone()), failed(1, line));
    }
    let ran = sandbox.run_with_input(["agent", "--root", "out2", "file=-"], image);
    assert!(
        ran.stderr.contains("standard input is an image; save it to a file and give its path"),
        "{ran:?}"
    );
    assert_eq!(ran.status, Some(1));
}

#[test]
fn a_console_is_not_kept_busy_with_faults() {
    let sandbox = Sandbox::new();
    let bad: Vec<_> = (0..1000).map(|n| format!("\"{n}{}\": 1", "x".repeat(2000))).collect();
    sandbox.write("data", format!("{{{}}}", bad.join(", ")));
    let said = agent(&sandbox, "", "", &["file=data"]);
    assert_eq!(said.status, Some(1));
    assert!(said.stderr.contains("metadata: 980 more warnings; --verbose shows them\n"), "{said:?}");
    assert!(said.stderr.len() < 30_000, "{}", said.stderr.len());
}

#[test]
fn what_an_earlier_run_left_is_named_when_nothing_is_found_too() {
    let sandbox = Sandbox::new();
    sandbox.write("out/provider", "FILE data");
    let said = agent(&sandbox, "", "", &["file=data"]);
    let stderr = "\
metadata: file: the file \"data\" does not exist
metadata: no metadata found (asked file)
metadata: left unchanged: \"provider\"
";
    assert_eq!(said, ran(0, stderr));
}

/// A `/dev` and a `/sys/class/block` of files.
struct Machine {
    sandbox: Sandbox,
}

impl Machine {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("dev/null", "");
        fs::create_dir(sandbox.path("sys")).unwrap();
        Self { sandbox }
    }

    fn device(&self, name: &str, content: &[u8]) {
        self.sandbox.write(&format!("dev/{name}"), content);
        self.sysfs(name, content.len().div_ceil(512));
    }

    fn sysfs(&self, name: &str, blocks: usize) {
        self.sandbox.write(&format!("sys/{name}/size"), format!("{blocks}\n"));
    }

    /// An image that the program makes.
    fn image(&self, arguments: &[&str]) -> Vec<u8> {
        let image = [&["create", "--lenient", "--quiet", "-"], arguments].concat();
        self.sandbox.succeed(image)
    }

    fn cdrom(&self) -> Arc<dyn Provider> {
        Arc::new(Cdrom::new(self.sandbox.path("dev"), self.sandbox.path("sys")))
    }

    /// Runs the agent. What it did, and all that it said.
    fn run(&self, others: &[Arc<dyn Provider>]) -> (Report, Vec<String>) {
        let mut said = Vec::new();
        let providers = [others, &[self.cdrom()]].concat();
        let report = run(&providers, &options(&self.sandbox.path("out"), 0), &mut |_, text| {
            said.push(text.to_owned());
        });
        assert_eq!(report.error, None);
        (report, said)
    }
}

fn options(root: &Path, wait: u64) -> AgentOptions {
    let seconds = Duration::from_secs;
    AgentOptions {
        root: root.to_owned(),
        set_hostname: false,
        timeout: seconds(600),
        wait: seconds(wait),
        trust: Trust::default(),
    }
}

#[test]
fn a_cdrom_is_applied_before_a_silent_address_is_asked() {
    let machine = Machine::new();
    machine.device("sr0", &machine.image(&["hello"]));
    let service = Service::silent();
    let (report, said) = machine.run(&[Arc::new(Aws::new(&service.url()).unwrap())]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let asked: Vec<_> = report.probes.iter().map(|probe| (probe.provider, probe.outcome)).collect();
    assert_eq!(asked, [("cdrom", ProbeOutcome::Served)], "named second, asked first, and nobody else");
    assert!(report.is_whole());
    assert_eq!(service.log(), [""; 0], "nobody connected");
    assert!(said.last().unwrap().ends_with("2 files written"), "{said:?}");
}

#[test]
fn every_bus_is_looked_at_and_cidata_comes_first() {
    let machine = Machine::new();
    let image = |data: &str| machine.image(&[data]);
    machine.device("sda", &image("from a disk"));
    machine.device("sr0", &machine.image(&["--volume-id", "OTHER", "from a disc"]));
    machine.device("vdb", &image("from another disk"));
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sda"));
    machine.device("sda", &machine.image(&["--volume-id", "OTHER", "of no interest"]));
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/vdb"));
    fs::remove_file(machine.sandbox.path("dev/vdb")).unwrap();
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sr0"));
    assert_eq!(machine.sandbox.read("out/userdata"), b"from a disc");
    // A name with a slash, which sysfs writes otherwise.
    machine.sandbox.write("dev/cciss/c0d0", image("raid"));
    machine.sysfs("cciss!c0d0", 1000);
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/cciss/c0d0"));
}

#[test]
fn no_drive_is_looked_at_once_user_data_has_been_found() {
    let machine = Machine::new();
    machine.device("sda", &machine.image(&["--layout", "nocloud", "", "--hostname", "web"]));
    machine.device("sr0", &machine.image(&["hello"]));
    machine.sysfs("sr1", 1000);
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let about = |name: &str| said.iter().any(|line| line.contains(name));
    assert!(about("/dev/sda"), "it has no user data, so that a better one was looked for: {said:?}");
    assert!(!about("/dev/sr1"), "it cannot even be opened: {said:?}");
}

#[test]
fn a_fat_disk_is_read_unless_its_image_must_be_signed() {
    let machine = Machine::new();
    machine
        .device("vda", &machine.image(&["--filesystem", "vfat", "--volume-id", "OTHER", "of no interest"]));
    machine.device("vdb", &machine.image(&["--filesystem", "vfat", "--volume-id", "cidata", "hello"]));
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"), "{said:?}");
    let other = "cdrom: /dev/vda: a disk with volume identifier \"OTHER\" instead of CIDATA";
    assert!(said.iter().any(|line| line == other), "{said:?}");

    let [devices, blocks] = ["dev", "sys"].map(|name| machine.sandbox.path(name));
    let signed_only = Cdrom::new(devices, blocks).file_systems(FileSystems::Iso9660);
    let mut said = Vec::new();
    let found =
        signed_only.fetch(std::time::Instant::now(), &mut |_, text| said.push(text.to_owned())).unwrap();
    assert_eq!(found, None);
    assert_eq!(said, ["/dev/vda: no ISO 9660 volume", "/dev/vdb: no ISO 9660 volume"]);
}

#[test]
fn without_sysfs_the_cdrom_drives_are_looked_at() {
    let machine = Machine::new();
    machine.device("sr1", &linuxkit_image(b"hello"));
    machine.device("vda", &machine.image(&["of no interest"]));
    fs::remove_dir_all(machine.sandbox.path("sys")).unwrap();
    assert_eq!(machine.run(&[]).0.provider.as_deref(), Some("CDROM /dev/sr1"));
}

#[test]
fn what_is_no_image_is_passed_over() {
    let machine = Machine::new();
    machine.device("loop0", &machine.image(&["of no interest"]));
    machine.device("ram0", &machine.image(&["of no interest"]));
    machine.device("fd0", &[0; 512]);
    machine.device("vda", &vec![0; 100_000]);
    let huge = fs::File::create(machine.sandbox.path("dev/vdb")).unwrap();
    huge.set_len(10 << 40).unwrap();
    machine.sysfs("vdb", 20 << 30);
    // Reading there is an input/output error.
    symlink("/proc/self/mem", machine.sandbox.path("dev/vdc")).unwrap();
    machine.sysfs("vdc", 1000);
    symlink("/dev/null", machine.sandbox.path("dev/sr0")).unwrap();
    machine.sysfs("sr0", 0);
    machine.device("sr1", &machine.image(&["--layout", "configdrive", "of no interest"]));
    let (report, said) = machine.run(&[]);
    assert_eq!(
        said,
        [
            "cdrom: /dev/fd0: too small for an image",
            "cdrom: /dev/sr0: not a regular file or a block device",
            "cdrom: /dev/vda: no ISO 9660 or FAT volume",
            "cdrom: /dev/vdb: no ISO 9660 or FAT volume",
            "cdrom: /dev/vdc: Input/output error (os error 5)",
            "cdrom: /dev/sr1: volume \"config-2\" has no data in user-data, config or meta-data",
            "cdrom: nothing found",
            "no metadata found (asked cdrom)",
        ]
    );
    assert!(report.is_whole(), "nothing was found, and nothing is broken");
}

#[test]
fn a_device_that_cannot_be_looked_at_may_have_been_the_one() {
    let machine = Machine::new();
    machine.sysfs("vda", 1000);
    let (report, said) = machine.run(&[]);
    let why = "/dev/vda: opening the device (is devtmpfs mounted on /dev?)";
    assert_eq!(said, [format!("cdrom: broken: {why}: No such file or directory (os error 2)")]);
    assert!(!report.is_whole());

    machine.device("vdb", &machine.image(&["hello"]));
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"));
    assert!(report.is_whole() && said.iter().any(|line| line.contains(why)), "{said:?}");
}

#[test]
fn a_broken_image_is_named_and_the_next_one_serves() {
    let machine = Machine::new();
    let whole = machine.image(&["hello"]);
    machine.device("vda", &whole[..40_000]);
    let (report, _) = machine.run(&[]);
    assert!(!report.is_whole());
    assert_eq!(report.probes[0].outcome, ProbeOutcome::Broken);
    machine.device("vdb", &whole);
    let (report, said) = machine.run(&[]);
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vdb"));
    assert!(report.is_whole());
    let about_vda: Vec<_> = said.iter().filter(|line| line.contains("/dev/vda")).collect();
    assert!(about_vda.len() == 1 && about_vda[0].starts_with("cdrom: /dev/vda: reading image"), "{said:?}");
}

#[test]
fn user_data_of_more_than_64_mebibytes_is_refused() {
    let machine = Machine::new();
    let data = fs::File::create(machine.sandbox.path("data")).unwrap();
    data.set_len((64 << 20) + 1).unwrap();
    let sandbox = &machine.sandbox;
    sandbox.succeed(["create", "--quiet", "--data-file", "data", "dev/sr0"]);
    machine.sysfs("sr0", 1 << 20);
    let (report, said) = machine.run(&[]);
    assert!(report.probes[0].outcome == ProbeOutcome::Broken && !report.is_whole(), "{said:?}");
    data.set_len(64 << 20).unwrap();
    sandbox.succeed(["create", "--quiet", "--data-file", "data", "dev/sr0"]);
    assert!(machine.run(&[]).0.is_whole());
}

#[test]
fn meta_data_gives_what_user_data_does_not() {
    let machine = Machine::new();
    machine.sandbox.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me\n",
    );
    let nocloud = ["--layout", "nocloud", "--hostname", "web", "--ssh-key", "key.pub"];
    machine.device("vda", &machine.image(&[&nocloud[..], &["#cloud-config\n"]].concat()));
    machine.run(&[]);
    let tree = |machine: &Machine| {
        let tree = tree_of(&machine.sandbox.path("out"));
        tree.split_inclusive('\n').filter(|line| !line.contains("userdata")).collect::<String>()
    };
    let expected = r#"0644 hostname "web"
0644 provider "CDROM /dev/vda"
0700 ssh/
0600 ssh/authorized_keys "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me\n"
"#;
    assert_eq!(tree(&machine), expected);
    let own =
        r#"{"hostname": {"content": "own"}, "ssh": {"entries": {"authorized_keys": {"content": "own"}}}}"#;
    machine.device("vda", &machine.image(&[&nocloud[..], &[own]].concat()));
    machine.run(&[]);
    let expected = "0644 hostname \"own\"\n0644 provider \"CDROM /dev/vda\"\n0700 ssh/\n0644 ssh/authorized_keys \"own\"\n";
    assert_eq!(tree(&machine), expected);
}

#[test]
fn meta_data_that_cannot_be_read_is_a_loss() {
    let machine = Machine::new();
    for metadata in ["local-hostname: [\n", "- a\n", "a: 1\n---\nb: 2\n", "local-hostname: we_b\n"] {
        machine.sandbox.write("meta-data", metadata);
        let arguments = ["--layout", "nocloud", "--meta-data", "meta-data", "#cloud-config\n"];
        machine.device("vda", &machine.image(&arguments));
        let (report, said) = machine.run(&[]);
        assert_eq!(report.provider.as_deref(), Some("CDROM /dev/vda"));
        assert!(report.skipped.len() == 1 && !report.is_whole(), "{metadata}: {said:?}");
    }
}

#[test]
fn a_provider_s_keys_do_not_go_without_a_word() {
    let machine = Machine::new();
    machine.sandbox.write(
        "meta-data",
        "public-keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV]\n",
    );
    let data = r#"{"ssh": {"content": "in the way"}}"#;
    let arguments = ["--layout", "nocloud", "--meta-data", "meta-data", data];
    machine.device("vda", &machine.image(&arguments));
    let (report, _) = machine.run(&[]);
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(report.skipped[0].path, "ssh");
}

#[test]
fn a_device_that_appears_late_is_waited_for() {
    let machine = Machine::new();
    machine.device("vda", &vec![0; 100_000]);
    let image = machine.image(&["hello"]);
    let mut said = Vec::new();
    let report = run(&[machine.cdrom()], &options(&machine.sandbox.path("out"), 600), &mut |level, text| {
        if said.is_empty() {
            // The first round is under way.
            machine.device("sr0", &image);
        }
        said.push((level, text.to_owned()));
    });
    assert_eq!(report.provider.as_deref(), Some("CDROM /dev/sr0"));
    let about_vda =
        said.iter().filter(|(level, text)| *level == LogLevel::Detail && text.contains("/dev/vda"));
    assert_eq!(about_vda.count(), 1, "{said:?}");
}

#[test]
fn two_agents_at_once_write_the_same() {
    let machine = Machine::new();
    machine.device("sr0", &machine.image(&[r#"{"a": {"entries": {"b": {"content": "x"}}}}"#]));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(machine.run(&[]).0.is_whole()));
        }
    });
    assert_eq!(tree_of(&machine.sandbox.path("out")).lines().count(), 4);
}

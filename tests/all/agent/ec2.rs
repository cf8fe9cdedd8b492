//! EC2: what it gives, what is taken for it, and its faults.

use std::thread;

use super::{EC2_DONE, Machine, agent, ask_aws, ask_gcp, broken, ran};

use crate::{
    imds::{Answer, Service, TOKEN, ec2, ec2_v1, google},
    userdata::tree_of,
};

const NOTHING: &str = "metadata: no metadata found (asked aws)\n";

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

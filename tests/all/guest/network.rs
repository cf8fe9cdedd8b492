//! Metadata services that the guest reaches over a network.

use std::thread;

use super::{
    TREE, applied, applied_tree,
    machine::{Guest, Run, directory, file},
};
use crate::imds::{Answer, Service, ec2, google};

/// Where the guest reaches a service on the loopback interface of the host.
fn address(service: &Service) -> String {
    service.host().replace("127.0.0.1", "10.0.2.2")
}

/// Command words that run `metadata agent` with these services.
fn agent(aws: &Service, gcp: &Service) -> String {
    let (aws, gcp) = (address(aws), address(gcp));
    format!("env AWS_EC2_METADATA_SERVICE_ENDPOINT=http://{aws} GCE_METADATA_HOST={gcp} metadata agent")
}

#[test]
#[ignore = "needs a guest"]
fn ec2_and_google_are_applied_and_the_first_that_is_named_serves() {
    let aws = Service::start(|question| ec2(question, TREE));
    let gcp = Service::start(|question| google(question, "hello"));
    let mut guest = Guest::new();
    guest.network();
    let agent = agent(&aws, &gcp);
    let report = guest.boot(&format!(
        "network
        run aws {agent}
        rm -r /run/config
        hostname '(none)'
        run gcp {agent} gcp aws"
    ));

    let others = [
        file("/run/config/availability_zone", 0o644, "eu-central-1a"),
        file("/run/config/hostname", 0o644, "web\n"),
        file("/run/config/instance_id", 0o644, "i-0123456789abcdef0"),
        file("/run/config/instance_type", 0o644, "t3.micro"),
        file("/run/config/local_hostname", 0o644, "ip-10-0-0-7.ec2.internal"),
        file("/run/config/local_ipv4", 0o644, "10.0.0.7"),
        file("/run/config/public_ipv4", 0o644, "203.0.113.7"),
        directory("/run/config/ssh", 0o700),
        file("/run/config/ssh/sshd_config", 0o600, "PermitRootLogin no\n"),
        file(
            "/run/config/ssh/authorized_keys",
            0o600,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV first\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= second\n",
        ),
        directory("/run/config/run", 0o755),
        file("/run/config/run/start", 0o755, "exec true\n"),
        file("/run/config/run/empty", 0o644, ""),
    ];
    assert_eq!(report.run("aws"), applied("AWS", TREE, Some("web"), &others));

    let name = "web.c.project.internal";
    let others = [
        file("/run/config/hostname", 0o644, name),
        directory("/run/config/ssh", 0o700),
        file(
            "/run/config/ssh/authorized_keys",
            0o600,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= bob\n",
        ),
    ];
    assert_eq!(report.run("gcp"), applied("GCP", "hello", Some(name), &others));
}

/// What an agent is for that asks local providers first: nobody has asked the network when a disc is applied.
#[test]
#[ignore = "needs a guest"]
fn an_address_that_never_answers_does_not_hold_up_a_disc() {
    let silent = Service::start(|question| match question.path() {
        "/applied" => Answer::ok(""),
        _ => loop {
            thread::park();
        },
    });
    let mut guest = Guest::new();
    guest.sandbox.succeed(["create", "meta.iso", TREE]);
    guest.cdrom("meta.iso");
    guest.network();
    let agent = agent(&silent, &silent);
    let report = guest.boot(&format!(
        "network
        run agent {agent} -v aws gcp cdrom
        wget -q -O /dev/null http://{}/applied
        run control {agent} --timeout 1 aws",
        address(&silent)
    ));

    let run = report.run("agent");
    println!("{}", run.ran.stderr);
    let expected = applied_tree("CDROM /dev/sr0");
    assert_eq!((run.ran.status, run.changes), (Some(0), expected.changes));
    let files = r#""hostname", "provider", "run/empty", "run/start", "ssh/sshd_config", "userdata""#;
    let why = format!("requesting http://{}/latest/meta-data/: no response in time", address(&silent));
    let says = format!(
        "metadata: aws: {why}\nmetadata: no metadata found (asked aws; no answer from aws)\nmetadata: left unchanged: {files}\n"
    );
    assert_eq!(report.run("control"), Run::new(&says, &[]));
    assert_eq!(silent.log(), ["GET /applied", "PUT /latest/api/token", "GET /latest/meta-data/"]);
}

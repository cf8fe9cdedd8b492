//! Google's Compute Engine: what it gives, and what is taken for it.

use super::{GOOGLE_TREE, ask_gcp, ran};

use crate::{
    imds::{Answer, Service, ec2, google},
    userdata::tree_of,
};

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

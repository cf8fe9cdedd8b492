//! Metadata services in general: silence, redirects, proxies, and which provider decides.

use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use super::{EC2_DONE, GOOGLE_TREE, agent, ask_aws, ran};

use crate::{
    imds::{Answer, Service, ec2, google},
    support::{Ran, Sandbox},
    userdata::tree_of,
};

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

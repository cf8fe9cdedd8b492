//! The agent on the host: providers on loopback, devices and a sysfs that are files. `guest.rs` has the real ones.

mod devices;
mod ec2;
mod file;
mod google;
mod network;
mod report;

use std::{fs, path::Path, sync::Arc, time::Duration};

use metadata_image::{
    agent::{AgentOptions, Report, Trust, run},
    provider::{Provider, cdrom::Cdrom},
};

use crate::{
    imds::Service,
    support::{Ran, Sandbox},
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

fn ran(status: i32, stderr: &str) -> Ran {
    Ran { status: Some(status), stdout: String::new(), stderr: stderr.to_owned() }
}

const EC2_DONE: &str = "metadata: AWS: 5 bytes of user data\nmetadata: \"out\": 10 files written\n";

/// What is said of a broken service: its fault, and that nothing was applied.
fn broken(service: &Service, path: &str, why: &str) -> Ran {
    let fault = format!("metadata: aws: broken: requesting {}{path}: {why}\n", service.url());
    ran(1, &(fault + BROKEN))
}

const GOOGLE_TREE: &str = r#"0644 hostname "web.c.project.internal"
0644 provider "GCP"
0700 ssh/
0600 ssh/authorized_keys "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV alice\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= bob\n"
0600 userdata "hello"
"#;

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

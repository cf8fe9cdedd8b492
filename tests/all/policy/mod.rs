//! Policies: what they see, what they say, and that nothing they do ends in being allowed.

mod decision;
mod examples;
mod processes;
mod rule_names;

use crate::support::{Ran, Sandbox, done, failed};

/// What a policy in `p.rego` makes of `meta.iso`.
fn decide(sandbox: &Sandbox, policy: &str, more: &[&str]) -> Ran {
    sandbox.write("p.rego", policy);
    sandbox.run([&["policy", "meta.iso", "--policy", "p.rego"], more].concat())
}

fn image(strings: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let strings = strings.iter().flat_map(|string| ["--run-metadata", string]);
    let create = ["create", "--quiet", "meta.iso", r#"{"hostname":{"content":"web"}}"#];
    sandbox.succeed(create.into_iter().chain(strings));
    sandbox
}

fn allowed() -> Ran {
    done("metadata: meta.iso: allowed\n")
}

fn denied(messages: &[&str]) -> Ran {
    let lines = messages.iter().map(|message| format!("metadata: denied: {message}\n"));
    let stderr = lines.collect::<String>() + "metadata: refusing \"meta.iso\": the policy denies the boot\n";
    Ran { status: Some(1), stdout: String::new(), stderr }
}

fn broken(why: &str) -> Ran {
    failed(1, &format!("refusing \"meta.iso\": the policy failed, which denies the boot: {why}"))
}

//! Shells complete commands, options and values with the scripts that `metadata completions` prints.

use crate::support::Sandbox;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// What bash offers for the last of these words.
fn bash(words: &[&str]) -> Vec<String> {
    let sandbox = Sandbox::new();
    sandbox.write("script", sandbox.succeed(["completions", "bash"]));
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let test = format!(
        "source ./script
         complete -p metadata >/dev/null || exit
         COMP_WORDS=({}) COMP_CWORD={}
         _metadata metadata \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1
    );
    let offered = sandbox.tool("bash", ["--norc", "-c", &test]);
    String::from_utf8(offered).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(bash(&["metadata", "cre"]), ["create"]);
    assert_eq!(bash(&["metadata", "ver"]), ["verify"]);
    assert_eq!(bash(&["metadata", "create", "--lay"]), ["--layout"]);
    assert_eq!(bash(&["metadata", "create", "--layout", ""]), ["linuxkit", "nocloud", "configdrive"]);
    assert_eq!(bash(&["metadata", "completions", "z"]), ["zsh"]);
    assert_eq!(bash(&["metadata", "help", "che"]), ["check"]);
}

#[test]
fn bash_is_not_told_of_hidden_commands_and_options() {
    let offered = bash(&["metadata", ""]);
    assert!(offered.contains(&"policy".to_owned()) && offered.contains(&"help".to_owned()), "{offered:?}");
    assert_eq!(bash(&["metadata", "policy-"]), [""; 0]);
    assert_eq!(bash(&["metadata", "agent", "--init"]), [""; 0]);
    for shell in SHELLS {
        let script = String::from_utf8(Sandbox::new().succeed(["completions", shell])).unwrap();
        assert!(script.contains("create") && script.contains("network-config"), "{shell}");
        for hidden in ["policy-worker", "policy-evaluator", "initialization-policy"] {
            assert!(!script.contains(hidden), "{shell}: {hidden}");
        }
    }
}

#[test]
#[ignore = "needs zsh"]
fn zsh_reads_its_script() {
    let sandbox = Sandbox::new();
    sandbox.write("_metadata", sandbox.succeed(["completions", "zsh"]));
    let test = "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d dump; \
                (( ${+_comps[metadata]} )) && print -r -- $_comps[metadata] && zsh -n _metadata";
    assert_eq!(sandbox.tool("zsh", ["-fc", test]), b"_metadata\n");
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_commands_options_and_values() {
    let sandbox = Sandbox::new();
    sandbox.write("script", sandbox.succeed(["completions", "fish"]));
    let offered = |line: &str| {
        let test = format!("source ./script; complete -C '{line}'");
        let offered = String::from_utf8(sandbox.tool("fish", ["--no-config", "-c", &test])).unwrap();
        // A word, a tab and its description.
        offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered("metadata cre"), ["create"]);
    assert_eq!(offered("metadata create --layout "), ["configdrive", "linuxkit", "nocloud"]);
    assert_eq!(offered("metadata policy-"), [""; 0]);
}

#[test]
fn an_unknown_shell_is_named_with_the_known_ones() {
    let ran = Sandbox::new().run(["completions", "tcsh"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("tcsh") && ran.stderr.contains("bash"), "{}", ran.stderr);
}

//! What a guest or a host does with an input.

use std::{fs, io::Cursor, num::NonZero, path::Path, sync::Arc};

use metadata_image::{
    agent::admission,
    batch,
    check::{Prepared, check_image, check_whole},
    image::{Image, source::Source},
    manifest::{Manifest, inventory::Contents},
    provider::Metadata,
    recipe::{Recipe, change::ImageChange},
    trust::{allowed_signers::AllowedSigners, revoked_keys::Revoked, signature::Signature},
    userdata::{
        config_tree::ConfigTree,
        finding::Lines,
        install_plan::InstallPlan,
        meta_data_edit::with_member,
        schema::{Rules, Schema},
    },
};

use super::text::SCHEMA_END;
use crate::fuzz_targets::check::SUBJECTS;

/// Does all that a guest or a host does with text of others, and shows every finding in one line.
pub(super) fn work(text: &str) {
    let mut rules = vec![(text.to_owned(), Rules::default())];
    if let Some((schema, document)) = text.split_once(SCHEMA_END)
        && let Ok(schema) = Schema::parse(schema.as_bytes())
    {
        let schema = Some(Arc::new(schema));
        rules.push((format!("#cloud-config\n{document}"), Rules { schema, ..Rules::default() }));
    }
    let mut shown = 0;
    for (text, rules) in rules {
        for subject in SUBJECTS {
            for checked in check_whole(text.as_bytes(), subject, None, &rules) {
                let lines = Lines::of(&checked.text);
                let said = checked.findings.iter().map(|finding| finding.in_one_line("f", &lines).len());
                shown += said.sum::<usize>();
            }
        }
    }
    for key in ["local-hostname", "a"] {
        shown += with_member(text, key, "web").map_or(0, |edited| edited.len());
    }
    let plan = InstallPlan::new(Some(text.as_bytes()), ConfigTree::default());
    shown += plan.lines("f").map(|(_, line)| line.len()).sum::<usize>() + plan.losses().len();
    drop(plan.list());
    let mut found = Metadata { meta_data: Some(text.into()), ..Metadata::default() };
    found.parse_meta_data(&mut |_, line| shown += line.len());
    drop(admission::input(&found, None));
    drop((Manifest::parse(text.as_bytes()), Signature::parse(text.as_bytes())));
    drop((AllowedSigners::parse("f", text), Revoked::parse(text.as_bytes())));
    crate::fuzz_targets::localds::run(text.as_bytes());
    assert!(shown < usize::MAX);
}

/// Builds images of lines with `text` as data, as a line, and as every field.
pub(super) fn build(text: &str) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let data = serde_json::to_string(text).unwrap();
    let line = |layout: &str| format!("{{\"image\":\"a-{layout}\",\"layout\":\"{layout}\",\"data\":{data}}}");
    let lines = [line("linuxkit"), line("nocloud"), text.to_owned()].join("\n");
    let options = batch::BatchOptions {
        into: directory.path().to_owned(),
        lines: None,
        jobs: NonZero::<usize>::MIN,
        shard: batch::Shard::ALL,
        keep_going: true,
        force: false,
        tolerance: metadata_image::check::Tolerance::Usual,
        digests: false,
        sync: false,
        seconds: None,
    };
    let input = batch::Input::Stream(Box::new(Cursor::new(lines.into_bytes())));
    let summary = batch::run(input, &options, &mut |_| Ok(())).unwrap();
    assert!(summary.built + summary.faulty >= 2, "{summary:?}");
}

/// Writes a file of the seed that [`build_seed`] builds.
pub(super) fn write_file_of_seed(name: &str) {
    let path = Path::new("seed").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "#cloud-config\n").unwrap();
}

/// Builds the image of the seed, as `create --from` does.
pub(super) fn build_seed() {
    let recipe = Recipe::of_seed(Path::new("seed"), None).unwrap();
    let mut prepared = Prepared::new(recipe).unwrap();
    prepared.check(|_| Ok(())).unwrap();
    prepared.draft.write_forward(&mut std::io::sink(), &mut ()).unwrap();
}

/// Reads an image as a guest and a host do, and builds it again with another file.
pub(super) fn read_image(image: &[u8]) {
    let mut image = Image::from_reader(Cursor::new(image)).unwrap();
    let (_, records) = image.list().unwrap();
    if !records.iter().all(|record| image.holds(record)) {
        return;
    }
    drop(check_image(&mut image, None).unwrap());
    drop(Contents::read(&mut image, |_, _| Vec::new(), 0, &mut ()).unwrap());
    let change =
        ImageChange { files: vec![(b"new".to_vec(), Source::Bytes(Vec::new()))], ..ImageChange::default() };
    let changed = change.apply(&mut image, &mut ()).unwrap();
    changed.draft.write_forward(&mut std::io::sink(), &mut ()).unwrap();
}

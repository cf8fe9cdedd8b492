//! `metadata apply`.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use anyhow::{Context, Result, anyhow};
use metadata_image::{
    image::read::is_image,
    output::tree::Directory,
    provider::cdrom,
    userdata::{
        config_tree::ConfigTree,
        finding::{Code, Lines, Severity},
        parse::{self, Parsed},
        unpack,
    },
};

use super::{is_dash, print, printable, render, say};

/// Permission bits of the raw user data: it repeats every secret of the tree.
const USERDATA_MODE: u32 = 0o600;

/// Write what the guest would have under /run/config
///
/// Takes an image or user data, and writes the raw user data and the files of
/// its config tree beneath a directory, with their modes whatever the umask,
/// and nothing outside of it, whatever the names and whatever links are found
/// there. An entry that cannot be written is named and skipped, its siblings
/// are written, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An image, a block device or user data; '-' is standard input
    source: PathBuf,

    /// The directory to write into; made if it is not there
    #[arg(required_unless_present = "dry_run")]
    directory: Option<PathBuf>,

    /// Write nothing; list mode, size and path of what would be written
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata apply meta.iso run-config
  metadata apply --dry-run config.json
  metadata pack config | metadata apply --dry-run -";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let name = self.source.display().to_string();
        let data = self.read()?;
        let Parsed { tree, findings, text } =
            if parse::is_meant(&data) { parse::parse(&data) } else { plain() };
        let lines = Lines::of(&text);
        let mut skipped = 0_usize;
        for finding in findings.iter().filter(|finding| finding.code.severity() == Severity::Error) {
            say(&render::in_one_line(&name, &lines, finding));
            // Such a file is written; it is the host name that will not be set.
            skipped += usize::from(finding.code != Code::HostName);
        }
        let tree = tree.unwrap_or_default();
        match &self.directory {
            Some(directory) if !self.dry_run => {
                let directory = Directory::open_or_create(directory)?;
                if let Err(error) = unpack::write(&directory, "userdata", USERDATA_MODE, &data) {
                    say(&format!("skipping \"userdata\": {error:#}"));
                    skipped += 1;
                }
                unpack::unpack(&tree, &directory, &mut |path, error| {
                    say(&format!("skipping {path:?}: {error:#}"));
                    skipped += 1;
                });
            }
            _ => print(&list(&tree, data.len()))?,
        }
        match skipped {
            0 => Ok(()),
            1 => Err(anyhow!("applying {:?}: 1 thing was skipped", self.source)),
            _ => Err(anyhow!("applying {:?}: {skipped} things were skipped", self.source)),
        }
    }

    fn read(&self) -> Result<Vec<u8>> {
        let context = || format!("reading {:?}", self.source);
        let mut data = Vec::new();
        if is_dash(self.source.as_os_str()) {
            io::stdin().read_to_end(&mut data).context("reading standard input")?;
            return Ok(data);
        }
        let mut file = File::open(&self.source).with_context(context)?;
        if file.metadata().with_context(context)?.is_dir() {
            return Err(anyhow!("it is a directory (metadata pack makes user data of one)"))
                .with_context(context);
        }
        if is_image(&mut file) {
            let found = cdrom::fetch_from(&self.source)?;
            return found
                .userdata
                .with_context(|| format!("there is no user data on image {:?}", self.source));
        }
        file.read_to_end(&mut data).with_context(context)?;
        Ok(data)
    }
}

/// User data of which no files come.
fn plain() -> Parsed<'static> {
    Parsed { tree: None, findings: Vec::new(), text: "".into() }
}

/// Mode, size and path of everything that would be written.
fn list(tree: &ConfigTree, userdata_bytes: usize) -> String {
    let userdata =
        unpack::Listed { path: "userdata".to_owned(), mode: USERDATA_MODE, len: Some(userdata_bytes) };
    let mut text = String::new();
    for unpack::Listed { path, mode, len } in [userdata].into_iter().chain(unpack::list(tree)) {
        let (size, slash) = len.map_or(("-".to_owned(), "/"), |len| (len.to_string(), ""));
        writeln!(text, "{mode:04o} {size:>8} {}{slash}", printable(&path)).expect("a string takes it");
    }
    text
}

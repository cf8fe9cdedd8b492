//! Other disk formats, which qemu-img makes.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    process::{Command, Stdio},
};

use anyhow::{Result, anyhow, bail};
use metadata_image::output::scratch::Scratch;

/// The program, as the system finds it.
const PROGRAM: &str = "qemu-img";

/// A copy of `image` in another format. `name`: what it will be called, which a VMDK says in itself.
///
/// # Errors
/// Fails if qemu-img is not installed, does not know the format, or fails.
pub(super) fn convert(image: File, format: &OsStr, name: &OsStr) -> Result<File> {
    let scratch = Scratch::new(name)?;
    let mut command = Command::new(PROGRAM);
    command.args(["convert", "-f", "raw", "-O"]).arg(format).arg("/dev/stdin").arg(scratch.path());
    let ended = command.stdin(Stdio::from(image)).stdout(Stdio::null()).output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return anyhow!(
                "making disk format {}: {PROGRAM} is not installed (without --disk-format the image is raw)",
                format.display()
            );
        }
        anyhow!(error).context(format!("running {PROGRAM}"))
    })?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.trim().strip_prefix("qemu-img: ").unwrap_or(said.trim()).to_owned();
        bail!("making disk format {}: {PROGRAM} failed: {}", format.display(), said);
    }
    Ok(File::open(scratch.path())?)
}

//! `metadata create`.

mod args;
mod operands;
mod recipe;

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use metadata_image::{
    check::{Notice, Prepared, Tolerance},
    datasource::layout::Layout,
    image::{draft::Draft, written::WrittenImage},
    output::atomic_file::{Replacement, Target, standard_output},
    recipe::{MODE, Recipe, Warning, seed::seed_layout},
};

use super::{
    described::NewImage,
    errors::{Usage, to_library_error},
    overwrite::check_replaceable,
    progress::Bar,
    render::{Count, LENIENT, show_findings},
    signals::clean_up_on_signals,
    streams::{is_dash, print, say},
};

pub(crate) use args::{Args, split, tolerance};
pub(crate) use recipe::{file_or_standard_input, source_date_epoch};

use operands::Operands;

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let operands = self.operands()?;
        operands.check_from(self.from.as_deref())?;
        let recipe = self.recipe(operands.data)?;
        if let Err(contradiction) = recipe.check() {
            // What is probably meant explains more than what is wrong with what is not meant.
            return Err(operands.mistake().map_or_else(|| contradiction.into(), |meant| Usage(meant).into()));
        }
        let layout = recipe.layout;
        let run =
            Run { args: &self, image: operands.image, layout, warnings: Vec::new(), count: Count::default() };
        run.build(&operands, recipe)
    }
}

/// One run of the command.
struct Run<'a> {
    args: &'a Args,
    image: &'a Path,
    layout: Layout,
    /// What was warned of.
    warnings: Vec<Notice>,
    /// How many findings there are.
    count: Count,
}

impl Run<'_> {
    fn build(mut self, operands: &Operands, recipe: Recipe) -> Result<()> {
        clean_up_on_signals()?;
        if is_dash(self.image.as_os_str()) {
            return self.write_to_standard_output(operands, recipe);
        }
        let image = self.image;
        let building = || format!("building image {image:?}");
        if image.is_dir()
            && let Some(command) = self.args.in_order(operands)
        {
            return Err(anyhow!("is a directory; was this meant: {command}")).with_context(building);
        }
        let target = Target::resolve(image).with_context(building)?;
        if let Some(path) = recipe.paths().find(|path| target.is_same_file(path)) {
            return Err(anyhow!("the image is the same file as {path:?}")).with_context(building);
        }
        let check_old = |old: io::Result<Option<File>>| {
            let in_order = || self.args.in_order(operands);
            if self.args.force { Ok(()) } else { check_replaceable(old, image, in_order) }
        };
        check_old(target.open_old()).with_context(building)?;
        let identifier = recipe.volume_identifier().to_owned();
        let draft = self.draft(operands, recipe)?;
        let mut progress = Bar::new(self.args.quiet);
        let file = target.create(self.args.mode.unwrap_or(MODE)).with_context(building)?;
        let written = draft.write_to_file(file.file(), &mut progress).with_context(building)?;
        self.warn_of_written(&written)?;
        let json = if self.args.json {
            Some(self.describe(&file, &written, &identifier, &mut progress)?)
        } else {
            None
        };
        drop(progress);
        file.commit(self.args.sync, |old| check_old(Ok(old)).map_err(to_library_error))
            .with_context(building)?;
        if let Some(json) = json {
            print(&json)?;
        }
        self.report(written.bytes);
        Ok(())
    }

    /// Writes the image to standard output.
    fn write_to_standard_output(&mut self, operands: &Operands, recipe: Recipe) -> Result<()> {
        let args = self.args;
        for (given, option) in [(args.json, "--json"), (args.sync, "--sync"), (args.mode.is_some(), "--mode")]
        {
            if given {
                return Err(
                    Usage(format!("{option} cannot be used when the image goes to standard output")).into()
                );
            }
        }
        ensure!(!io::stdout().is_terminal(), "writing the image: standard output is a terminal");
        let draft = self.draft(operands, recipe)?;
        let out = standard_output().context("writing the image to standard output")?;
        let mut progress = Bar::new(args.quiet);
        let written =
            draft.write_to_output(&out, &mut progress).context("writing the image to standard output")?;
        drop(progress);
        self.warn_of_written(&written)?;
        self.report(written.bytes);
        Ok(())
    }

    /// Prints a warning, or fails with it.
    fn warn(&mut self, Warning { text, loses_data }: Warning) -> Result<()> {
        let tolerance = self.args.tolerance();
        if tolerance.refuses(self.layout, loses_data) {
            bail!("{text}{}", if tolerance == Tolerance::Usual { LENIENT } else { "" });
        }
        say(&format!("warning: {text}"));
        self.warnings.push(text.into());
        Ok(())
    }

    /// Prints the warning that is known only after the image has been written.
    fn warn_of_written(&mut self, written: &WrittenImage) -> Result<()> {
        written.mistakable.clone().map_or(Ok(()), |text| self.warn(text.into()))
    }

    /// Prepares the image, and prints warnings and findings.
    fn draft(&mut self, operands: &Operands, recipe: Recipe) -> Result<Draft> {
        if let Some(mistake) = operands.mistake() {
            if self.layout != Layout::LinuxKit && self.args.tolerance() != Tolerance::Lenient {
                return Err(Usage(mistake).into());
            }
            self.warn(mistake.into())?;
        }
        if let Some(directory) = self.args.packed_directory()
            && let Some(layout) = seed_layout(directory)?
        {
            let text = format!(
                "{directory:?} has the files of the layout {layout}, but becomes JSON for LinuxKit; for the seed: metadata create --from DIR"
            );
            self.warn(Warning { text, loses_data: true })?;
        }
        let mode = self.args.mode.filter(|_| !is_dash(self.image.as_os_str()));
        let password_warning = mode.and_then(|mode| recipe.password_warning(mode));
        password_warning.map_or(Ok(()), |text| self.warn(text.into()))?;
        let mut prepared = Prepared::new(recipe)?;
        for warning in std::mem::take(&mut prepared.warnings) {
            self.warn(warning)?;
        }
        let (image, layout, tolerance) = (self.image, self.layout, self.args.tolerance());
        // All findings of all files are shown before the first that is refused ends the run.
        let mut refused = Ok(());
        prepared.check(|checked| {
            self.count += Count::of(std::slice::from_ref(&checked));
            match show_findings(image, &checked, layout, tolerance) {
                Ok(shown) => self.warnings.extend(shown),
                Err(error) if refused.is_ok() => refused = Err(error),
                Err(_) => {}
            }
            Ok(())
        })?;
        refused?;
        Ok(prepared.draft)
    }

    fn describe(
        &self,
        file: &Replacement,
        written: &WrittenImage,
        identifier: &str,
        progress: &mut Bar,
    ) -> Result<String> {
        let image = NewImage {
            path: self.image,
            volume_identifier: identifier,
            layout: Some(self.layout),
            warnings: &self.warnings,
        };
        image.describe(file.file(), written, progress)
    }

    fn report(&self, bytes: u64) {
        if !self.args.quiet {
            let image = if is_dash(self.image.as_os_str()) {
                "standard output"
            } else {
                &*self.image.to_string_lossy()
            };
            let found = match self.count {
                Count { errors: 0, .. } => String::new(),
                count => format!("; {count} in the data (--strict rejects it)"),
            };
            say(&format!("{image}: {bytes} bytes, layout {}{found}", self.layout));
        }
    }
}

//! Builds and reads the ISO 9660 images that give a virtual machine its metadata, and applies them in the guest.
//!
//! The rooms, from the top down; a room imports from the ones below it only:
//!
//! - [`agent`]: what runs in the guest: asks the providers and writes `/run/config`.
//! - [`batch`]: many recipes on all cores.
//! - [`check`]: every finding about user data or an image.
//! - [`recipe`]: what to build, as data.
//! - [`provider`]: where a guest finds its metadata.
//! - [`policy`]: what a policy says of a boot.
//! - [`trust`]: whether a guest may believe an image: its signature.
//! - [`manifest`]: what is on an image, said and digested.
//! - [`datasource`]: what an agent looks for, whatever carries it.
//! - [`image`]: what carries it, ISO 9660: layouts, writer, reader.
//! - [`userdata`]: what the guest is told.
//! - [`output`]: files that appear whole or not at all, and trees that stay beneath their directory.
//!
//! An image from a string, and the string read back:
//!
//! ```
//! use metadata_image::{image::source::Source, output::replace::Target, provider::cdrom, recipe::Recipe};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("meta.iso");
//! let recipe = Recipe::new(Source::Bytes(b"hello".to_vec()));
//! let mut file = Target::resolve(&path)?.create(0o600)?;
//! recipe.draft()?.write_to_file(file.file(), &mut ())?;
//! file.commit(false, |_| Ok(()))?;
//!
//! assert_eq!(cdrom::fetch_from(&path, &mut |_, _| {})?.userdata.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "cli")]
pub mod batch;
#[cfg(feature = "check")]
pub mod check;
pub mod datasource;
pub mod encoding;
pub mod error;
pub mod image;
pub mod manifest;
pub mod output;
#[cfg(any(feature = "agent", feature = "policy"))]
pub mod policy;
#[cfg(feature = "agent")]
pub mod provider;
pub mod recipe;
#[cfg(feature = "trust")]
pub mod trust;
pub mod userdata;

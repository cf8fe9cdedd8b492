//! Builds and reads the ISO 9660 and FAT images that give a virtual machine its metadata, and applies them in the guest.
//!
//! These are the modules from the top down. A module imports only from those below it:
//!
//! - [`agent`]: what runs in the guest: asks the providers and writes `/run/config`.
//! - [`batch`]: builds many recipes on all cores.
//! - [`check`]: finds mistakes in user data and images.
//! - [`recipe`]: what to build, as data.
//! - [`provider`]: where a guest finds its metadata.
//! - [`policy`]: evaluates a policy, which allows or denies a boot.
//! - [`trust`]: signatures, which say whether a guest may trust an image.
//! - [`manifest`]: the list of what is on an image, with digests.
//! - [`datasource`]: the names that agents look for, on any kind of image.
//! - [`image`]: ISO 9660 and FAT images: readers and writers.
//! - [`userdata`]: the formats of user data and meta-data.
//! - [`output`]: files that appear whole or not at all, and trees that stay beneath their directory.
//!
//! Most callers need [`Recipe`], [`Image`] and, in a guest, [`verify`].
//!
//! # A virtual machine monitor builds an image in memory
//!
//! ```
//! use metadata_image::{Layout, Recipe, Source};
//!
//! # fn main() -> Result<(), metadata_image::BuildError> {
//! let mut recipe = Recipe::new(Source::Bytes(b"#cloud-config\npackages: [nginx]\n".to_vec()));
//! recipe.layout = Layout::NoCloud;
//! recipe.hostname = Some("web".to_owned());
//! let mut image = Vec::new();
//! let written = recipe.write_to(&mut image)?;
//! assert_eq!(written.bytes, image.len() as u64);
//! # Ok(())
//! # }
//! ```
//!
//! # A tool reads a file of an image
//!
//! ```
//! use std::io::Cursor;
//!
//! use metadata_image::{Image, ReadError, Recipe, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut bytes = Vec::new();
//! # Recipe::new(Source::Bytes(b"hello".to_vec())).write_to(&mut bytes)?;
//! let mut image = Image::from_reader(Cursor::new(bytes))?;
//! let (volume, records) = image.list()?;
//! assert_eq!(volume.identifier, "CIDATA");
//! let config = records.iter().find(|record| record.path == b"config").unwrap();
//! assert_eq!(image.read(config, 1 << 20)?, b"hello");
//!
//! let error = Image::from_reader(Cursor::new("a text")).unwrap_err();
//! assert!(matches!(error, ReadError::NotAnImage(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # A guest verifies who signed its image
//!
#![cfg_attr(feature = "trust", doc = "```")]
#![cfg_attr(not(feature = "trust"), doc = "```ignore")]
//! use metadata_image::{
//!     Image, Recipe, Source, Terms, VerifyError,
//!     manifest::timestamp::Timestamp,
//!     trust::allowed_signers::AllowedSigners,
//!     verify,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut bytes = Vec::new();
//! # Recipe::new(Source::Bytes(b"hello".to_vec())).write_to(&mut bytes)?;
//! let allowed = "release@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9";
//! let terms = Terms {
//!     allowed: AllowedSigners::parse("allowed_signers", allowed.as_bytes()),
//!     revoked: None,
//!     identity: Some("release@example.com".to_owned()),
//!     audience: None,
//!     at: Timestamp::now()?,
//! };
//! let mut image = Image::from_reader(std::io::Cursor::new(bytes))?;
//! let error = verify(&mut image, &terms).unwrap_err();
//! assert!(matches!(error, VerifyError::Unsigned(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | contains |
//! |---|---|
//! | none | recipes, images, manifests: building and reading |
//! | `check` | findings about user data, recipes and images |
//! | `trust` | signatures: sign and verify |
//! | `policy` (default) | policies in Rego |
//! | `agent` | the providers and the agent of a guest, on Linux |
//! | `guest` | the program with the commands that a guest needs |
//! | `cli` (default) | the program with all commands |
//!
//! # Errors
//!
//! The variants of [`BuildError`], [`ReadError`] and [`VerifyError`] say what a caller can do. Their text is for people, and
//! names the file and the step. Print it with `{:#}` to get all steps and the cause.

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
mod os;
pub mod output;
#[cfg(any(feature = "agent", feature = "policy"))]
pub mod policy;
#[cfg(feature = "agent")]
pub mod provider;
pub mod recipe;
pub mod suggestion;
#[cfg(feature = "trust")]
pub mod trust;
pub mod userdata;

pub use datasource::Layout;
pub use error::{BuildError, Error, ReadError, VerifyError};
pub use image::{Image, source::Source};
pub use recipe::Recipe;
#[cfg(feature = "trust")]
pub use trust::verify::{Terms, verify_image as verify};

//! Whether a guest may believe its image: what is on it, who signed that, and what a policy says.
//!
//! An image may carry a *manifest*, `manifest.json` in its root: every other file with size and digest, and strings that
//! somebody attached to this boot. A *signature* beside it, `manifest.json.sig`, covers the manifest, and with it the image.
//! Everything here fails closed: what was asked for and cannot be verified is an error.

pub mod allowed_signers;
pub mod contents;
mod descendants;
#[cfg(feature = "policy")]
mod heads;
pub mod manifest;
pub mod moment;
mod patterns;
pub mod policy;
pub mod public_key;
#[cfg(feature = "policy")]
pub mod rego;
pub mod signature;
#[cfg(feature = "policy")]
pub mod supervisor;
pub mod verify;

//! Whether a guest may trust its image: who signed the manifest, and whether the image is what was signed.
//!
//! The *signature*, `manifest.json.sig`, covers the manifest and so the whole image. Everything here fails closed: if a signature
//! is required and cannot be verified, that is an error.

pub mod allowed_signers;
mod patterns;
pub mod public_key;
pub mod revoked_keys;
pub mod signature;
pub mod verify;

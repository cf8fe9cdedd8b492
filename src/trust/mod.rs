//! Whether a guest may believe its image: who signed its manifest, and whether everything on the image is what was signed.
//!
//! A *signature* beside the manifest, `manifest.json.sig`, covers it, and with it the image.
//! Everything here fails closed: what was asked for and cannot be verified is an error.

pub mod allowed_signers;
mod patterns;
pub mod public_key;
pub mod signature;
pub mod verify;

//! Signatures over a manifest, in the format of `ssh-keygen -Y sign`.
//!
//! Source: OpenSSH's PROTOCOL.sshsig. Keys and signatures are made and used with OpenSSH just as well: the namespace is
//! `metadata-image`, the file `manifest.json`.

use anyhow::{Context, Result, ensure};
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig, public::KeyData};

/// What the signatures are for, so that one that was made for something else does not pass.
pub const NAMESPACE: &str = "metadata-image";

/// A signature, and the key that it claims to be by.
#[derive(Clone, Debug)]
pub struct Signature {
    parsed: SshSig,
    text: Vec<u8>,
}

impl Signature {
    /// Parses the text that `ssh-keygen -Y sign` writes.
    ///
    /// # Errors
    /// It is none, or its key is of a kind that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let parsed = SshSig::from_pem(text).ok().context("it is no signature of ssh-keygen that is known")?;
        Ok(Self { parsed, text: text.to_vec() })
    }

    /// Signs `message` with a private key in OpenSSH's format.
    ///
    /// # Errors
    /// The key is encrypted, is in another format, or is on hardware.
    pub fn new(key: &[u8], message: &[u8]) -> Result<Self> {
        let key = PrivateKey::from_openssh(key).ok().context("it is no private key in OpenSSH's format")?;
        ensure!(!key.is_encrypted(), "it is encrypted");
        let kind = key.algorithm();
        let signed = key.sign(NAMESPACE, HashAlg::Sha512, message);
        let parsed =
            signed.with_context(|| format!("it is of the kind {kind}, and cannot sign by itself"))?;
        let text = parsed.to_pem(LineEnding::LF)?.into_bytes();
        Ok(Self { parsed, text })
    }

    /// Its text.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// The key that it claims to be by.
    pub(super) fn key(&self) -> &KeyData {
        self.parsed.public_key()
    }

    /// The kind of its key and the key's fingerprint, as OpenSSH writes them: `ED25519 SHA256:…`.
    #[must_use]
    pub fn describe_key(&self) -> String {
        let kind = self.key().algorithm().to_string();
        let kind = kind.trim_start_matches("ssh-").trim_start_matches("ecdsa-sha2-");
        format!("{} {}", kind.to_ascii_uppercase(), self.fingerprint())
    }

    /// The fingerprint of its key: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether it is one of `message`, by the key that it claims to be by, and for manifests.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, message: &[u8]) -> Result<()> {
        let namespace = self.parsed.namespace();
        ensure!(namespace == NAMESPACE, "its namespace is {namespace:?}, not {NAMESPACE:?}");
        ensure!(
            !matches!(self.key(), KeyData::Certificate(_)),
            "it is by a certificate, which is not supported"
        );
        let key = PublicKey::from(self.key().clone());
        key.verify(NAMESPACE, message, &self.parsed).ok().context("it is one of another text")
    }
}

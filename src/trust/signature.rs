//! Signatures over a manifest, in the format of `ssh-keygen -Y sign`.
//!
//! Source: OpenSSH's PROTOCOL.sshsig. Keys and signatures are made and used with OpenSSH just as well: the namespace is
//! `metadata-image`, the file `manifest.json`.
//!
//! A signature has one spelling: the bytes that `ssh-keygen` writes. Anything else on an image, such as bytes in front of it,
//! could be for another reader.

use crate::error::{Context, Error, Result, ensure};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig, public::KeyData};

use super::public_key;

/// What the signatures are for, so that one that was made for something else does not pass.
pub const NAMESPACE: &str = "metadata-image";

/// Bits in the modulus of an RSA key whose signatures can be checked.
const RSA_BITS_MAX: usize = 8192;

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
    /// It is none, or is not written just like that, or its key is one that OpenSSH does not accept or of a kind that is
    /// not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let parsed = SshSig::from_pem(text).ok().context("it is no signature of ssh-keygen that is known")?;
        let signature = Self::of(parsed)?;
        ensure!(signature.text == text, "it is not written as ssh-keygen writes signatures");
        Ok(signature)
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
        Self::of(
            signed
                .map_err(Error::of)
                .with_context(|| format!("it is of the kind {kind}, and cannot sign by itself"))?,
        )
    }

    /// The signature with the only text that it has.
    fn of(parsed: SshSig) -> Result<Self> {
        ensure!(
            parsed.version() == SshSig::VERSION,
            "it has version {}, and only {} is known",
            parsed.version(),
            SshSig::VERSION
        );
        ensure!(parsed.reserved().is_empty(), "its reserved field is not empty");
        let key = parsed.public_key();
        public_key::check(key).context("its key cannot be used")?;
        if let KeyData::Rsa(key) = key {
            let bits = public_key::rsa_bits(key);
            ensure!(bits <= RSA_BITS_MAX, "its RSA key has {bits} bits, and {RSA_BITS_MAX} is the most");
        }
        let algorithm = parsed.algorithm();
        ensure!(fits(key, &algorithm), "its algorithm {:?} is not one for its key", algorithm.as_str());
        let text = parsed.to_pem(LineEnding::LF).map_err(Error::of)?.into_bytes();
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

    /// Whether its key is an RSA key.
    #[must_use]
    pub fn is_by_rsa_key(&self) -> bool {
        matches!(self.key(), KeyData::Rsa(_))
    }

    /// Whether it is one for manifests.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check_namespace(&self) -> Result<()> {
        let namespace = self.parsed.namespace();
        ensure!(namespace == NAMESPACE, "its namespace is {namespace:?}, not {NAMESPACE:?}");
        Ok(())
    }

    /// Whether it is one of `message`, by the key that it claims to be by, and for manifests.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, message: &[u8]) -> Result<()> {
        self.check_namespace()?;
        let key = PublicKey::from(self.key().clone());
        key.verify(NAMESPACE, message, &self.parsed).ok().context("it is one of another text")
    }
}

/// Whether a signature by `key` may be made with `algorithm`. With RSA, SHA-1 (`ssh-rsa`) may not.
fn fits(key: &KeyData, algorithm: &Algorithm) -> bool {
    match (key, algorithm) {
        (KeyData::Ed25519(_), Algorithm::Ed25519)
        | (KeyData::SkEd25519(_), Algorithm::SkEd25519)
        | (KeyData::SkEcdsaSha2NistP256(_), Algorithm::SkEcdsaSha2NistP256)
        | (KeyData::Rsa(_), Algorithm::Rsa { hash: Some(HashAlg::Sha256 | HashAlg::Sha512) }) => true,
        (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) => key.curve() == *curve,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::{Mpint, public::RsaPublicKey};

    use super::*;

    /// The base64 of every length is wrapped as OpenSSH does it (`sshbuf_dtob64`): a line end after 70 characters, and
    /// one at the end.
    #[test]
    fn a_signature_of_every_length_is_wrapped_like_those_of_openssh() {
        let key =
            RsaPublicKey::new(Mpint::from_positive_bytes(&[3]), Mpint::from_positive_bytes(&[0xff; 128]));
        for len in 0..400 {
            let signature =
                ssh_key::Signature::new(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, vec![0xa5; len]);
            let parsed =
                SshSig::new(key.clone().unwrap().into(), NAMESPACE, HashAlg::Sha512, signature.unwrap());
            let signature = Signature::of(parsed.unwrap()).unwrap();
            let text = String::from_utf8(signature.clone().into_text()).unwrap();
            let lines: Vec<_> = text.strip_suffix('\n').unwrap().split('\n').collect();
            let (last, full) = lines[1..lines.len() - 1].split_last().unwrap();
            assert!(lines[0] == "-----BEGIN SSH SIGNATURE-----" && (1..=70).contains(&last.len()), "{text}");
            assert!(lines[lines.len() - 1] == "-----END SSH SIGNATURE-----", "{text}");
            assert!(full.iter().all(|line| line.len() == 70), "{text}");
            assert_eq!(Signature::parse(text.as_bytes()).unwrap().into_text(), text.into_bytes());
        }
    }
}

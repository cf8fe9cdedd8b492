//! Signatures of a manifest, in the format of `ssh-keygen -Y sign`.
//!
//! Source: OpenSSH's PROTOCOL.sshsig. OpenSSH can make and check the same signatures: the namespace is `metadata-image`, the
//! file `manifest.json`.
//!
//! A signature has one spelling: the bytes that `ssh-keygen` writes. Anything else on an image, such as bytes in front of it,
//! could be meant for another reader.

use crate::error::{Context, Error, Result, ensure};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, SshSig, public::KeyData};

use super::public_key::{self, PublicKey};

/// The namespace of the signatures. A signature that was made for another purpose has another one.
pub const NAMESPACE: &str = "metadata-image";

/// The most bits in the modulus of an RSA key whose signatures can be checked.
const RSA_BITS_MAX: usize = 8192;

/// A signature, and the key that it names as its own.
#[derive(Clone, Debug)]
pub struct Signature {
    parsed: SshSig,
    key: PublicKey,
    text: Vec<u8>,
}

impl Signature {
    /// Parses the text that `ssh-keygen -Y sign` writes.
    ///
    /// # Errors
    /// Fails if the text is not exactly what `ssh-keygen` writes for a signature, or if OpenSSH does not accept the key or its
    /// type is unknown.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let parsed = SshSig::from_pem(text).ok().context("not a supported signature of ssh-keygen")?;
        let signature = Self::of(parsed)?;
        ensure!(signature.text == text, "ssh-keygen writes this signature differently");
        Ok(signature)
    }

    /// Signs `message` with a private key in OpenSSH's format.
    ///
    /// # Errors
    /// Fails if the key is encrypted, is in another format, or is on hardware.
    pub fn new(key: &[u8], message: &[u8]) -> Result<Self> {
        let is_public = || str::from_utf8(key).is_ok_and(|text| PublicKey::parse(text.trim_end()).is_ok());
        let why = || if is_public() { "a public key" } else { "not a private key in OpenSSH's format" };
        let key = PrivateKey::from_openssh(key).ok().with_context(why)?;
        ensure!(!key.is_encrypted(), "the key is encrypted");
        let kind = key.algorithm();
        let signed = key.sign(NAMESPACE, HashAlg::Sha512, message);
        Self::of(signed.map_err(Error::of).with_context(|| format!("signing with a key of type {kind}"))?)
    }

    /// The signature, with its only spelling.
    fn of(parsed: SshSig) -> Result<Self> {
        ensure!(
            parsed.version() == SshSig::VERSION,
            "the signature has version {}; only version {} is supported",
            parsed.version(),
            SshSig::VERSION
        );
        ensure!(parsed.reserved().is_empty(), "the reserved field of the signature is not empty");
        let key = PublicKey::new(parsed.public_key().clone()).context("checking the signing key")?;
        if let KeyData::Rsa(key) = key.data() {
            let bits = public_key::rsa_bits(key);
            ensure!(
                bits <= RSA_BITS_MAX,
                "the RSA key has {bits} bits; at most {RSA_BITS_MAX} are supported"
            );
        }
        let algorithm = parsed.algorithm();
        ensure!(
            fits(key.data(), &algorithm),
            "the algorithm {:?} does not fit the signing key",
            algorithm.as_str()
        );
        let text = parsed.to_pem(LineEnding::LF).map_err(Error::of)?.into_bytes();
        Ok(Self { parsed, key, text })
    }

    /// Its text.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// The signing key that it names.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The type and the fingerprint of its key, as OpenSSH writes them: `ED25519 SHA256:…`.
    #[must_use]
    pub fn describe_key(&self) -> String {
        let kind = self.key.data().algorithm().to_string();
        let kind = kind.trim_start_matches("ssh-").trim_start_matches("ecdsa-sha2-");
        format!("{} {}", kind.to_ascii_uppercase(), self.fingerprint())
    }

    /// The fingerprint of its key: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.data().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether its key is an RSA key.
    #[must_use]
    pub fn is_by_rsa_key(&self) -> bool {
        matches!(self.key.data(), KeyData::Rsa(_))
    }

    /// Checks that it was made for manifests.
    ///
    /// # Errors
    /// Fails if its namespace is not [`NAMESPACE`].
    pub(super) fn check_namespace(&self) -> Result<()> {
        let namespace = self.parsed.namespace();
        ensure!(namespace == NAMESPACE, "the namespace is {namespace:?} instead of {NAMESPACE:?}");
        Ok(())
    }

    /// Checks that it was made for manifests, of `message`, with the key that it names.
    ///
    /// # Errors
    /// Fails if the namespace is not [`NAMESPACE`], or if the signature is not for `message` or not by the key.
    pub fn check(&self, message: &[u8]) -> Result<()> {
        self.check_namespace()?;
        let key = ssh_key::PublicKey::from(self.key.data().clone());
        key.verify(NAMESPACE, message, &self.parsed)
            .ok()
            .context("the signature does not match manifest.json")
    }
}

/// Whether `key` may sign with `algorithm`. RSA with SHA-1 (`ssh-rsa`) is not allowed.
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

    /// The base64 is wrapped as OpenSSH wraps it (`sshbuf_dtob64`): a line end after 70 characters, and one at the end.
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

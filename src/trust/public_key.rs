//! Public keys of signers, as OpenSSH writes them in `id_ed25519.pub` and `allowed_signers`.
//!
//! A key has one spelling here. What OpenSSH rejects is rejected: RSA keys that are too short or too long, and compressed points.
//! Certificates, which `allowed_signers` does not name, and unknown types of keys are rejected too.
//!
//! Source: RFC 4253, 6.6; RFC 5656, 3.1.

use std::ops::RangeInclusive;

use ssh_key::public::{KeyData, RsaPublicKey};

use crate::{
    error::{Context, Result, bail, ensure},
    userdata::authorized_keys::BLANK,
};

/// Bits in the modulus of an RSA key that OpenSSH accepts (`SSH_RSA_MINIMUM_MODULUS_SIZE`, `SSHBUF_MAX_BIGNUM`).
const RSA_BITS: RangeInclusive<usize> = 1024..=16_384;

/// The first byte of a point that is not compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A public key that may be listed in `allowed_signers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(KeyData);

impl PublicKey {
    /// Parses a key's type and base64. A comment may follow, and is ignored.
    ///
    /// # Errors
    /// Fails if the text is not a public key, or if OpenSSH does not accept the key.
    pub fn parse(text: &str) -> Result<Self> {
        Self::new(read(text)?)
    }

    /// A key that OpenSSH accepts. Fails on others.
    pub(super) fn new(key: KeyData) -> Result<Self> {
        check(&key)?;
        Ok(Self(key))
    }

    pub(super) fn data(&self) -> &KeyData {
        &self.0
    }

    /// Parses a key that no signer may use any more. RSA keys of any length are accepted: one that is too short to sign does no
    /// harm here.
    pub(super) fn parse_revoked(text: &str) -> Result<Self> {
        match read(text)? {
            key @ KeyData::Rsa(_) => Ok(Self(key)),
            key => Self::new(key),
        }
    }
}

/// Parses a key of any type and length.
fn read(text: &str) -> Result<KeyData> {
    let (key_type, rest) = text.split_once(BLANK).context("not a public key")?;
    let base64 = rest.trim_start_matches(BLANK).split(BLANK).next().unwrap_or_default();
    let spelling = format!("{key_type} {base64}");
    let key = ssh_key::PublicKey::from_openssh(&spelling).ok().context("not a public key")?;
    ensure!(
        key.to_openssh().is_ok_and(|text| text == spelling),
        "OpenSSH writes this public key differently"
    );
    Ok(key.key_data().clone())
}

/// Checks that OpenSSH accepts `key`.
fn check(key: &KeyData) -> Result<()> {
    let point = match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::Dsa(_) => return Ok(()),
        KeyData::Ecdsa(point) => point.as_sec1_bytes(),
        KeyData::SkEcdsaSha2NistP256(key) => key.ec_point().as_bytes(),
        KeyData::Rsa(key) => {
            let bits = rsa_bits(key);
            let (min, max) = (RSA_BITS.start(), RSA_BITS.end());
            ensure!(RSA_BITS.contains(&bits), "the RSA key has {bits} bits; OpenSSH accepts {min} to {max}");
            return Ok(());
        }
        KeyData::Certificate(_) => bail!("certificates are not supported"),
        _ => bail!("the type of the key is unknown"),
    };
    ensure!(point.first() == Some(&UNCOMPRESSED), "the key is compressed, which OpenSSH does not accept");
    Ok(())
}

/// Bits in the modulus of a key.
pub(super) fn rsa_bits(key: &RsaPublicKey) -> usize {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    modulus.len() * 8 - unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_openssh_does_not_accept_are_rejected() {
        const COMPRESSED: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAhA+01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oV";
        const RSA_OF_512_BITS: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDHCzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYar0PUaP2SJrtP4HUJnjLHW+yBFao+02f4jSG2St9wL";
        let parse = |text: &str| PublicKey::parse(text).map_err(|error| error.to_string());
        assert_eq!(
            parse(RSA_OF_512_BITS).unwrap_err(),
            "the RSA key has 512 bits; OpenSSH accepts 1024 to 16384"
        );
        assert!(PublicKey::parse_revoked(RSA_OF_512_BITS).is_ok());
        assert_eq!(parse(COMPRESSED).unwrap_err(), "the key is compressed, which OpenSSH does not accept");
        assert!(PublicKey::parse_revoked(COMPRESSED).is_err());
        for text in ["", "hello", "ssh-ed25519", "ssh-ed25519 AAAA"] {
            assert_eq!(parse(text).unwrap_err(), "not a public key");
        }
    }
}

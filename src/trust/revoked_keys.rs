//! Keys whose signatures count no more, as `ssh-keygen` lists them.

use super::public_key::PublicKey;
use crate::error::{Context, Result, ensure};

/// The first bytes of a key revocation list in the binary format of OpenSSH (PROTOCOL.krl).
const KRL_MAGIC: &[u8] = b"SSHKRL\n\0";

/// Keys whose signatures are rejected, even if `allowed_signers` lists them.
#[derive(Clone, Debug)]
pub struct Revoked {
    keys: Vec<PublicKey>,
}

impl Revoked {
    /// Parses a list of public keys, one per line.
    ///
    /// # Errors
    /// Fails if the list is a binary key revocation list, or if a line is not a key. A line that is not understood would revoke
    /// nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(
            !bytes.starts_with(KRL_MAGIC),
            "binary key revocation lists are not supported; give a list of public keys"
        );
        let text = str::from_utf8(bytes).context("not a list of public keys")?;
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(|(number, line)| {
            let key = PublicKey::parse_revoked(line);
            key.ok().with_context(|| format!("line {number} is not a valid public key"))
        });
        Ok(Self { keys: keys.collect::<Result<_>>()? })
    }

    /// Whether `key` is revoked.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const SHORT: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDHCzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYar0PUaP2SJrtP4HUJnjLHW+yBFao+02f4jSG2St9wL";
    const COMPRESSED: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAhA+01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oV";

    #[test]
    fn a_list_of_revoked_keys_is_understood_or_refused() {
        let parse = |text: &str| Revoked::parse(text.as_bytes()).map_err(|error| error.to_string());
        let keys = parse(&format!("# lost\n\n{OTHER} laptop\n")).unwrap();
        assert!(
            keys.contains(&PublicKey::parse(OTHER).unwrap())
                && !keys.contains(&PublicKey::parse(KEY).unwrap())
        );
        assert_eq!(parse("SHA256:x").unwrap_err(), "line 1 is not a valid public key");
        assert!(parse("SSHKRL\n\0x").unwrap_err().contains("not supported"));
        // 512 bits, which never sign; and a spelling that no signature has, of a key that may.
        assert!(parse(&format!("{SHORT}\n{OTHER}\n")).unwrap().contains(&PublicKey::parse(OTHER).unwrap()));
        assert_eq!(parse(COMPRESSED).unwrap_err(), "line 1 is not a valid public key");
    }
}

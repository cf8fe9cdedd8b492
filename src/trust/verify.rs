//! Checks that an allowed signer signed the whole image, for this audience and this time.

use crate::error::{Context, ErrorKind, Result, VerifyError, bail, ensure};

use super::{
    allowed_signers::AllowedSigners,
    revoked_keys::Revoked,
    signature::{NAMESPACE, Signature},
};
use crate::image::{Image, Tree};
use crate::manifest::{self, Manifest, inventory::Contents, timestamp::Timestamp};

/// What the signature of an image must satisfy.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who may sign it.
    pub allowed: AllowedSigners,
    /// Keys that may not, even if `allowed` lists them.
    pub revoked: Option<Revoked>,
    /// Who must have signed it, as a principal of `allowed`. `None`: anyone who may sign.
    pub identity: Option<String>,
    /// The audience that the image must name. `None`: the image must not name one.
    pub audience: Option<String>,
    /// The time for which the limits are checked.
    pub at: Timestamp,
}

/// Who signed an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The required identity, or the principal that `allowed_signers` lists for the key.
    pub identity: String,
    /// The key's fingerprint: `SHA256:…`.
    pub fingerprint: String,
    /// The key's type and fingerprint, for people.
    pub key: String,
}

/// Reads the whole image, verifies it against `terms`, and returns its manifest and who signed it.
///
/// # Errors
/// Fails if the image is not signed, if the signature does not satisfy the terms, if the image is not what was signed, or if it
/// cannot be read: the variants of [`VerifyError`].
pub fn verify_image(image: &mut Image, terms: &Terms) -> Result<(Manifest, Signer), VerifyError> {
    image.check_signable()?;
    let contents = Contents::read(image, |_, _| Vec::new(), 0, &mut ())?;
    Ok(verify(&contents, terms)?)
}

/// Verifies what was read from an image. Afterwards `contents` can be trusted, but what is read from the image later cannot.
///
/// # Errors
/// Fails if the image is not signed, if the terms do not allow the signer, the time or the audience, if the image is not what
/// was signed, or if its trees contradict each other.
pub fn verify(contents: &Contents, terms: &Terms) -> Result<(Manifest, Signer)> {
    let Some(bytes) = &contents.manifest else {
        bail!(Unsigned: "the image is not signed: {} is missing", manifest::NAME);
    };
    let Some(signature) = &contents.signature else {
        bail!(Unsigned: "the image is not signed: {} is missing", manifest::SIGNATURE_NAME);
    };
    let signer = check_signature(signature, bytes, terms)
        .map_err(|error| error.of_kind(ErrorKind::WrongSigner))
        .with_context(|| format!("checking {}", manifest::SIGNATURE_NAME))?;
    // A newer version has another layout, so the version is checked before the layout.
    let manifest = Manifest::parse(bytes)?;
    ensure!(Altered:
        contents.volume.read == Tree::RockRidge,
        "the image has no readable Rock Ridge tree, which a signed image must have"
    );
    if let Some(why) = &contents.disagreement {
        bail!(Altered: "{why}");
    }
    check_terms(&manifest, terms).map_err(|error| error.of_kind(ErrorKind::NotForUs))?;
    manifest.check(contents).map_err(|error| error.of_kind(ErrorKind::Altered))?;
    Ok((manifest, signer))
}

fn check_signature(signature: &[u8], message: &[u8], terms: &Terms) -> Result<Signer> {
    let signature = Signature::parse(signature)?;
    signature.check_namespace()?;
    let revoked = terms.revoked.as_ref().is_some_and(|revoked| revoked.contains(signature.key()));
    ensure!(!revoked, "the signing key {} is revoked", signature.describe_key());
    let found = terms.allowed.find(signature.key(), terms.identity.as_deref(), NAMESPACE, terms.at);
    let identity = found.with_context(|| format!("signed with {}", signature.describe_key()))?;
    // Last, because it takes longest, and a key can be made to take very long.
    signature.check(message)?;
    Ok(Signer { identity, fingerprint: signature.fingerprint(), key: signature.describe_key() })
}

fn check_terms(manifest: &Manifest, terms: &Terms) -> Result<()> {
    let at = terms.at;
    if let Some(not_before) = manifest.not_before.filter(|not_before| at < *not_before) {
        bail!("the image is not valid before {not_before}, and the time is {at}");
    }
    if let Some(not_after) = manifest.not_after.filter(|not_after| at > *not_after) {
        bail!("the image is not valid after {not_after}, and the time is {at}");
    }
    match (&manifest.audience, &terms.audience) {
        (None, None) => Ok(()),
        (Some(theirs), Some(ours)) if theirs == ours => Ok(()),
        (Some(theirs), Some(ours)) => bail!("the image is for the audience {theirs:?}, not for {ours:?}"),
        (Some(theirs), None) => bail!("the image is for the audience {theirs:?}, and no audience was given"),
        (None, Some(ours)) => bail!("the image names no audience; {ours:?} is required"),
    }
}

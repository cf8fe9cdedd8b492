//! Whether an image is one that an allowed signer signed, all of it, for here and now.

use crate::error::{Context, Result, VerifyError, bail, ensure};

use super::{
    allowed_signers::{AllowedSigners, Revoked},
    signature::{NAMESPACE, Signature},
};
use crate::image::{Image, Tree};
use crate::manifest::{self, Manifest, inventory::Contents, timestamp::Moment};

/// What an image must satisfy.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who may sign it.
    pub allowed: AllowedSigners,
    /// Keys that may not, all the same.
    pub revoked: Option<Revoked>,
    /// Who must have signed it; `None`: any of those who may.
    pub identity: Option<String>,
    /// Who reads it. An image for an audience is for nobody else, and an audience takes no image that is for all.
    pub audience: Option<String>,
    /// When.
    pub at: Moment,
}

/// Who signed an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The identity that was asked for, or the principals that `allowed_signers` has for the key.
    pub identity: String,
    /// The key's fingerprint: `SHA256:…`.
    pub fingerprint: String,
    /// The key's kind and fingerprint, for people.
    pub key: String,
}

/// Reads all of an image, and checks that it was signed as `terms` ask for.
///
/// # Errors
/// The image is not signed, or not by whom the terms name, not for here or now, or it is not what was signed, or it cannot be
/// read: see [`VerifyError`].
pub fn verify_image(image: &mut Image, terms: &Terms) -> Result<(Manifest, Signer), VerifyError> {
    let contents = Contents::read(image, |_, _| Vec::new(), 0, &mut ())?;
    Ok(verify(&contents, terms)?)
}

/// Checks what has been read from an image. What was kept of it may be believed afterwards, and nothing that is read from
/// the image later.
///
/// # Errors
/// The image is not signed, or not by whom the terms name, not for here or now, or it is not what was signed; or its trees
/// do not agree on what that is.
pub fn verify(contents: &Contents, terms: &Terms) -> Result<(Manifest, Signer)> {
    let Some(bytes) = &contents.manifest else {
        bail!("it is not signed: there is no {}", manifest::NAME);
    };
    let Some(signature) = &contents.signature else {
        bail!("it is not signed: there is no {}", manifest::SIGNATURE_NAME);
    };
    let signer = check_signature(signature, bytes, terms)
        .with_context(|| format!("checking {}", manifest::SIGNATURE_NAME))?;
    // An image of a newer version is laid out otherwise, so that this comes before what is said of its layout.
    let manifest = Manifest::parse(bytes)?;
    ensure!(
        contents.volume.read == Tree::RockRidge,
        "it has no Rock Ridge tree that can be read, and a signed image has one"
    );
    if let Some(why) = &contents.disagreement {
        bail!("{why}");
    }
    check_terms(&manifest, terms)?;
    manifest.check(contents)?;
    Ok((manifest, signer))
}

fn check_signature(signature: &[u8], message: &[u8], terms: &Terms) -> Result<Signer> {
    let signature = Signature::parse(signature)?;
    signature.check_namespace()?;
    let revoked = terms.revoked.as_ref().is_some_and(|revoked| revoked.contains(signature.key()));
    ensure!(!revoked, "its key {} has been revoked", signature.describe_key());
    let found = terms.allowed.find(signature.key(), terms.identity.as_deref(), NAMESPACE, terms.at);
    let identity = found.with_context(|| format!("it is by {}", signature.describe_key()))?;
    // Last, because it takes the longest, and a key that somebody made for that would take very long.
    signature.check(message)?;
    Ok(Signer { identity, fingerprint: signature.fingerprint(), key: signature.describe_key() })
}

fn check_terms(manifest: &Manifest, terms: &Terms) -> Result<()> {
    let at = terms.at;
    if let Some(not_before) = manifest.not_before.filter(|not_before| at < *not_before) {
        bail!("it may be accepted from {not_before}, and it is {at}");
    }
    if let Some(not_after) = manifest.not_after.filter(|not_after| at > *not_after) {
        bail!("it may be accepted until {not_after}, and it is {at}");
    }
    match (&manifest.audience, &terms.audience) {
        (None, None) => Ok(()),
        (Some(theirs), Some(ours)) if theirs == ours => Ok(()),
        (Some(theirs), Some(ours)) => bail!("it is for the audience {theirs:?}, not for {ours:?}"),
        (Some(theirs), None) => bail!("it is for the audience {theirs:?}, and none was named"),
        (None, Some(ours)) => bail!("it is for no audience, not for {ours:?}"),
    }
}

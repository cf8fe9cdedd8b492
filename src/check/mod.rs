//! Checks of user data, meta-data, network configurations, recipes and images.

mod image;
mod notice;
mod platform;
mod prepared;
mod subject;
mod text;

pub use image::{check_image, check_image_by};
pub use notice::Notice;
pub use platform::{PLATFORMS, Platform};
pub use prepared::{FINDINGS_LISTED_MAX, Prepared, Tolerance};
pub use subject::Subject;
pub use text::{CheckedText, check, check_whole};

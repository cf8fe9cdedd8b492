//! Versions of cloud-init.

use std::{fmt, str::FromStr};

/// A version of cloud-init, such as 22.4.2: year, number in the year, correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl FromStr for Version {
    type Err = String;

    /// Reads two or three numbers with dots between them. What a distribution adds, as in `22.4.2-1+deb12u3`, is ignored.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.split(['-', '+', '~']).next().unwrap_or_default();
        let parts: Result<Vec<u32>, _> = number.split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok(&[year, number]) => Ok(Self([year, number, 0])),
            Ok(&[year, number, correction]) => Ok(Self([year, number, correction])),
            _ => Err(format!("{text:?} is not a version such as 22.4 or 22.4.2")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([year, number, correction]) = self;
        write!(f, "{year}.{number}")?;
        if *correction > 0 { write!(f, ".{correction}") } else { Ok(()) }
    }
}

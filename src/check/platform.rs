//! Platforms that limit the size of user data.

use std::{fmt, str::FromStr};

/// A platform that limits the size of user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name on the command line.
    pub name: &'static str,
    /// The largest user data, in bytes.
    pub bytes_max: usize,
    /// The limit, in words.
    pub limit: &'static str,
}

/// The known platforms.
pub const PLATFORMS: [Platform; 5] = [
    Platform { name: "aws", bytes_max: 16 << 10, limit: "EC2 accepts 16 KiB of user data, before base64" },
    Platform {
        name: "gcp",
        bytes_max: 256 << 10,
        limit: "Compute Engine accepts 256 KiB in a metadata value",
    },
    Platform { name: "vmware", bytes_max: 64 << 10, limit: "a GuestInfo value has at most 64 KiB, encoded" },
    Platform { name: "proxmox", bytes_max: 4 << 20, limit: "Proxmox VE makes a cloud-init drive of 4 MiB" },
    Platform {
        name: "kubevirt",
        bytes_max: 2048,
        limit: "KubeVirt accepts 2048 bytes inline, and more in a secret",
    },
];

impl FromStr for Platform {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        PLATFORMS
            .into_iter()
            .find(|target| target.name == name)
            .ok_or_else(|| format!("unknown platform {name:?}"))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

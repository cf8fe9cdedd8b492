//! The table of magic bytes that libblkid and other programs search for, and where.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Where magic bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkPlace {
    /// At this offset in bytes.
    Start(u64),
    /// Before the end of the image, whose size is rounded down first.
    End {
        /// How many bytes before the end.
        back: u64,
        /// The size is rounded down to a multiple of this, in bytes.
        rounded: u64,
    },
}

impl MarkPlace {
    /// The offset in an image of `bytes` bytes. `None`: the image is too small.
    pub(super) fn offset(self, bytes: u64) -> Option<u64> {
        match self {
            Self::Start(offset) => Some(offset),
            Self::End { back, rounded } => (bytes - bytes % rounded).checked_sub(back),
        }
    }
}

/// The magic bytes of one format.
pub(super) struct Marks {
    /// The format.
    pub(super) name: &'static str,
    /// Where they can be.
    pub(super) places: &'static [MarkPlace],
    /// How often each place is repeated, and the distance in bytes.
    pub(super) times: (u64, u64),
    /// The alternatives.
    pub(super) bytes: &'static [&'static [u8]],
    /// Additional bytes, and their distance from the first byte.
    pub(super) and: (u64, &'static [u8]),
}

const ONCE: (u64, u64) = (1, 1);
const NOTHING: (u64, &[u8]) = (0, b"");

/// This many sectors of 512 bytes before the end.
const fn sectors_back(sectors: u64) -> MarkPlace {
    MarkPlace::End { back: sectors * 512, rounded: 512 }
}

/// The size of a ZFS label in bytes. A disk has two at each end.
const ZFS_LABEL_BYTES: u64 = 256 * KIB;

/// UDF's anchors by the block sizes that UDF may have: in block 256, the last one, and the 257th from the end (ECMA-167, 3/8.4.2.1).
const UDF_ANCHORS: &[MarkPlace] = &[
    MarkPlace::Start(256 * 512),
    MarkPlace::Start(256 * 1024),
    MarkPlace::Start(256 * 2048),
    MarkPlace::Start(256 * 4096),
    MarkPlace::End { back: 512, rounded: 512 },
    MarkPlace::End { back: 1024, rounded: 1024 },
    MarkPlace::End { back: 2048, rounded: 2048 },
    MarkPlace::End { back: 4096, rounded: 4096 },
    MarkPlace::End { back: 257 * 512, rounded: 512 },
    MarkPlace::End { back: 257 * 1024, rounded: 1024 },
    MarkPlace::End { back: 257 * 2048, rounded: 2048 },
    MarkPlace::End { back: 257 * 4096, rounded: 4096 },
];

/// UFS may begin at 64 or 256 KiB, and has its magic bytes 1372 bytes further on.
const UFS: &[MarkPlace] = &[MarkPlace::Start(64 * KIB + 1372), MarkPlace::Start(256 * KIB + 1372)];

/// The table.
pub(super) const TABLE: &[Marks] = &[
    Marks {
        name: "Btrfs",
        places: &[MarkPlace::Start(64 * KIB + 64)],
        times: ONCE,
        bytes: &[b"_BHRfS_M"],
        and: NOTHING,
    },
    Marks {
        name: "ReiserFS",
        places: &[MarkPlace::Start(64 * KIB + 52)],
        times: ONCE,
        bytes: &[b"ReIsErFs", b"ReIsEr2Fs", b"ReIsEr3Fs"],
        and: NOTHING,
    },
    Marks {
        name: "Reiser4",
        places: &[MarkPlace::Start(64 * KIB)],
        times: ONCE,
        bytes: &[b"ReIsEr4"],
        and: NOTHING,
    },
    Marks {
        name: "GFS",
        places: &[MarkPlace::Start(64 * KIB)],
        times: ONCE,
        bytes: &[b"\x01\x16\x19\x70"],
        and: NOTHING,
    },
    Marks {
        name: "ScoutFS",
        places: &[MarkPlace::Start(64 * KIB + 4)],
        times: ONCE,
        bytes: &[b"\x8b\x42\x3c\x10"],
        and: NOTHING,
    },
    Marks {
        name: "swap space",
        places: &[MarkPlace::Start(64 * KIB - 10)],
        times: ONCE,
        bytes: &[b"SWAP-SPACE", b"SWAPSPACE2", b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"],
        and: NOTHING,
    },
    Marks {
        name: "UFS",
        places: UFS,
        times: ONCE,
        bytes: &[
            b"\x00\x01\x19\x54",
            b"\x54\x19\x01\x00",
            b"\x19\x54\x01\x19",
            b"\x19\x01\x54\x19",
            b"\x00\x19\x56\x12",
            b"\x12\x56\x19\x00",
            b"\x00\x09\x50\x14",
            b"\x14\x50\x09\x00",
            b"\x00\x61\x21\x95",
            b"\x95\x21\x61\x00",
            b"\x05\x23\x19\x94",
            b"\x94\x19\x23\x05",
        ],
        and: NOTHING,
    },
    // The second header of LUKS 2, for when the first is broken.
    Marks {
        name: "LUKS",
        places: &[
            MarkPlace::Start(64 * KIB),
            MarkPlace::Start(128 * KIB),
            MarkPlace::Start(256 * KIB),
            MarkPlace::Start(512 * KIB),
            MarkPlace::Start(MIB),
            MarkPlace::Start(2 * MIB),
            MarkPlace::Start(4 * MIB),
        ],
        times: ONCE,
        bytes: &[b"SKUL\xba\xbe"],
        and: NOTHING,
    },
    Marks {
        name: "a VMFS volume",
        places: &[MarkPlace::Start(MIB)],
        times: ONCE,
        bytes: &[b"\x0d\xd0\x01\xc0"],
        and: NOTHING,
    },
    Marks {
        name: "VMFS",
        places: &[MarkPlace::Start(2 * MIB)],
        times: ONCE,
        bytes: &[b"\x5e\xf1\xab\x2f"],
        and: NOTHING,
    },
    // In any sector of the first 256 KiB.
    Marks {
        name: "a log of XFS",
        places: &[MarkPlace::Start(0)],
        times: (512, 512),
        bytes: &[b"\xfe\xed\xba\xbe"],
        and: NOTHING,
    },
    // The second half of a label is a ring of 128 blocks.
    Marks {
        name: "ZFS",
        places: &[
            MarkPlace::Start(128 * KIB),
            MarkPlace::Start(ZFS_LABEL_BYTES + 128 * KIB),
            MarkPlace::End { back: 2 * ZFS_LABEL_BYTES - 128 * KIB, rounded: ZFS_LABEL_BYTES },
            MarkPlace::End { back: ZFS_LABEL_BYTES - 128 * KIB, rounded: ZFS_LABEL_BYTES },
        ],
        times: (128, KIB),
        bytes: &[b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c"],
        and: NOTHING,
    },
    // A volume structure descriptor, in one of the 64 sectors where ISO 9660 has its own.
    Marks {
        name: "UDF",
        places: &[MarkPlace::Start(32 * KIB + 1)],
        times: (64, 2048),
        bytes: &[b"NSR02", b"NSR03"],
        and: NOTHING,
    },
    // An anchor, by its tag: the identifier, and the version or the block that it is in.
    Marks {
        name: "UDF",
        places: UDF_ANCHORS,
        times: ONCE,
        bytes: &[b"\x02\0\x02\0", b"\x02\0\x03\0"],
        and: NOTHING,
    },
    Marks { name: "UDF", places: UDF_ANCHORS, times: ONCE, bytes: &[b"\x02\0"], and: (12, b"\0\x01\0\0") },
    Marks {
        name: "a Linux RAID",
        places: &[
            MarkPlace::End { back: 64 * KIB, rounded: 64 * KIB },
            MarkPlace::End { back: 8 * KIB, rounded: 4 * KIB },
        ],
        times: ONCE,
        bytes: &[b"\xfc\x4e\x2b\xa9", b"\xa9\x2b\x4e\xfc"],
        and: NOTHING,
    },
    Marks {
        name: "a Promise RAID",
        places: &[
            sectors_back(16),
            sectors_back(63),
            sectors_back(255),
            sectors_back(256),
            sectors_back(399),
            sectors_back(591),
            sectors_back(675),
            sectors_back(735),
            sectors_back(911),
            sectors_back(951),
            sectors_back(974),
            sectors_back(991),
            sectors_back(3087),
        ],
        times: ONCE,
        bytes: &[b"Promise Technology, Inc."],
        and: NOTHING,
    },
    Marks {
        name: "a DDF RAID",
        places: &[sectors_back(1), sectors_back(257)],
        times: ONCE,
        bytes: &[b"\xde\x11\xde\x11", b"\x11\xde\x11\xde"],
        and: NOTHING,
    },
    Marks {
        name: "an Intel RAID",
        places: &[sectors_back(2)],
        times: ONCE,
        bytes: &[b"Intel Raid ISM Cfg Sig. "],
        and: NOTHING,
    },
    Marks {
        name: "an NVIDIA RAID",
        places: &[sectors_back(2)],
        times: ONCE,
        bytes: &[b"NVIDIA"],
        and: NOTHING,
    },
    Marks { name: "an LSI RAID", places: &[sectors_back(1)], times: ONCE, bytes: &[b"$XIDE$"], and: NOTHING },
    Marks { name: "a JMicron RAID", places: &[sectors_back(1)], times: ONCE, bytes: &[b"JM"], and: NOTHING },
    Marks {
        name: "a VIA RAID",
        places: &[sectors_back(1)],
        times: ONCE,
        bytes: &[b"\x55\xaa"],
        and: NOTHING,
    },
    Marks {
        name: "an Adaptec RAID",
        places: &[sectors_back(1)],
        times: ONCE,
        bytes: &[b"\x37\xfc\x4d\x1e"],
        and: NOTHING,
    },
    Marks {
        name: "a Silicon Image RAID",
        places: &[MarkPlace::End { back: 512 - 96, rounded: 512 }],
        times: ONCE,
        bytes: &[b"\0\0\0\x2f"],
        and: NOTHING,
    },
    Marks {
        name: "a HighPoint RAID",
        places: &[sectors_back(11)],
        times: ONCE,
        bytes: &[b"\xf3\x16\x78\x5a", b"\xfd\x16\x78\x5a"],
        and: NOTHING,
    },
    Marks {
        name: "DRBD",
        places: &[MarkPlace::End { back: 4096 - 60, rounded: 1 }],
        times: ONCE,
        bytes: &[b"\x83\x74\x02\x6b", b"\x83\x74\x02\x6c", b"\x83\x74\x02\x6d"],
        and: NOTHING,
    },
    Marks {
        name: "NILFS2",
        places: &[MarkPlace::End { back: 8 * 512 - 6, rounded: 512 }],
        times: ONCE,
        bytes: &[b"\x34\x34"],
        and: NOTHING,
    },
    Marks {
        name: "a GPT",
        places: &[sectors_back(1), MarkPlace::End { back: 4096, rounded: 4096 }],
        times: ONCE,
        bytes: &[b"EFI PART"],
        and: NOTHING,
    },
];

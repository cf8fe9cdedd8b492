//! Programs that call mkisofs, unmodified, with ours first in `PATH`.

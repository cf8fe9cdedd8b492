//! The usage: on standard output for `-h`, on standard error for a wrong command line.

/// The text.
pub(super) const USAGE: &str = "\
Usage: cloud-localds [OPTIONS] OUTPUT USER-DATA [META-DATA]

Builds a seed for cloud-init (NoCloud) from files. USER-DATA - is standard
input, and OUTPUT - is standard output. Without META-DATA, it is generated.
This is metadata in place of cloud-localds.

Options:
  -d, --disk-format FORMAT    raw (default), tar, tar-seed-local, tar-seed-net,
                              or a format of qemu-img, which must be installed
  -f, --filesystem NAME       iso9660 (default) or iso, vfat, tar,
                              tar-seed-local, tar-seed-net
  -H, --hostname NAME         host name in the generated meta-data
  -i, --interfaces FILE       network interfaces in the generated meta-data
  -m, --dsmode MODE           local or net, in the generated meta-data
  -N, --network-config FILE   network configuration
  -V, --vendor-data FILE      vendor data
  -o, --output FILE           ignored: the output is the first operand
  -v, --verbose               print what was written
  -h, --help                  print this text

Options may follow operands. Long options may be abbreviated.
";

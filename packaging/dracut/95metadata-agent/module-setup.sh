#!/bin/bash
# Puts the agent into an initramfs of dracut. It is there only if somebody asks: dracut --add metadata-agent.
# shellcheck disable=SC2154 # dracut sets moddir.

check() {
    require_binaries /usr/lib/metadata/metadata-guest || return 1
    return 255
}

depends() {
    return 0
}

installkernel() {
    # The agent reads ISO 9660 itself, so no file system is needed.
    hostonly='' instmods virtio_pci virtio_blk virtio_scsi ata_piix ahci sr_mod sd_mod
}

install() {
    inst_simple /usr/lib/metadata/metadata-guest /usr/bin/metadata
    inst_hook pre-mount 10 "$moddir/metadata-agent.sh"
}

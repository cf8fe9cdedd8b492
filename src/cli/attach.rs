//! `metadata attach`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use clap::{
    ValueEnum,
    builder::{EnumValueParser, PossibleValue, TypedValueParser},
};
use metadata_image::datasource::compatibility::{Agent, Compatibility};
use serde_json::json;

use super::{
    Usage,
    escape::{json, shell_quoted},
    print, say,
    words::{open_image, word},
};

/// Print the arguments that attach an image to a virtual machine
///
/// If the path needs quotes, the arguments are quoted for a shell; then use
/// 'eval'. With --json, they are a list of strings. For firecracker, they are
/// arguments for curl that call its API.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The virtual machine monitor
    #[arg(value_parser = VmmParser)]
    vmm: Word,

    /// The image to attach
    image: PathBuf,

    /// The device [default: cdrom, or virtio for a FAT image or where there is no
    /// CD-ROM]
    #[arg(long = "as", value_enum, value_name = "DEVICE")]
    device: Option<Device>,

    /// Print a JSON list
    #[arg(long)]
    json: bool,

    /// Print no warning
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  qemu-system-x86_64 -m 512 $(metadata attach qemu meta.iso) disk.img
  eval \"cloud-hypervisor $(metadata attach cloud-hypervisor 'my meta.iso')\"
  metadata attach --as virtio --json qemu meta.iso
  eval \"curl --unix-socket fc.sock $(metadata attach firecracker meta.iso)\"";

/// A virtual machine monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Vmm {
    #[value(aliases = ["kvm", "qemu-kvm", "qemu-system-x86_64"])]
    Qemu,
    Hyperkit,
    CloudHypervisor,
    Firecracker,
    Vfkit,
    VirtInstall,
}

/// A program that manages virtual machines, and what attaches an image there. `{}` is the image.
#[derive(Debug)]
struct Manager {
    names: &'static [&'static str],
    cdrom: &'static str,
    virtio: &'static str,
}

const MANAGERS: &[Manager] = &[
    Manager {
        names: &["libvirt", "virsh", "virt-manager"],
        cdrom: "libvirt attaches the image itself, by its whole path: virsh attach-disk DOMAIN {} sda --targetbus sata \
                --type cdrom --mode readonly --config; for a new domain: metadata attach virt-install IMAGE",
        virtio: "libvirt attaches the image itself, by its whole path: virsh attach-disk DOMAIN {} vdb --targetbus \
                 virtio --mode readonly --config; for a new domain: metadata attach virt-install IMAGE",
    },
    Manager {
        names: &["proxmox", "pve", "qm"],
        cdrom: "Proxmox VE attaches the image itself, from /var/lib/vz/template/iso: qm set VMID --ide2 \
                local:iso/{},media=cdrom",
        virtio: "Proxmox VE copies the image to a disk of its own, by its whole path: qm set VMID --virtio1 \
                 STORAGE:0,import-from={}",
    },
];

impl Manager {
    /// What attaches `image`.
    fn words(&self, image: &Path, device: Device) -> String {
        let words = if device == Device::Cdrom { self.cdrom } else { self.virtio };
        // A CD-ROM of Proxmox VE is in a directory of its own.
        let name = image.file_name().filter(|_| words.contains("/{}"));
        let image = match name {
            Some(name) => word(name),
            None => word(std::path::absolute(image).unwrap_or_else(|_| image.to_owned())),
        };
        words.replace("{}", &image)
    }
}

/// The first word.
#[derive(Clone, Debug)]
enum Word {
    Vmm(Vmm),
    Manager(&'static Manager),
    /// A file, which should be the second word.
    File(PathBuf),
}

/// Parses the name of a monitor, or a file.
#[derive(Clone)]
struct VmmParser;

impl TypedValueParser for VmmParser {
    type Value = Word;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Word, clap::Error> {
        let manager =
            MANAGERS.iter().find(|known| known.names.iter().any(|name| value.eq_ignore_ascii_case(name)));
        if let Some(manager) = manager {
            return Ok(Word::Manager(manager));
        }
        match EnumValueParser::<Vmm>::new().parse_ref(command, argument, value) {
            Err(_) if Path::new(value).exists() => Ok(Word::File(value.into())),
            parsed => parsed.map(Word::Vmm),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Vmm::value_variants().iter().filter_map(Vmm::to_possible_value)))
    }
}

/// A device to attach an image as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Device {
    Cdrom,
    Virtio,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let vmm = self.vmm()?;
        let path = self
            .image
            .to_str()
            .context("the path of the image is not UTF-8, which a virtual machine monitor may not accept")?;
        // A device that the monitor does not have is a mistake whatever the image is.
        vmm.choose(self.device, false)?;
        let (volume, records) = open_image(&self.image)?.list()?;
        // Linux mounts no FAT volume from a CD-ROM, whose sectors are larger.
        let device = vmm.choose(self.device, volume.read.is_fat())?;
        let readings = Agent::ALL.map(|agent| agent.compatibility(&volume, &records));
        let found =
            |reading: &Compatibility| if device == Device::Cdrom { reading.cdrom } else { reading.virtio };
        if !self.quiet && !readings.iter().any(found) {
            let device = if device == Device::Cdrom { "CD-ROM" } else { "virtio disk" };
            say(&format!("warning: no known agent finds data on this {device} (metadata show says why)"));
        }
        let arguments = vmm.arguments(path, device)?;
        let text = if self.json {
            json(&arguments)?
        } else {
            arguments.iter().map(|argument| shell_quoted(argument)).collect::<Result<Vec<_>>>()?.join(" ")
        };
        print(&(text + "\n"))
    }

    /// The monitor.
    fn vmm(&self) -> Result<Vmm> {
        match &self.vmm {
            Word::Vmm(vmm) => Ok(*vmm),
            Word::Manager(manager) => {
                let is_fat = || {
                    let volume = open_image(&self.image).and_then(|mut image| Ok(image.list()?.0));
                    volume.is_ok_and(|volume| volume.read.is_fat())
                };
                let device =
                    self.device.unwrap_or_else(|| if is_fat() { Device::Virtio } else { Device::Cdrom });
                Err(Usage(manager.words(&self.image, device)).into())
            }
            Word::File(file) => {
                let vmm = self.image.to_str().and_then(|name| Vmm::from_str(name, true).ok()).map(Vmm::name);
                let vmm = vmm.unwrap_or_else(|| "qemu".to_owned());
                let command = format!("metadata attach {vmm} {}", word(file));
                Err(Usage(format!("the virtual machine monitor comes first: {command}")).into())
            }
        }
    }
}

impl Vmm {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The device to attach an image as. `is_disk`: it is for a disk.
    fn choose(self, asked: Option<Device>, is_disk: bool) -> Result<Device> {
        let both = matches!(self, Self::Qemu | Self::Hyperkit | Self::VirtInstall);
        match asked {
            Some(Device::Cdrom) if !both => Err(Usage(format!(
                "{} has no CD-ROM; attach the image as a virtio disk (--as virtio)",
                self.name()
            ))
            .into()),
            Some(device) => Ok(device),
            None if both && !is_disk => Ok(Device::Cdrom),
            None => Ok(Device::Virtio),
        }
    }

    /// The arguments, not quoted.
    fn arguments(self, path: &str, device: Device) -> Result<Vec<String>> {
        let arguments = match (self, device) {
            (Self::Qemu, Device::Cdrom) => {
                ["-drive".to_owned(), format!("file={},media=cdrom,readonly=on,format=raw", qemu_path(path))]
                    .to_vec()
            }
            (Self::Qemu, Device::Virtio) => {
                ["-drive".to_owned(), format!("file={},if=virtio,readonly=on,format=raw", qemu_path(path))]
                    .to_vec()
            }
            (Self::Hyperkit, Device::Cdrom) => {
                ["-s".to_owned(), format!("3,ahci-cd,{}", self.plain(path)?)].to_vec()
            }
            (Self::Hyperkit, Device::Virtio) => {
                ["-s".to_owned(), format!("3,virtio-blk,{}", self.plain(path)?)].to_vec()
            }
            (Self::CloudHypervisor, _) => {
                ["--disk".to_owned(), format!("path={},readonly=on", self.plain(path)?)].to_vec()
            }
            (Self::Vfkit, _) => {
                ["--device".to_owned(), format!("virtio-blk,path={}", self.plain(path)?)].to_vec()
            }
            (Self::VirtInstall, Device::Cdrom) => {
                ["--disk".to_owned(), format!("path={},device=cdrom,readonly=on", doubled(path))].to_vec()
            }
            (Self::VirtInstall, Device::Virtio) => {
                ["--disk".to_owned(), format!("path={},device=disk,bus=virtio,readonly=on", doubled(path))]
                    .to_vec()
            }
            (Self::Firecracker, _) => {
                let drive = json!({
                    "drive_id": "metadata", "path_on_host": path, "is_root_device": false, "is_read_only": true
                });
                let arguments = [
                    "-X",
                    "PUT",
                    "http://localhost/drives/metadata",
                    "-H",
                    "Content-Type: application/json",
                    "-d",
                ];
                arguments.iter().map(|&argument| argument.to_owned()).chain([drive.to_string()]).collect()
            }
        };
        Ok(arguments)
    }

    /// `path`, for a monitor whose options cannot contain a comma.
    fn plain(self, path: &str) -> Result<&str> {
        if path.contains(',') {
            return Err(anyhow!("{} does not accept a comma in a path: {path:?}", self.name()));
        }
        Ok(path)
    }
}

/// `path` with its commas doubled, as in options of QEMU and virt-install.
fn doubled(path: &str) -> String {
    path.replace(',', ",,")
}

/// `path` for QEMU, which takes the text before a colon for a protocol unless a slash comes first.
fn qemu_path(path: &str) -> String {
    let protocol = path.split('/').next().is_some_and(|first| first.contains(':'));
    doubled(&if protocol { format!("./{path}") } else { path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_each_monitor_reads_them() {
        let arguments = |vmm: Vmm, path| vmm.arguments(path, vmm.choose(None, false)?);
        assert_eq!(
            arguments(Vmm::Qemu, "a,b.iso").unwrap(),
            ["-drive", "file=a,,b.iso,media=cdrom,readonly=on,format=raw"]
        );
        assert_eq!(
            arguments(Vmm::Qemu, "a:b.iso").unwrap(),
            ["-drive", "file=./a:b.iso,media=cdrom,readonly=on,format=raw"]
        );
        assert_eq!(arguments(Vmm::Hyperkit, "m.iso").unwrap(), ["-s", "3,ahci-cd,m.iso"]);
        assert_eq!(arguments(Vmm::Vfkit, "m.iso").unwrap(), ["--device", "virtio-blk,path=m.iso"]);
        for vmm in [Vmm::Hyperkit, Vmm::CloudHypervisor, Vmm::Vfkit] {
            assert!(arguments(vmm, "a,b.iso").is_err());
        }
        assert!(Vmm::Vfkit.choose(Some(Device::Cdrom), false).is_err());
        let device = |asked, is_disk| Vmm::Qemu.choose(asked, is_disk).unwrap();
        assert_eq!(device(None, true), Device::Virtio);
        assert_eq!(device(Some(Device::Cdrom), true), Device::Cdrom);
    }
}

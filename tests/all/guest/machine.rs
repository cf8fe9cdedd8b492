//! A virtual machine with Debian's kernel, busybox and the static program, and what came of running something in it.
//!
//! `scripts/guest-test` makes kernel and initramfs and says in the environment where they are; `testdata/guest/init` is
//! what runs in the machine.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs::{self, File},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use crate::support::{self, Ran, Sandbox};

/// How long a machine may run; most take 5 to 10 seconds where nothing else runs, that which reads hundreds of images a minute.
const BOOT_MAX: Duration = Duration::from_secs(360);

/// A machine that is not switched on yet.
pub(crate) struct Guest {
    /// Where the images of its drives are.
    pub(crate) sandbox: Sandbox,
    devices: Vec<String>,
    drives: usize,
    runc: bool,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self { sandbox: Sandbox::new(), devices: Vec::new(), drives: 0, runc: false }
    }

    /// A CD-ROM on ATA, of which there are four at most.
    pub(crate) fn cdrom(&mut self, image: &str) {
        self.drive(&format!("file={image},media=cdrom,readonly=on,format=raw"));
    }

    /// A CD-ROM drive on ATA without a disc.
    pub(crate) fn empty_cdrom(&mut self) {
        self.drive("if=ide,media=cdrom");
    }

    pub(crate) fn scsi_cdrom(&mut self, image: &str) {
        self.devices.extend(["-device", "virtio-scsi-pci"].map(str::to_owned));
        self.drive(&format!("id=scsi,if=none,file={image},readonly=on,format=raw"));
        self.devices.extend(["-device", "scsi-cd,drive=scsi"].map(str::to_owned));
    }

    pub(crate) fn virtio_disk(&mut self, image: &str) {
        self.drive(&format!("file={image},if=virtio,readonly=on,format=raw"));
    }

    /// A disk that the guest may write to.
    pub(crate) fn data_disk(&mut self, image: &str) {
        self.drive(&format!("file={image},if=virtio,format=raw"));
    }

    /// A disk of which nothing can be read.
    pub(crate) fn faulty_disk(&mut self, image: &str) {
        let fault = "inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5";
        let file = format!("driver=blkdebug,{fault},image.driver=file,image.filename={image}");
        self.drive(&format!("if=virtio,readonly=on,{file}"));
    }

    fn drive(&mut self, options: &str) {
        self.drives += 1;
        self.devices.extend(["-drive", options].map(str::to_owned));
    }

    /// A network on which 10.0.2.2 is the loopback interface of the host.
    pub(crate) fn network(&mut self) {
        let arguments = ["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net"];
        self.devices.extend(arguments.map(str::to_owned));
    }

    /// The program `runc`, which runs containers.
    pub(crate) fn runc(&mut self) {
        self.runc = true;
    }

    /// Runs steps, in the words of `testdata/guest/init`, in an ordinary guest whose drives are there.
    #[track_caller]
    pub(crate) fn boot(self, steps: &str) -> Report {
        let drives = self.drives;
        self.boot_bare(&format!("ordinary\nmodules\ndrives {drives}\n{steps}"))
    }

    /// Runs steps in a guest that has /dev and /sys and nothing else.
    #[track_caller]
    pub(crate) fn boot_bare(self, steps: &str) -> Report {
        let Self { sandbox, devices, runc, .. } = self;
        let init = fs::read("testdata/guest/init").unwrap();
        let program = fs::read(variable("GUEST_PROGRAM")).unwrap();
        let mut initramfs = fs::read(variable("GUEST_INITRAMFS")).unwrap();
        if runc {
            initramfs.extend(fs::read(variable("GUEST_RUNC")).unwrap());
        }
        initramfs.extend(archive(&[
            ("init", 0o755, &init),
            ("bin/metadata", 0o755, &program),
            ("steps", 0o644, steps.as_bytes()),
        ]));
        sandbox.write("initramfs", initramfs);
        fs::create_dir(sandbox.path("report")).unwrap();

        let (qemu, machine) = qemu();
        let machine = Command::new(qemu)
            .current_dir(sandbox.path(""))
            .arg("-accel")
            .arg(variable("GUEST_ACCELERATOR"))
            .arg("-kernel")
            .arg(variable("GUEST_KERNEL"))
            // On a busy host the kernel's check of its timer fails at times, and the kernel panics.
            .args(["-initrd", "initramfs", "-append", "console=ttyS0 quiet panic=-1 no_timer_check"])
            .args(["-m", "512", "-nodefaults", "-no-reboot", "-display", "none"])
            .args(machine)
            .args(devices)
            .stderr(File::create(sandbox.path("qemu")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("running {qemu}: {error}"));
        let status = wait(machine);
        let text = |name| String::from_utf8_lossy(&sandbox.read(name)).replace('\r', "");
        let console = text("qemu") + &text("console");
        assert!(status.is_some_and(|status| status.success()), "QEMU: {status:?}\n{console}");
        let mut tar = Command::new("tar");
        tar.args(["-xf", "report.tar", "-C", "report"]).current_dir(sandbox.path(""));
        assert!(tar.status().unwrap().success(), "no report from the guest:\n{console}");
        Report { sandbox, console }
    }
}

/// The program that plays a machine of the processor that the tests are run for, and its options for that machine and for
/// two serial ports: `ttyS0`, which is the console, and `ttyS1` for the report.
fn qemu() -> (&'static str, &'static [&'static str]) {
    if variable("GUEST_ARCHITECTURE") == "arm64" {
        // The port that the board has is of another kind.
        let ports = &[
            "-machine",
            "virt",
            "-cpu",
            "cortex-a57",
            "-chardev",
            "file,id=console,path=console",
            "-device",
            "pci-serial,chardev=console",
            "-chardev",
            "file,id=report,path=report.tar",
            "-device",
            "pci-serial,chardev=report",
        ];
        ("qemu-system-aarch64", ports)
    } else {
        (
            "qemu-system-x86_64",
            &["-bios", "qboot.rom", "-serial", "file:console", "-serial", "file:report.tar"],
        )
    }
}

/// How a machine ended; `None`: it had to be stopped.
fn wait(mut machine: Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < BOOT_MAX {
        if let Some(status) = machine.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(20));
    }
    machine.kill().unwrap();
    machine.wait().unwrap();
    None
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: please run scripts/guest-test"))
}

/// A cpio archive of files with their modes, which Linux adds to that in front of it
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    const REGULAR_FILE: u32 = 0o100_000;
    let mut archive = Vec::new();
    for (name, mode, content) in files.iter().chain(&[("TRAILER!!!", 0, &[] as &[u8])]) {
        let [mode, size] = [REGULAR_FILE | mode, u32::try_from(content.len()).unwrap()];
        let name_size = u32::try_from(name.len() + 1).unwrap();
        // Inode, mode, owner, group, links, time, size, four numbers of devices, length of the name, no checksum.
        let fields = [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        archive.extend(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        for part in [&[name.as_bytes(), b"\0"].concat(), *content] {
            archive.extend(part);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    }
    archive
}

/// What a guest sent before it switched itself off.
pub(crate) struct Report {
    /// Where the images of its drives are.
    pub(crate) sandbox: Sandbox,
    console: String,
}

/// What a program in the guest did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) ran: Ran,
    /// The lines of the guest's state that went (`-`) and came (`+`), sorted.
    pub(crate) changes: Vec<String>,
}

impl Report {
    /// What came of the step `run NAME …`.
    #[track_caller]
    pub(crate) fn run(&self, name: &str) -> Run {
        let text = |part| self.text(&format!("{name}/{part}"));
        let ran = Ran {
            status: Some(text("status").trim().parse().unwrap()),
            stdout: text("stdout"),
            stderr: text("stderr"),
        };
        let [before, after] = ["before", "after"].map(|part| self.lines(&format!("{name}/{part}")));
        let gone = before.difference(&after).map(|line| format!("- {line}"));
        let come = after.difference(&before).map(|line| format!("+ {line}"));
        let mut changes: Vec<_> = gone.chain(come).collect();
        changes.sort();
        Run { ran, changes }
    }

    /// What the step `volume NAME …` listed, sorted.
    #[track_caller]
    pub(crate) fn volume(&self, name: &str) -> Vec<String> {
        self.lines(name).into_iter().collect()
    }

    #[track_caller]
    fn lines(&self, name: &str) -> BTreeSet<String> {
        self.text(name).lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.sandbox.path("report").join(name));
        let bytes = bytes.unwrap_or_else(|_| panic!("the guest did not report {name}:\n{}", self.console));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Run {
    /// A program that ended well, said this on standard error, and made what these lines are of.
    pub(crate) fn new(stderr: &str, made: &[Vec<String>]) -> Self {
        let mut changes: Vec<_> = made.iter().flatten().map(|line| format!("+ {line}")).collect();
        changes.sort();
        Self { ran: support::done(stderr), changes }
    }
}

/// The line of a directory in the state of a guest.
pub(crate) fn directory(path: &str, mode: u32) -> Vec<String> {
    vec![format!("{mode:o} - {path}/")]
}

/// The lines of a file in the state of a guest, with the digest that sha256sum gives.
pub(crate) fn file(path: &str, mode: u32, content: impl AsRef<[u8]>) -> Vec<String> {
    let content = content.as_ref();
    let summed = assert_cmd::Command::new("sha256sum").write_stdin(content).output().unwrap();
    let digest = String::from_utf8(summed.stdout).unwrap().replace("  -\n", "");
    vec![format!("{mode:o} {} {path}", content.len()), format!("{digest}  {path}")]
}

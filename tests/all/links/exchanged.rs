//! Files and directories that are exchanged while they are in use.

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use metadata_image::{
    image::{Image, probe},
    output::confined_dir::ConfinedDir,
    provider::{Provider, file::UserDataFile},
    userdata::pack::{pack, to_json},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{metadata, names};

use crate::support::Sandbox;

#[test]
fn a_directory_that_is_exchanged_when_it_was_made_is_not_changed() {
    let sandbox = Sandbox::on_tmpfs();
    let [outside, theirs] = ["outside", "theirs"].map(|name| sandbox.path(name));
    let [root, moved, secret] = ["root", "moved", "secret"].map(|name| theirs.join(name));
    sandbox.write("outside/key", "");
    sandbox.write("theirs/secret/key", "");
    for (path, mode) in [(&outside, 0o700), (&secret, 0o700), (&theirs, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (turn, is_over) = (Mutex::new(()), AtomicBool::new(false));
    let check = |path: &Path| {
        let found = fs::metadata(path).map(|found| (found.mode() & 0o7777, names(path))).ok();
        if found != Some((0o700, vec!["key".to_owned()])) {
            is_over.store(true, Ordering::Relaxed);
            panic!("{path:?}: {found:?}");
        }
    };
    let (mut links, mut directories) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut is_link = false;
            while !is_over.load(Ordering::Relaxed) {
                let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                if !moved.exists() && fs::rename(&root, &moved).is_ok() {
                    is_link = !is_link;
                    drop(if is_link { symlink(&outside, &root) } else { fs::rename(&secret, &root) });
                }
                drop(turn);
            }
        });
        for _ in 0..3000 {
            if let Ok(directory) = ConfinedDir::open_or_create_all(&root.join("below"), 0o755) {
                drop(directory.write_file(b"file", 0o644, false, |_| Ok(())));
            }
            let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            links += u32::from(fs::remove_file(&root).is_ok());
            directories += u32::from(!secret.exists() && fs::rename(&root, &secret).is_ok());
            for path in [&root, &moved] {
                drop(fs::remove_dir_all(path));
            }
            drop(turn);
            check(&outside);
            check(&secret);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(links > 0 && directories > 0, "nothing was exchanged, so nothing was tested");
}

#[test]
fn an_image_that_is_exchanged_for_a_link_while_it_is_locked_gives_nothing_away() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "secret.iso", "secret"]);
    fs::create_dir(sandbox.path("theirs")).unwrap();
    sandbox.succeed(["create", "-q", "--mode", "0644", "theirs/meta.iso", "hello"]);
    // Whoever may read an image may lock it, and so decides when it is opened.
    let script = "echo locked; read line; ln -s ../secret.iso theirs/link; mv -T theirs/link theirs/meta.iso";
    let mut lock = Command::new("flock");
    lock.current_dir(sandbox.path("")).args(["-s", "theirs/meta.iso", "sh", "-c", script]);
    let mut lock = lock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 7];
    lock.stdout.take().unwrap().read_exact(&mut said).unwrap();
    let mut confirm = metadata();
    confirm.current_dir(sandbox.path("")).args(["confirm", "-q", "theirs/meta.iso", "--run-metadata", "x"]);
    let confirm = confirm.spawn().unwrap();
    thread::sleep(Duration::from_millis(200));
    drop(lock.stdin.take());
    assert!(lock.wait().unwrap().success());
    assert!(confirm.wait_with_output().unwrap().status.success());
    // It is the image that the link leads to, where it is and for its owner only.
    let link = fs::symlink_metadata(sandbox.path("theirs/meta.iso")).unwrap();
    assert!(link.is_symlink() && names(&sandbox.path("theirs")) == ["meta.iso"]);
    assert_eq!(fs::metadata(sandbox.path("secret.iso")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(sandbox.succeed(["extract", "secret.iso", "config"]), b"secret");
}

/// Exchanges each two paths with one another as long as `run` takes.
fn while_exchanged<T>(pairs: &[(PathBuf, PathBuf)], run: impl FnOnce() -> T) -> T {
    struct SetOnDrop<'a>(&'a AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (one, other) in pairs {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        let _set = SetOnDrop(&is_over);
        run()
    })
}

#[test]
fn a_link_that_takes_the_place_of_a_file_is_not_packed() {
    let sandbox = Sandbox::new();
    sandbox.write("d/file", "public");
    sandbox.write("d/below/key", "public");
    sandbox.write("secrets/key", "secret");
    sandbox.write("secrets/nameless", "secret");
    sandbox.write("secrets/below/key", "secret");
    symlink(sandbox.path("secrets/key"), sandbox.path("file link")).unwrap();
    symlink(sandbox.path("secrets"), sandbox.path("directory link")).unwrap();
    let pairs = [("d/file", "file link"), ("d/below", "directory link")]
        .map(|(one, other)| (sandbox.path(one), sandbox.path(other)));
    let (mut packed, mut refused) = (Vec::new(), Vec::new());
    while_exchanged(&pairs, || {
        for _ in 0..3000 {
            match pack(&sandbox.path("d"), false).unwrap() {
                Ok(tree) => packed.push(String::from_utf8(to_json(&tree).unwrap()).unwrap()),
                Err(faults) => refused.extend(faults),
            }
        }
    });
    assert!(!packed.is_empty() && !refused.is_empty(), "nothing was exchanged, so nothing was tested");
    assert!(packed.iter().all(|json| !json.contains("secret")));
    // What a directory of others has is not told either.
    assert!(refused.iter().all(|fault| !fault.path.ends_with("nameless")), "{refused:?}");
}

#[test]
fn a_fifo_that_takes_the_place_of_a_file_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    sandbox.tool("mkfifo", ["fifo"]);
    let [image, fifo] = ["meta.iso", "fifo"].map(|name| sandbox.path(name));
    let (send, receive) = mpsc::channel();
    let path = image.clone();
    // Not waited for, since it may never end.
    thread::spawn(move || {
        let provider = UserDataFile::new(path.clone());
        let (mut opened, mut refused) = (0, 0);
        for _ in 0..1000 {
            let all = [
                Image::open(&path).map(drop).map_err(root_cause),
                probe::open_regular(&path).map(drop).map_err(|error| error.to_string()),
                provider
                    .fetch(Instant::now(), &mut |_, _| {})
                    .map(|found| assert_eq!(found.unwrap().userdata.as_deref(), Some(&b"hello"[..])))
                    .map_err(root_cause),
            ];
            for found in all {
                match found {
                    Ok(()) => opened += 1,
                    Err(error) => {
                        assert!(error.starts_with("not a regular file"), "{error}");
                        refused += 1;
                    }
                }
            }
        }
        send.send((opened, refused)).unwrap();
    });
    let ended = while_exchanged(&[(image, fifo)], || receive.recv_timeout(Duration::from_secs(60)));
    let (opened, refused) = ended.expect("a FIFO was waited for");
    assert!(opened > 0 && refused > 0, "nothing was exchanged, so nothing was tested");
}

/// The last of the causes of an error.
fn root_cause(error: impl Into<metadata_image::Error>) -> String {
    let error = error.into();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    causes.last().unwrap().to_string()
}

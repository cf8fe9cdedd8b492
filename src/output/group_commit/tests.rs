use std::io::Write;

use crate::error::bail;

use super::*;
use crate::output::temporary::count_in;

fn write(group: &GroupCommit<u32>, path: &str, content: &str, named: bool) -> Result<Vec<(u32, Result<()>)>> {
    let mut new = group.create(&mut LastDirectory::default(), path.as_bytes(), 0o640)?;
    if named {
        // As on a file system that has no files without a name.
        new.unfinished = Unfinished::create_named(group.root.handle(), OsStr::new(path), 0o640)?;
    }
    new.file().write_all(content.as_bytes())?;
    match new.name()? {
        Named::Done => Ok(Vec::new()),
        Named::Taken(file) => Ok(group.replace(file, 7, 1)),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn new_files_have_their_names_at_once_and_others_when_enough_wait() -> Result<()> {
    for (named, one_by_one) in [(false, false), (true, false), (false, true), (true, true)] {
        let directory = tempfile::tempdir()?;
        let mut group = GroupCommit::open(directory.path(), one_by_one)?;
        group.group_max = 3;
        group.durability.one_by_one = one_by_one;
        for path in ["a", "b", "c"] {
            assert!(write(&group, path, "old", named)?.is_empty());
        }
        for path in ["a", "b"] {
            assert!(write(&group, path, "new", named)?.is_empty());
            assert_eq!(fs::read_to_string(directory.path().join(path))?, "old");
        }
        assert!(group.replace_older(7).is_empty(), "none is older");
        assert_eq!(write(&group, "c", "new", named)?.len(), 3);
        assert!(write(&group, "a", "newer", named)?.is_empty());
        assert_eq!(fs::read_to_string(directory.path().join("a"))?, "new");
        assert_eq!(group.replace_older(8).len(), 1);
        assert!(group.replace_older(u64::MAX).is_empty(), "nothing waits");
        for (path, content) in [("a", "newer"), ("b", "new"), ("c", "new")] {
            assert_eq!(fs::read_to_string(directory.path().join(path))?, content);
            assert_eq!(fs::metadata(directory.path().join(path))?.mode() & 0o7777, 0o640);
        }
        assert_eq!(names(directory.path()), ["a", "b", "c"]);
        assert_eq!(count_in(directory.path()), 0);
        group.sync()?;
    }
    Ok(())
}

#[test]
fn what_has_the_name_is_opened_and_a_link_is_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let group = GroupCommit::<u32>::open(directory.path(), false)?;
    let take =
        |path: &str| match group.create(&mut LastDirectory::default(), path.as_bytes(), 0o600)?.name()? {
            Named::Taken(file) => Ok(file),
            Named::Done => bail!("the name was free"),
        };
    fs::write(directory.path().join("file"), "old")?;
    std::os::unix::fs::symlink("file", directory.path().join("link"))?;
    let taken = take("file")?;
    assert_eq!(io::read_to_string(taken.open_old()?.context("it is there")?)?, "old");
    assert!(take("link")?.open_old()?.is_none());
    fs::remove_file(directory.path().join("file"))?;
    assert!(taken.open_old()?.is_none());
    Ok(())
}

#[test]
fn what_waits_is_gone_with_its_owner() -> Result<()> {
    for named in [false, true] {
        let directory = tempfile::tempdir()?;
        let group = GroupCommit::open(directory.path(), false)?;
        write(&group, "file", "old", named)?;
        assert!(write(&group, "file", "new", named)?.is_empty());
        drop(group);
        assert_eq!(names(directory.path()), ["file"]);
        assert_eq!(fs::read_to_string(directory.path().join("file"))?, "old");
    }
    Ok(())
}

#[test]
fn only_files_and_links_are_replaced_and_no_link_is_followed() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let outside = directory.path().join("outside");
    fs::create_dir(&outside)?;
    fs::write(outside.join("file"), "old")?;
    let root = directory.path().join("root");
    let group = GroupCommit::open(&root, false)?;
    fs::create_dir(root.join("directory"))?;
    std::os::unix::fs::symlink(&outside, root.join("link"))?;
    std::os::unix::fs::symlink(outside.join("file"), root.join("file"))?;
    for path in ["directory", "link/file", "../file", "/file", "", ".", "a//b", "file/x"] {
        assert!(write(&group, path, "new", false).is_err(), "{path:?}");
    }
    write(&group, "file", "new", false)?;
    assert_eq!(group.replace_older(u64::MAX).len(), 1);
    assert_eq!(fs::read_to_string(outside.join("file"))?, "old");
    assert_eq!(fs::read_to_string(root.join("file"))?, "new");
    write(&group, "a/b/file", "new", false)?;
    assert_eq!(names(&root), ["a", "directory", "file", "link"]);
    assert_eq!(names(&outside), ["file"]);
    Ok(())
}

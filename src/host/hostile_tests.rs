//! What other users may plant in folders that we read and write as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::{getegid, geteuid, mkfifo};
use tempfile::TempDir;

use super::*;
use crate::host::walk::Last;
use nix::fcntl::OFlag;

fn me(mode: u32) -> Attributes {
    Attributes { uid: geteuid().as_raw(), gid: getegid().as_raw(), mode }
}

/// A root with `/etc` of ours and `/open`, which others can write.
fn host() -> (TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, mode) in [("etc", 0o755), ("open", 0o777)] {
        fs::create_dir(root.join(name)).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join("etc/shadow"), "secret").unwrap();
    let host = Host::new(root).unwrap();
    (folder, host)
}

fn shadow(host: &Host) -> String {
    fs::read_to_string(host.root().join("etc/shadow")).unwrap()
}

fn leftovers(host: &Host, folder: &str) -> Vec<String> {
    let names = host.list(folder).unwrap().unwrap();
    let names = names.iter().map(|n| n.to_string_lossy().into_owned());
    names.filter(|n| n.starts_with(".ddinstall-")).collect()
}

#[test]
fn a_file_is_written_whole_with_its_owner_and_mode() {
    let (_guard, host) = host();
    host.write("/etc/a.yaml", b"one", &me(0o640)).unwrap();
    host.write("/etc/a.yaml", b"two", &me(0o440)).unwrap();
    let stored = host.read("/etc/a.yaml").unwrap().unwrap();
    assert_eq!(stored.bytes, b"two");
    assert_eq!(stored.meta.attributes(), me(0o440));
    assert_eq!(stored.meta.kind, FileKind::File);
    assert!(leftovers(&host, "/etc").is_empty());
    host.set_mtime("/etc/a.yaml", 1000, 7).unwrap();
    let meta = host.meta("/etc/a.yaml").unwrap().unwrap();
    assert_eq!((meta.mtime, meta.mtime_nsec), (1000, 7));
    assert!(host.remove_file("/etc/a.yaml").unwrap());
    assert!(!host.remove_file("/etc/a.yaml").unwrap());
    assert!(host.read("/etc/a.yaml").unwrap().is_none());
    assert!(host.read("/absent/a.yaml").unwrap().is_none());
}

#[test]
fn a_planted_link_is_neither_read_nor_written() {
    let (_guard, host) = host();
    let open = host.root().join("open");
    symlink("../etc/shadow", open.join("relative")).unwrap();
    symlink("/etc/shadow", open.join("absolute")).unwrap();
    symlink("/etc/new", open.join("dangling")).unwrap();
    fs::hard_link(host.root().join("etc/shadow"), open.join("hard")).unwrap();
    mkfifo(&open.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(open.join("socket")).unwrap();
    fs::create_dir(open.join("folder")).unwrap();
    for name in ["relative", "absolute", "dangling", "hard", "fifo", "socket", "folder"] {
        let path = format!("/open/{name}");
        let before = host.meta(&path).unwrap().unwrap();
        let read = host.read(&path);
        assert!(matches!(read, Err(ReadFailure::NotRegular(_))), "{name}: {read:?}");
        assert!(host.can_replace(&path).is_err(), "{name}");
        assert!(host.write(&path, b"x", &me(0o644)).is_err(), "{name}");
        if name != "folder" {
            assert!(host.set_attributes(&path, &me(0o606)).is_err(), "{name}");
        }
        assert_eq!(host.meta(&path).unwrap().unwrap(), before, "{name}");
    }
    assert_eq!(shadow(&host), "secret");
    assert!(!host.root().join("etc/new").exists());
    assert!(leftovers(&host, "/open").is_empty());
}

#[test]
fn a_planted_link_in_the_place_of_a_folder_is_refused() {
    let (_guard, host) = host();
    symlink("../etc", host.root().join("open/conf.d")).unwrap();
    assert!(host.read("/open/conf.d/shadow").is_err());
    assert!(host.write("/open/conf.d/shadow", b"x", &me(0o644)).is_err());
    assert!(host.write("/open/conf.d/new", b"x", &me(0o644)).is_err());
    assert!(host.make_dir("/open/conf.d/dir", &me(0o755)).is_err());
    assert!(host.make_dir("/open/conf.d", &me(0o755)).is_err());
    assert!(host.remove_file("/open/conf.d/shadow").is_err());
    assert_eq!(shadow(&host), "secret");
    assert_eq!(fs::read_dir(host.root().join("etc")).unwrap().count(), 1);
}

#[test]
fn links_of_the_system_itself_are_followed_and_stay_below_the_root() {
    let (_guard, host) = host();
    fs::set_permissions(host.root(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(host.root().join("usr/lib/deep")).unwrap();
    for folder in ["usr", "usr/lib", "usr/lib/deep"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(host.root().join(folder), mode).unwrap();
    }
    fs::write(host.root().join("usr/lib/os-release"), "ID=debian").unwrap();
    symlink("usr/lib", host.root().join("lib")).unwrap();
    symlink("../usr/lib/os-release", host.root().join("etc/os-release")).unwrap();
    symlink("/usr/lib/os-release", host.root().join("etc/absolute")).unwrap();
    symlink("../../../../../usr/lib", host.root().join("etc/up")).unwrap();
    symlink("loop", host.root().join("etc/loop")).unwrap();
    for path in ["/etc/os-release", "/etc/absolute", "/lib/os-release", "/etc/up/os-release"] {
        assert_eq!(host.read_text(path).unwrap().unwrap(), "ID=debian", "{path}");
    }
    assert!(host.read("/etc/loop").is_err());
    host.write("/lib/new", b"x", &me(0o644)).unwrap();
    assert!(host.root().join("usr/lib/new").exists());
    // But a file is never written in the place of a link.
    assert!(host.write("/etc/os-release", b"x", &me(0o644)).is_err());
    assert!(host.read("/etc/../etc/shadow").is_err());
}

#[test]
fn without_openat2_the_walk_decides_the_same() {
    let (_guard, host) = host();
    symlink("../etc", host.root().join("open/conf.d")).unwrap();
    let walk = |path: &str| {
        let parts = path.split('/').map(Into::into).collect();
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        host.walk(Path::new(path), parts, flags, Last::Follow)
    };
    assert!(walk("etc/shadow").unwrap().is_some());
    assert!(walk("etc/absent").unwrap().is_none());
    assert!(walk("absent/file").unwrap().is_none());
    assert!(matches!(walk("open/conf.d/shadow"), Err(ReadFailure::NotRegular(_))));
    assert!(walk("etc/shadow/below").is_err());
}

#[test]
fn a_racing_swap_never_reaches_the_target() {
    let (_guard, host) = host();
    let open = host.root().join("open");
    let stop = AtomicBool::new(false);
    struct AtEnd<'a>(&'a AtomicBool);
    impl Drop for AtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let mut refused = 0;
    std::thread::scope(|scope| {
        let _end = AtEnd(&stop);
        scope.spawn(|| {
            let link = open.join("link");
            while !stop.load(Ordering::Relaxed) {
                let _ = symlink("../etc/shadow", &link);
                let _ = fs::rename(&link, open.join("file"));
                let _ = fs::hard_link(host.root().join("etc/shadow"), &link);
                let _ = fs::rename(&link, open.join("file"));
                let _ = fs::remove_file(open.join("file"));
            }
        });
        for round in 0.. {
            if round >= 3000 || (round >= 300 && refused > 0) {
                break;
            }
            refused += i32::from(host.write("/open/file", b"ours", &me(0o604)).is_err());
            if let Ok(Some(stored)) = host.read("/open/file") {
                assert_eq!(stored.bytes, b"ours");
            }
        }
    });
    assert_eq!(shadow(&host), "secret");
    let mode = fs::metadata(host.root().join("etc/shadow")).unwrap().mode();
    assert_ne!(mode & 0o777, 0o604);
    assert!(leftovers(&host, "/open").is_empty());
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    if !geteuid().is_root() {
        return;
    }
    let (_guard, host) = host();
    let small = host.root().join("etc/small");
    fs::create_dir(&small).unwrap();
    let mounted = nix::mount::mount(
        Some("tmpfs"),
        &small,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=64k,mode=755"),
    );
    if mounted.is_err() {
        return; // root without the right to mount
    }
    host.write("/etc/small/a", b"old", &me(0o600)).unwrap();
    let big = vec![b'x'; 1 << 20];
    let error = host.write("/etc/small/a", &big, &me(0o644)).unwrap_err();
    let stored = host.read("/etc/small/a").unwrap().unwrap();
    let left = leftovers(&host, "/etc/small");
    let space = host.free_space("/etc/small/x/y").unwrap();
    let not_below = host.remove_tree("/etc/small").is_err();
    nix::mount::umount(&small).unwrap();
    assert!(error.what.contains("No space"), "{error}");
    assert!(error.hint.is_some());
    assert_eq!((stored.bytes.as_slice(), stored.meta.mode), (&b"old"[..], 0o600));
    assert!(left.is_empty());
    assert!(space.bytes > 0 && space.bytes <= 64 << 10);
    assert!(not_below);
}

#[test]
fn folders_are_made_listed_and_removed() {
    let (_guard, host) = host();
    assert!(host.make_dir("/etc/a", &me(0o710)).unwrap());
    assert!(!host.make_dir("/etc/a", &me(0o700)).unwrap());
    assert_eq!(host.meta("/etc/a").unwrap().unwrap().mode, 0o710);
    assert!(host.make_dir("/etc/x/y", &me(0o700)).is_err());
    assert_eq!(host.make_dirs("/etc/x/y", &me(0o700)).unwrap().len(), 2);
    let temporary = host.temp_dir("/etc/a", 0o700).unwrap();
    host.write(temporary.path().join("f"), b"x", &me(0o600)).unwrap();
    symlink(host.root().join("etc/x"), host.real_path(temporary.path()).join("l")).unwrap();
    assert!(!host.remove_dir("/etc/a").unwrap());
    drop(temporary);
    assert_eq!(host.list("/etc/a").unwrap().unwrap().len(), 0);
    assert!(host.root().join("etc/x/y").exists());
    assert!(host.remove_dir("/etc/a").unwrap());
    assert!(host.remove_tree("/etc/x").unwrap());
    assert!(host.list("/etc/x").unwrap().is_none());
}

#[test]
fn what_a_killed_run_was_writing_is_cleared_away() {
    let (_guard, host) = host();
    fs::write(host.root().join("etc/.ddinstall-0123-a.yaml"), "half").unwrap();
    symlink("shadow", host.root().join("etc/.ddinstall-link")).unwrap();
    assert_eq!(host.remove_leftovers("/etc").unwrap().len(), 2);
    assert_eq!(host.list("/etc").unwrap().unwrap(), ["shadow"]);
    assert!(host.remove_leftovers("/absent").unwrap().is_empty());
    // Of temporary folders only those whose process is gone.
    for name in ["ddinstall-4194305-0123", "ddinstall-", "ddinstall-x-1", "other"] {
        fs::create_dir(host.root().join("etc").join(name)).unwrap();
    }
    fs::create_dir(host.root().join("etc/ddinstall-1-0123")).unwrap();
    assert_eq!(host.remove_stale_temporaries("/etc", false).unwrap(), ["ddinstall-4194305-0123"]);
    // A killed run had our number: in name spaces of its own, each has. What is ours now stays.
    let killed = format!("ddinstall-{}-0123", std::process::id());
    fs::create_dir(host.root().join("etc").join(&killed)).unwrap();
    let own = host.temp_dir("/etc", 0o700).unwrap();
    assert_eq!(host.remove_stale_temporaries("/etc", false).unwrap(), [""; 0]);
    assert_eq!(host.remove_stale_temporaries("/etc", true).unwrap(), [killed.as_str()]);
    assert!(host.meta(own.path()).unwrap().is_some() && host.meta("/etc/ddinstall-1-0123").unwrap().is_some());
}

#[test]
fn what_another_user_hides_is_denied_not_absent() {
    if geteuid().is_root() {
        return; // root sees everything
    }
    let (_guard, host) = host();
    host.make_dir("/etc/hidden", &me(0o000)).unwrap();
    assert!(host.read("/etc/hidden/a").is_err_and(|e| e.is_denied()));
    assert!(host.meta("/etc/hidden/a").is_err_and(|e| e.is_denied()));
    host.set_attributes("/etc/hidden", &me(0o700)).ok();
}

#[test]
fn a_file_without_end_is_not_read() {
    let (folder, host) = host();
    let file = fs::File::create(folder.path().join("open/datadog.yaml")).unwrap();
    file.set_len(1 << 40).unwrap();
    let Err(failure) = host.read("/open/datadog.yaml") else { panic!("read") };
    assert!(failure.to_string().contains("is larger than 256 MiB"), "{failure}");
}

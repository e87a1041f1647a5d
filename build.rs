//! How the released binary is linked (by rust-lld: .cargo/config.toml), so that it is small.
//!
//! It aborts on a panic, so nothing reads the tables for unwinding, and they are an eighth of its size. The C library's
//! start files keep theirs: the linker wants their end marker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const WITHOUT_TABLES: &str = "SECTIONS
{
  /DISCARD/ : { *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame) *(.gcc_except_table .gcc_except_table.*) }
}
INSERT BEFORE .rodata;
";

const ARGUMENTS: [&str; 3] = [
    // Relocations in a bitmap: a ninetieth of their size as a list. musl's start code applies them since 1.2.4, and
    // Rust brings 1.2.5; the kernel takes no part.
    "--pack-dyn-relocs=relr",
    // Functions and constants that are equal to the byte are kept once. Nothing here tells two functions apart by
    // their addresses.
    "--icf=all",
    // Strings that end alike are kept once.
    "-O2",
];

/// For aarch64 Rust links programs to a fixed address. These start files, and options, make one that the kernel puts
/// where it likes, as it does on x86_64. Rust's own choice of them is turned off in .cargo/config.toml.
const MOVABLE: [&str; 8] =
    ["rcrt1.o", "crti.o", "crtbeginS.o", "crtendS.o", "crtn.o", "-pie", "--no-dynamic-linker", "-ztext"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("TARGET").is_ok_and(|target| target == "aarch64-unknown-linux-musl") {
        movable();
    }
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // The profile that panics by `abort`: Cargo.toml. Tests unwind, and other linkers do not take this.
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_ENV", "musl") {
        return;
    }
    let Ok(folder) = env::var("OUT_DIR") else { return };
    let script = Path::new(&folder).join("without-tables.ld");
    if let Err(error) = fs::write(&script, WITHOUT_TABLES) {
        println!("cargo::error={}: {error}", script.display());
    }
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    for argument in ARGUMENTS {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

fn movable() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).args(["--print", "target-libdir", "--target", "aarch64-unknown-linux-musl"]).output();
    let folder = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let folder = PathBuf::from(folder.trim()).join("self-contained");
    println!("cargo::rustc-link-arg=-L{}", folder.display());
    for argument in MOVABLE {
        let file = if argument.ends_with(".o") { folder.join(argument) } else { argument.into() };
        println!("cargo::rustc-link-arg={}", file.display());
    }
}

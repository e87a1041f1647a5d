//! Leaves the tables for unwinding out of the released binary. It aborts on a panic, so nothing reads them, and they
//! are an eighth of its size. The C library's start files keep theirs: the linker wants their end marker.

use std::path::Path;
use std::{env, fs};

const WITHOUT_TABLES: &str = "SECTIONS
{
  /DISCARD/ : { *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame) *(.gcc_except_table .gcc_except_table.*) }
}
INSERT BEFORE .rodata;
";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
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
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
}

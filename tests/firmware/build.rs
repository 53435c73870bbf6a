//! Gives the linker its memory map.
//!
//! The link arguments are set here and not in a configuration file: RUSTFLAGS in the environment
//! replaces configured flags, and the image would then be linked without its script.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

/// lm3s6965: the linker script of cortex-m-rt includes this file.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 252K
  RAM   : ORIGIN = 0x20000000, LENGTH = 64K
}
/* The last page of flash is provisioned apart from the image. */
__provisioned = 0x0003F000;
";

/// A device crate would name default interrupt handlers here; `src/vectors.rs` needs none.
const DEVICE: &str = "";

fn main() -> io::Result<()> {
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("memory.x"), MEMORY)?;
    fs::write(Path::new(&out).join("device.x"), DEVICE)?;
    let built = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    println!("cargo:rustc-env=BUILT={}", built.as_secs());
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

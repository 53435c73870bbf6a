//! Passes the memory map to the linker, and the build time to the image.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::copy("memory.x", Path::new(&out).join("memory.x"))?;
    let built = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    println!("cargo:rustc-env=BUILT={}", built.as_secs());
    println!("cargo:rustc-link-search={out}");
    for argument in ["--nmagic", "-Tlink.x", "-Tlink-rp.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=memory.x");
    Ok(())
}

//! Passes the memory map to the linker.

fn main() {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    // A device crate would name its interrupt handlers here; src/vectors.rs has them.
    std::fs::write(format!("{out}/device.x"), "").expect("OUT_DIR can be written");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=memory.x");
}

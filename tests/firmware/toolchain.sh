# shellcheck shell=bash
# Runs cargo for a target without an operating system, with whichever toolchain this machine has.
#
#   . toolchain.sh
#   bare_cargo thumbv7m-none-eabi build --release
#
# 1. The active toolchain, if its precompiled core for the target is installed
#    (rustup target add TARGET).
# 2. Debian's rustc with its source package, building core from source.
# 3. Neither: says what to install and returns 2.
#
# Linkers are chosen by environment variables of cargo, not by rustflags: RUSTFLAGS in the
# environment and configured flags replace each other.

bare_cargo() {
    local target=$1 libdir
    shift
    libdir=$(rustc --print target-libdir --target "$target" 2>/dev/null) || libdir=
    if [ -n "$libdir" ] && compgen -G "$libdir/libcore-*.rlib" >/dev/null; then
        CARGO_BUILD_TARGET=$target cargo "$@"
    elif [ -x /usr/bin/cargo ] && [ -d /usr/lib/rustlib/src/rust/library ] &&
        command -v ld.lld >/dev/null; then
        # Debian has no precompiled core for bare targets and no rust-lld. RUSTC_BOOTSTRAP lets
        # its stable compiler take -Zbuild-std; nothing else unstable is used.
        env "$(bare_linker_variable "$target")=ld.lld" \
            CARGO_BUILD_TARGET="$target" RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
            /usr/bin/cargo -Zbuild-std=core "$@"
    else
        echo "no core library for $target: rustup target add $target" \
            "(or, on Debian: apt-get install rustc-web cargo-web rust-web-src lld)" >&2
        return 2
    fi
}

bare_linker_variable() {
    local target=${1//-/_}
    echo "CARGO_TARGET_${target^^}_LINKER"
}

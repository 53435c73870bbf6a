# shellcheck shell=bash
# Functions shared by .ci/run and .ci/deep.

# step NAME begins a step. Its time is printed when the next one begins, and those of all at the end.
steps=()
step() {
    end_step
    step_name=$1 step_begin=$SECONDS
    printf '\n=== %s\n' "$1"
}

end_step() {
    [ -n "${step_name:-}" ] || return 0
    steps+=("$(printf '%5.1f min  %s' "$(((SECONDS - step_begin) * 10 / 60))e-1" "$step_name")")
    printf '=== %s\n' "${steps[-1]}"
    step_name=
}

# Prints the minutes of each step.
print_steps() {
    end_step
    printf '\n'
    printf '%s\n' "${steps[@]}"
    printf '%5.1f min  in all\n' "$((SECONDS * 10 / 60))e-1"
}

# need_packages PROOF:PACKAGE… installs Debian's PACKAGE if PROOF, a command or a path, is missing.
need_packages() {
    local pair wanted=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || wanted+=("${pair##*:}")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || {
        echo "please install: ${wanted[*]}" >&2
        return 2
    }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}"
}

# The targets without an operating system that core must support.
bare_targets="thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabi riscv32imc-unknown-none-elf"

# Succeeds if the active toolchain has a precompiled core for all of them.
has_bare_targets() {
    local target
    for target in $bare_targets; do
        compgen -G "$(rustc --print target-libdir --target "$target")/libcore-*.rlib" >/dev/null || return 1
    done
}

# Checks dependencies by deny.toml; advisories only where the network reaches their database.
check_dependencies() {
    cargo deny check bans licenses sources
    if curl -sf --max-time 10 -o /dev/null https://github.com/rustsec/advisory-db; then
        cargo deny check advisories
    else
        echo "the database of advisories cannot be reached: advisories were not checked"
    fi
}

# crates_of ARGUMENTS... prints the number of crates that cargo compiles for a package, itself included.
crates_of() {
    cargo tree -e normal --prefix none "$@" | sed 's/ (\*)$//' | sort -u | wc -l
}

# at_most BOUND NUMBER WHAT fails if the number is larger.
at_most() {
    echo "$2 $3"
    [ "$2" -le "$1" ] || {
        echo "more than $1" >&2
        return 1
    }
}

# Builds the program as the first command of the README does, into an empty directory, and fails if it
# takes more than 170 seconds of processor time. Prints the elapsed time, too.
first_build() {
    local cold seconds
    cold=$(mktemp -d)
    {
        seconds=$({
            TIMEFORMAT='%R %U %S'
            time cargo build -q -p attache --target-dir "$cold" 2>&3
        } 2>&1) || return
    } 3>&2
    rm -rf "$cold"
    echo "$seconds" | awk '{ print $1 " s elapsed" }'
    at_most 170 "$(echo "$seconds" | awk '{ printf "%.0f", $2 + $3 }')" "s of processor time"
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # sourced; sets lists for, and takes $repo from, who sources it
# What tools/demo and tools/check share. Sourced by bash; $repo is the checkout.

build_packages='build-essential meson ninja-build pkg-config python3 libfuse3-dev libsqlite3-dev libseccomp-dev
libavformat-dev libavcodec-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev libturbojpeg0-dev
libpng-dev zlib1g-dev libyaml-dev libpcre2-dev libxxhash-dev libmp3lame-dev libfftw3-dev
libarchive-dev libbz2-dev liblzma-dev libzstd-dev
libhdf5-dev libaec-dev'
run_packages='fuse3'

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Says what it runs, shows its output only when it fails.
quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "$what failed: $*"
    fi
    rm -f "$log"
}

# Installs those of the given Debian packages that are missing.
install_packages() {
    local package missing=() as_root=()
    command -v dpkg-query >/dev/null || die "this is not Debian; install by hand: $*"
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *' ok installed' ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "these packages are missing, and there is no sudo to install them: ${missing[*]}"
        as_root=(sudo)
    fi
    printf 'installing %s\n' "${missing[*]}"
    quietly 'apt-get update' "${as_root[@]}" apt-get -qq update
    quietly 'apt-get install' "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

# Configures and builds: build DIRECTORY MESON-OPTIONS...
build() {
    local directory=$1
    shift
    # A python3 of the user's own in front of Debian's could lack what meson needs.
    [[ -f $directory/build.ninja ]] || quietly 'configuring' meson setup "$directory" "$repo" "$@"
    quietly 'building' ninja -C "$directory"
}

# Why nothing can be mounted here, or nothing.
no_fuse() {
    [[ -e /dev/fuse ]] ||
        printf '/dev/fuse is missing: load the fuse module, or start the container with --device /dev/fuse --cap-add SYS_ADMIN'
}

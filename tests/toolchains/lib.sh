# What the toolchain scripts share. Each script installs one toolchain below $tools and is done at once when it is there; two at a time
# wait for each other. No host is named: packages come from where apt and npm of this machine are set to take them.
# shellcheck shell=bash
tools=${UNBROKEN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/unbroken-tools}

# begin NAME: sets $dir, takes its lock, sends what installers say to its log.
begin() {
    dir=$tools/$1
    mkdir -p "$dir"
    exec 9>"$dir/.lock"
    flock 9
    log=$dir/log
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || stop "installing needs root or sudo"
}

stop() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    [ ! -s "${log-}" ] || tail -n 20 "$log" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# packages NAME...: apt installs those that are missing.
packages() {
    local missing=() package
    for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
    [ ${#missing[@]} = 0 ] && return
    {
        as_root apt-get update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    } >>"$log" 2>&1 </dev/null || stop "apt-get install ${missing[*]} failed"
}

# The Debian mirror that apt is set to.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | sort -u | head -n 1; }

# of_release RELEASE DIRECTORY PACKAGE...: fetches packages of another Debian release to there, with an apt state of its own; installs nothing.
of_release() {
    local state release=$1 directory=$2 status=0
    state=$(mktemp -d)
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$directory"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $release main" >"$state/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)
    { "${apt[@]}" update && (cd "$directory" && "${apt[@]}" download "${@:3}"); } >>"$log" 2>&1 || status=1
    rm -rf "$state"
    return "$status"
}

# npm_package NAME VERSION INTEGRITY DIRECTORY: unpacks a package there, if it is the one whose hash is known.
npm_package() {
    local work got
    work=$(mktemp -d)
    (cd "$work" && npm pack --silent "$1@$2" >/dev/null 2>>"$log") || stop "npm could not fetch $1 $2"
    got=sha512-$(openssl dgst -sha512 -binary "$work/${1##*/}-$2.tgz" | base64 -w0)
    [ "$got" = "$3" ] || stop "$1 $2 has another hash: $got"
    rm -rf "$4" && mkdir -p "$4" && tar xzf "$work/${1##*/}-$2.tgz" -C "$4" --strip-components=1
    rm -rf "$work"
}

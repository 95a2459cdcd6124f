#!/usr/bin/env bash
# The Swift 6 toolchain of Debian trixie in a directory tree of its own, because it needs trixie's C library. Prints a command that runs its
# arguments in there: the directories in $SWIFTBOX_BIND (default: the repository) keep their paths, the network is the machine's.
# About 530 MB to fetch and 1.7 GB on disk; debugger, language server and documentation are left out.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin swift
if [ ! -e "$dir/.ok-1" ]; then
    packages mmdebstrap
    as_root rm -rf "$dir/root"
    left_out=()
    for path in '/usr/share/man/*' '/usr/share/doc/*' '/usr/share/locale/*' '/usr/libexec/swift/bin/lldb*' \
        '/usr/libexec/swift/lib/liblldb*' '/usr/libexec/swift/bin/clangd' '/usr/libexec/swift/bin/sourcekit-lsp' \
        '/usr/libexec/swift/lib/libsourcekitdInProc*' '/usr/libexec/swift/bin/docc' '/usr/libexec/swift/lib/swift_static/*'; do
        left_out+=("--dpkgopt=path-exclude=$path")
    done
    as_root mmdebstrap --quiet --mode=root --variant=minbase --aptopt='APT::Install-Recommends "false"' \
        --include=swiftlang,libc6-dev,libstdc++-14-dev "${left_out[@]}" trixie "$dir/root" "$(mirror)" >>"$log" 2>&1 ||
        stop "the tree could not be made"
    # Debian's package forgets these names.
    as_root ln -sf ../libexec/swift/bin/swift-test "$dir/root/usr/bin/swift-test"
    as_root ln -sf ../libexec/swift/bin/swift-package "$dir/root/usr/bin/swift-package"
    cat >"$dir/swiftbox" <<'BOX'
#!/usr/bin/env bash
# Runs a command in the tree beside this file, in a mount namespace of its own.
set -euo pipefail
if [ -z "${SWIFTBOX_IN-}" ]; then
    export SWIFTBOX_IN=1 SWIFTBOX_HERE SWIFTBOX_PWD=$PWD SWIFTBOX_BIND=${SWIFTBOX_BIND:-$(git rev-parse --show-toplevel)}
    SWIFTBOX_HERE=$(cd "$(dirname "$0")" && pwd)
    as=()
    [ "$(id -u)" = 0 ] || as=(sudo -n -E)
    exec "${as[@]}" unshare --mount --propagation private "$0" "$@"
fi
root=$SWIFTBOX_HERE/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
for path in $SWIFTBOX_BIND; do
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
done
exec chroot "$root" /usr/bin/env -i HOME=/tmp PATH=/usr/bin:/bin TERM=dumb LANG=C.UTF-8 UNBROKEN_LIBRARY_DIR="${UNBROKEN_LIBRARY_DIR-}" UNBROKEN_CONTROL="${UNBROKEN_CONTROL-}" \
    /bin/sh -c 'cd "$0" && exec "$@"' "$SWIFTBOX_PWD" "$@"
BOX
    chmod +x "$dir/swiftbox"
    (cd "$dir" && SWIFTBOX_BIND=$dir ./swiftbox swiftc --version >>"$log" 2>&1) || stop "the Swift compiler does not start"
    touch "$dir/.ok-1"
fi
echo "$dir/swiftbox"

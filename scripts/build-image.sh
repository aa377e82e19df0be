#!/bin/sh
# Builds the container image of examples/digits, python3 with numpy from Debian
# packages, as an OCI layout.
#
# usage: scripts/build-image.sh OUT_DIR
#
# Needs root, mmdebstrap and Go. Packages are only unpacked, no maintainer script
# runs: the image holds no package manager, no shell and no set-user-id program.
# Equal package versions give equal digests. When OUT_DIR was built from the same
# inputs it is left as it is.
set -eu

suite=${NEXARA_IMAGE_SUITE:-bookworm}
packages=python3-minimal,python3-numpy
limit_mb=250
# Every time in the image: 2024-01-01.
export SOURCE_DATE_EPOCH=1704067200
export LC_ALL=C PYTHONHASHSEED=0

fail() { echo "build-image: $*" >&2; exit 1; }
# PATH of a plain user often lacks these.
PATH=$PATH:/usr/sbin:/sbin

[ $# -eq 1 ] || fail "usage: $0 OUT_DIR"
out=$1
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)

command -v go >/dev/null || fail "Go is not installed"
machine=$(uname -m)
case $machine in
x86_64) arch=amd64 lib=x86_64-linux-gnu ;;
aarch64) arch=arm64 lib=aarch64-linux-gnu ;;
*) fail "no image for $machine; build it on x86_64 or aarch64" ;;
esac

key=$({ cat "$0" "$here"/ocilayout/main.go; echo "$suite $arch"; } | sha256sum | cut -d' ' -f1)
if [ -f "$out/index.json" ] && [ "$(cat "$out.key" 2>/dev/null)" = "$key" ]; then
    echo "build-image: $out is up to date"
    exit 0
fi

missing=
command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
if [ "$(id -u)" -ne 0 ]; then
    echo "build-image: this needs root. Run:" >&2
    [ -z "$missing" ] || echo "  sudo apt-get install -y --no-install-recommends$missing" >&2
    echo "  sudo env PATH=\"\$PATH\" $0 $out" >&2
    exit 1
fi
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "install these first:$missing"
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi

mkdir -p "$(dirname -- "$out")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "build-image: unpacking $packages of Debian $suite for $arch"
mmdebstrap --quiet --mode=root --variant=extract --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --architectures="$arch" --include="$packages" "$suite" "$work/root" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "the packages could not be unpacked"; }

(
# Everything below is relative to the new root, so nothing may run outside it.
cd "$work/root" || exit 1
python=$(echo usr/lib/python3.*)
# The package manager, and what a batch job never reads.
rm -rf var/lib var/cache var/log etc/apt etc/dpkg etc/alternatives \
    etc/cron.daily etc/logrotate.d usr/share/doc-base usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug \
    usr/share/perl5 usr/share/polkit-1 usr/lib/dpkg usr/share/dpkg usr/share/python3 usr/share/pixmaps \
    usr/share/applications usr/share/binfmts usr/share/bash-completion usr/share/gcc usr/share/gdb \
    usr/lib/"$lib"/gconv usr/lib/"$lib"/perl-base usr/lib/"$lib"/krb5 \
    usr/lib/python3/dist-packages/pkg_resources "$python"/lib2to3
rm -f etc/hostname etc/resolv.conf etc/fstab usr/bin/dpkg* usr/sbin/dpkg* usr/bin/update-alternatives usr/bin/tar usr/sbin/tarcat usr/sbin/start-stop-daemon \
    usr/bin/py3* usr/bin/pydoc* usr/bin/pygettext* usr/bin/pdb3* usr/bin/f2py* usr/bin/dh_*
find usr/lib/python3 "$python" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
# What the maintainer scripts of these packages would have linked.
ln -sf blas/libblas.so.3 usr/lib/"$lib"/libblas.so.3
ln -sf lapack/liblapack.so.3 usr/lib/"$lib"/liblapack.so.3
mkdir -p in out tmp proc sys dev var/tmp
chmod 1777 tmp var/tmp
printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' >etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group
# The root is read-only at run time, so byte code is made now. Hash-based files
# hold no time, and one process in a fixed order gives the same bytes again.
find usr/lib/python3 "$python" -name __pycache__ -prune -exec rm -rf {} +
chroot . /usr/bin/python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /usr/lib/python3 "/$python"
chroot . /usr/bin/python3 -c 'import numpy; numpy.linalg.inv(numpy.eye(2)); print("build-image: numpy", numpy.__version__)' >&2
)

tar -C "$work/root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime --numeric-owner --format=gnu \
    --exclude='./dev/*' -cf "$work/root.tar" .
mb=$(($(stat -c %s "$work/root.tar") / 1000000))
[ "$mb" -lt "$limit_mb" ] || fail "the image has $mb MB, it must stay under $limit_mb MB"

rm -f "$out.key"
(cd "$here/.." && CGO_ENABLED=0 go build -o "$work/ocilayout" ./scripts/ocilayout)
made=$("$work/ocilayout" -tar "$work/root.tar" -out "$out" -arch "$arch" -epoch "$SOURCE_DATE_EPOCH" \
    -env PATH=/usr/local/bin:/usr/bin:/bin -env LANG=C.UTF-8 -env HOME=/tmp -env PYTHONDONTWRITEBYTECODE=1 \
    -label org.opencontainers.image.title=nexara-digits -cmd python3)
echo "$key" >"$out.key"
echo "build-image: $out ${made% *}, $mb MB unpacked, ${made#*compressed=} bytes packed"

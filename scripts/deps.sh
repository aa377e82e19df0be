#!/usr/bin/env bash
# Installs what containers and the demo image need: as root by apt, else says exactly what to install.
set -euo pipefail
need=()
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
have containerd || need+=(containerd)
have runc || need+=(runc)
have crun || need+=(crun) # makes containers for less of the CPU where it works; runc does else
have mmdebstrap || need+=(mmdebstrap)
have mkfs.ext4 || need+=(e2fsprogs)
have losetup || need+=(mount)
have ip || need+=(iproute2)
# What only CI needs: npm for the generation check, the oracles of the clearing's tests.
if [ "${1:-}" = ci ]; then
  have npm || need+=(npm)
  have dimacs-solver || need+=(liblemon-utils)
  have gcc || need+=(gcc libc6-dev)
fi
[ ${#need[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "these Debian packages are missing; install them and run this again:" >&2
  echo "  sudo apt-get install --no-install-recommends ${need[*]}" >&2
  echo "or run without containers: make demo DRIVER=wasm" >&2
  exit 1
fi
echo "installing: ${need[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# containerd is run by the demo itself, on its own folder: no system service is needed.
apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null

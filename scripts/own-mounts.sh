#!/usr/bin/env bash
# own-mounts.sh COMMAND...: runs it with mounts of its own where that lets crun make containers, else as it is. On a host
# with control groups of version 1, crun refuses to run beside a version 2 hierarchy that has kept controllers of its
# own; the command does not see that hierarchy. Whatever it mounts goes with its last process.
set -euo pipefail
unified=/sys/fs/cgroup/unified
if [ "$(id -u)" -ne 0 ] || [ -z "$(cat $unified/cgroup.controllers 2>/dev/null)" ] ||
  ! command -v crun >/dev/null || ! unshare --mount true 2>/dev/null; then
  exec "$@"
fi
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount --propagation private bash -c 'mount -t tmpfs -o size=1m,mode=755 tmpfs "$0" && exec "$@"' "$unified" "$@"

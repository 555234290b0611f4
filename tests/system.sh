#!/usr/bin/env bash
# Installs the system packages of the tests' own Kubernetes and browser where that is possible:
# Debian, root.
# On other systems, it does nothing: the tests that are skipped give the reason.
set -euo pipefail
command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || exit 0
wanted="chromium"
[ -n "${PODTASK_TEST_KUBECONFIG:-}" ] || wanted="$wanted containerd runc containernetworking-plugins iproute2 iptables openssl debootstrap gcc libc6-dev"
missing=""
for package in $wanted; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "installing$missing ..." >&2
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 ||
  { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"

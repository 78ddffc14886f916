#!/bin/sh
# Install what requirements/debian.txt lists and this machine lacks. Tests that need a missing program say so.
set -eu
missing=$(grep -v '^#' "$(dirname "$0")/debian.txt" | while read -r command package; do
	PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$command" >/dev/null 2>&1 || echo "$package"
done)
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	echo "not installed, so their tests are skipped:" $missing "(as root on Debian: make servers)" >&2
	exit 0
fi
echo "installing" $missing
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null

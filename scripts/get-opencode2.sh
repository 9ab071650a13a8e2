#!/usr/bin/env bash
# Prints the path of a real OpenCode 2, and gets one where there is none. Official builds of 2.x could not be had; this is a build of
# 2.0.14 that others made, for linux-x64 with glibc. It is kept in the user's cache, outside of this project, and is no dependency of
# it. `OPENCODE2_BIN` names another binary. Exits with 1 and the reason on stderr where none can be had.
set -euo pipefail

package='shuvcode-linux-x64-baseline'
version='2.0.14-shuv.1'
integrity='sha512-YVv74S1eiUZKCi97/m8wovJxRiJ6WHNs6i8ZRXsHHgDmEFchPusqZ0WBawtGweqxihfH4Vbg+Lt6vDr9ZgY0dA=='
binary_sha256='ddab9d16b9df55b7203a37caedbd0d04d9a9798942551d7b53abe377f3b03c46'

fail() {
  echo "OpenCode 2 cannot be had here: $1." >&2
  exit 1
}

if [[ -n ${OPENCODE2_BIN:-} ]]; then
  echo "$OPENCODE2_BIN"
  exit 0
fi
[[ "$(uname -sm)" == 'Linux x86_64' ]] || fail 'the build is for linux-x64'
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/jarvis-opencode"
folder="$cache/$package-$version"
if [[ ! -x "$folder/bin/shuvcode" ]]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf -- "$work"' EXIT
  npm pack --silent --pack-destination "$work" "$package@$version" >/dev/null || fail 'no registry has it'
  tarball=$(echo "$work"/*.tgz)
  [[ "sha512-$(openssl dgst -sha512 -binary "$tarball" | base64 -w 0)" == "$integrity" ]] || fail 'its tarball is another one'
  tar -xzf "$tarball" -C "$work"
  echo "$binary_sha256  $work/package/bin/shuvcode" | sha256sum --check --status || fail 'its binary is another one'
  chmod +x "$work/package/bin/shuvcode"
  rm -rf -- "$folder"
  mv -- "$work/package" "$folder"
fi
echo "$folder/bin/shuvcode"

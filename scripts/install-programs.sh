#!/usr/bin/env bash
# Installs the programs that some suites need, from the packages of Debian, where they are missing and can be had: Chromium for
# test/browser, bubblewrap and an ssh server for test/e2e. Always exits 0: the tests of what is missing say so and are skipped.
set -u
missing=()
command -v chromium >/dev/null || [[ -n ${CHROMIUM:-} ]] || missing+=(chromium)
command -v bwrap >/dev/null || missing+=(bubblewrap)
[[ -x /usr/sbin/sshd ]] || missing+=(openssh-server)
if [[ ${#missing[@]} -eq 0 ]]; then
  echo 'Everything is there.'
elif [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Not installed, because that needs root and apt-get: ${missing[*]}. Their tests are skipped."
else
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "Installed: ${missing[*]}."
  else
    echo "Could not be installed: ${missing[*]}. Their tests are skipped."
  fi
fi

#!/usr/bin/env bash
# Installs Chromium for the browser suite from the packages of Debian, where it is missing and can be had.
# Always exits 0: without it the suite says so and skips its tests.
set -u
if command -v chromium >/dev/null || [[ -n ${CHROMIUM:-} ]]; then
  echo 'Chromium is here.'
elif [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo 'Chromium is not installed: that needs root and apt-get. The browser suite is skipped.'
else
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; then
    echo 'Chromium is installed.'
  else
    echo 'Chromium could not be installed. The browser suite is skipped.'
  fi
fi

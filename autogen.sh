#!/bin/sh
# Makes configure and the Makefile.in from the sources of the build; run once after a clone.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --warnings=all,no-obsolete

#!/bin/sh
# -P: one line for each file system; -k: units of 1024 bytes.
exec df -Pk

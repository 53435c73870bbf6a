#!/bin/sh
if [ "$ARG_ZONE" != UTC ] && [ ! -e "/usr/share/zoneinfo/$ARG_ZONE" ]; then
    echo "there is no time zone $ARG_ZONE on this machine" >&2
    exit 1
fi
TZ="$ARG_ZONE"
export TZ
exec date '+%Y-%m-%d %H:%M:%S %Z'

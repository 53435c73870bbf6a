#!/bin/sh
# Counts the words or the lines of the argument `text`.
case "${ARG_UNIT:-words}" in
    lines) option=-l ;;
    *) option=-w ;;
esac
printf '%s\n' "$ARG_TEXT" | wc "$option" | tr -d ' '

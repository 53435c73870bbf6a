#!/bin/sh
# Counts the words, lines or characters of the argument `text`.
case "${ARG_UNIT:-words}" in
    lines) option=-l ;;
    characters) option=-m ;;
    *) option=-w ;;
esac
printf '%s\n' "$ARG_TEXT" | wc "$option" | tr -d ' '

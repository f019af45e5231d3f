#!/usr/bin/env bash
# Exit status 0 if GET /ready on 127.0.0.1:PORT answers 200: the guard has just judged something.
#   healthcheck.sh [PORT]        bash alone, so that the image needs no client
exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/${1:-8080}" || exit 1
printf 'GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3 && [[ $status == 200 ]] || exit 1

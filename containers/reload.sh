#!/bin/sh
#
# Reloads nginx when a secret changes: orchestrators replace the files of a mounted
# secret, and nginx reads them only when it reads its configuration.
#
#     JELOU_SECRETS          the files (/run/secrets/jelou.secrets)
#     JELOU_RELOAD_INTERVAL  seconds between two looks (10)
#
# The entrypoint of the official image calls it before nginx.

files=${JELOU_SECRETS:-/run/secrets/jelou.secrets}
interval=${JELOU_RELOAD_INTERVAL:-10}

# shellcheck disable=SC2086
state() { cat $files 2>/dev/null | cksum; }

(
    seen=$(state)

    while sleep "$interval"; do
        now=$(state)
        [ "$now" != "$seen" ] || continue

        if nginx -t -q && nginx -s reload; then
            echo "reload.sh: a secret has changed, nginx is reloaded"
            seen=$now
        else
            echo "reload.sh: a secret has changed, and nginx refuses it"
        fi
    done
) >&2 &

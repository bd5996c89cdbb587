#!/bin/sh
# Starts Fluentd, and at SIGTERM lets it finish first if INFERLOG_FLUENTD_DRAIN_SECONDS is above 0: see drain.rb.
set -eu

# Ruby rejects a temporary directory that all may write to without a sticky bit, such as an emptyDir of Kubernetes.
TMPDIR="${TMPDIR:-/tmp}/fluentd"
mkdir -p "$TMPDIR"
chmod 0700 "$TMPDIR"
export TMPDIR

case "${INFERLOG_FLUENTD_DRAIN_SECONDS:=0}" in
*[!0-9]*)
    echo "INFERLOG_FLUENTD_DRAIN_SECONDS is '$INFERLOG_FLUENTD_DRAIN_SECONDS'; expected a whole number of seconds, such as 200" >&2
    exit 2
    ;;
esac
if [ "$INFERLOG_FLUENTD_DRAIN_SECONDS" = 0 ]; then
    exec /bin/entrypoint.sh "$@"
fi

/bin/entrypoint.sh "$@" &
fluentd=$!

# shellcheck disable=SC2329  # called by the trap
stop() {
    trap '' TERM INT
    ruby --disable-gems /fluentd/drain.rb "$fluentd" || true
    kill -TERM "$fluentd" 2>/dev/null || true
}
trap stop TERM INT

code=0
# A signal ends `wait` before Fluentd has ended.
while kill -0 "$fluentd" 2>/dev/null; do
    code=0
    wait "$fluentd" || code=$?
done
exit "$code"

# shellcheck shell=bash
# shellcheck disable=SC2034  # its names are for the scripts that source it
# What deploy/up and deploy/down share: where the stack of this checkout is, its lock, Docker.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SERVERS=(postgres kafka opensearch)

# stack_options ARGUMENT…: STACK_DIR, and in REST what is not about it.
stack_options() {
    local dir="${STACK_DIR:-$LOCAL/../../.stack}"
    REST=()
    while (($#)); do
        if [[ "$1" == --dir && $# -ge 2 ]]; then
            dir="$2"
            shift
        else
            REST+=("$1")
        fi
        shift
    done
    STACK_DIR="$(realpath -m "$dir")"
}

# One up or down of a folder at a time.
stack_locked() {
    exec {lock}>"$STACK_DIR/lock"
    flock -n "$lock" && return
    say "waiting for another deploy/up or deploy/down of $STACK_DIR"
    flock -w 1800 "$lock" || die "it has not ended for half an hour"
}

# KIND: how the stack of this folder runs (native, compose), empty when there is none.
stack_kind() {
    KIND=""
    [[ ! -d "$STACK_DIR/postgres" ]] || KIND=native
    [[ ! -e "$STACK_DIR/compose.env" ]] || KIND=compose
}

compose() {
    local command=(docker compose)
    docker compose version >/dev/null 2>&1 || command=(docker-compose)
    command -v "${command[0]}" >/dev/null || die "STACK=compose needs Docker with its compose plugin, or docker-compose"
    "${command[@]}" --file "$LOCAL/../compose.yaml" --env-file "$STACK_DIR/compose.env" \
        --project-name "flusso-$(printf '%s' "$STACK_DIR" | sha256sum | cut -c1-8)" "$@"
}

# Until every container is healthy by its own check.
compose_wait() {
    local deadline=$((SECONDS + 300)) container unhealthy
    while :; do
        unhealthy=()
        for container in $(compose ps -q); do
            [[ "$(docker inspect -f '{{.State.Health.Status}}' "$container")" == healthy ]] || unhealthy+=("$container")
        done
        ((${#unhealthy[@]})) || return 0
        ((SECONDS < deadline)) || { compose logs --tail 25 >&2; die "not healthy after 5 minutes, see above"; }
        sleep 2
    done
}

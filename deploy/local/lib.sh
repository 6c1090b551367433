# shellcheck shell=bash
# shellcheck disable=SC2034  # its names are for the scripts that source it
# What the scripts of this folder share: messages, installing, free ports, and the life of one
# server process. A server script (postgres, kafka, opensearch) sets the few names listed at
# `server_main` and hands over to it, so that all servers start, stop and fail in the same way.

set -euo pipefail

umask 022
LOCAL="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/flusso-stack"

# --- messages: words for people go to standard error, KEY=VALUE lines to standard output ---

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# try COMMAND…: again after a pause when it fails, because downloads do; three times at most.
try() {
    local n
    for n in 1 2 3; do
        "$@" && return
        ((n == 3)) || { say "'$1 ${2-}' failed, trying again in $((n * 5)) s"; sleep $((n * 5)); }
    done
    return 1
}

# --- installing ---

# may_install: whether we may install packages; sets ROOT to what becomes root.
may_install() {
    ROOT=()
    command -v apt-get >/dev/null || return 1
    ((EUID == 0)) || { sudo -n true 2>/dev/null && ROOT=(sudo -n); }
}

# install_packages PACKAGE…: Debian packages that are not there yet. Without the right to
# install, prints the command to run and gives up.
install_packages() {
    local missing=() package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    may_install || die "needs packages that this user may not install. As root: apt-get install --no-install-recommends ${missing[*]}"
    say "installing the packages ${missing[*]}"
    try apt_install "${missing[@]}" || die "could not install ${missing[*]}"
}

# Tells apt to wait for another apt and never to ask, and shows its words only when it fails. The
# lists are refreshed only when the first attempt fails: mostly they are good enough, and
# refreshing takes a while.
apt_install() {
    local said apt=("${ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
    said="$("${apt[@]}" install --no-install-recommends "$@" 2>&1)" && return
    say "refreshing the package lists"
    said="$("${apt[@]}" update 2>&1 && "${apt[@]}" install --no-install-recommends "$@" 2>&1)" && return
    printf '%s\n' "$said" >&2
    [[ "$said" != *"Unable to locate package"* ]] || die "this system does not carry all of: $*"
    return 1
}

# cached BASE NAME FILL…: prints the folder NAME of the cache BASE; when it is not there, runs
# `FILL… DIR` to fill it. It appears whole or not at all, and two at once take turns.
cached() {
    local base="$1" name="$2" lock
    shift 2
    if [[ ! -d "$base/$name" ]]; then
        mkdir -p "$base"
        exec {lock}>"$base/lock"
        flock "$lock"
        if [[ ! -d "$base/$name" ]]; then
            rm -rf "$base/$name.part"
            mkdir "$base/$name.part"
            try "$@" "$base/$name.part" >&2 || die "could not fetch $name (network?)"
            mv "$base/$name.part" "$base/$name"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$base/$name"
}

# cache_key NAME FILE…: NAME with a digest of the files that decide what the folder holds.
cache_key() {
    local name="$1"
    shift
    printf '%s-%s\n' "$name" "$(cat "$@" | sha256sum | cut -c1-8)"
}

# fill_maven POM DIR: the jars that POM names, with all they need.
fill_maven() {
    local said
    say "fetching the jars of $(basename "$1")"
    said="$(mvn -q -B -f "$1" dependency:copy-dependencies -DoutputDirectory="$2" 2>&1)" || { printf '%s\n' "$said"; return 1; }
}

# fill_pip REQUIREMENT DIR: one package of PyPI. A plain folder and not a virtual environment,
# because it is moved after it was filled and only carries files that we run.
fill_pip() {
    say "fetching $1"
    python3 -m pip install -q --no-deps --disable-pip-version-check --root-user-action=ignore --target "$2" "$1"
}

# find_java TOOL VERSION: the `bin/TOOL` of a Java of at least that version: of $JAVA_HOME, then of
# the PATH, then the oldest that fits below /usr/lib/jvm. Fails when there is none.
find_java() {
    local tool="$1" home homes version
    mapfile -t homes < <(
        [[ -z "${JAVA_HOME:-}" ]] || printf '%s\n' "$JAVA_HOME"
        home="$(command -v "$tool")" && dirname "$(dirname "$(readlink -f "$home")")"
        find /usr/lib/jvm -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -V
    )
    for home in "${homes[@]}"; do
        [[ -x "$home/bin/$tool" && -r "$home/release" ]] || continue
        version="$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")"
        if ((${version:-0} >= $2)); then
            printf '%s\n' "$home/bin/$tool"
            return
        fi
    done
    return 1
}

# install_missing NEED…: the packages for what is not there: `TOOL:VERSION` of a Java, mvn, pip or
# openssl. All at once, so that a person who must install them learns of all.
install_missing() {
    local need packages=()
    for need in "$@"; do
        case "$need" in
        java:*) find_java java "${need#*:}" >/dev/null || packages+=(default-jre-headless) ;;
        javac:*) find_java javac "${need#*:}" >/dev/null || packages+=(default-jdk-headless) ;;
        mvn) command -v mvn >/dev/null || packages+=(maven) ;;
        pip) python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip) ;;
        *) command -v "$need" >/dev/null || packages+=("$need") ;;
        esac
    done
    install_packages "${packages[@]}"
}

# --- ports ---

port_is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A free port, by chance between 20000 and 29999: below the range from which the kernel takes
# ports for clients. Somebody may still be faster; `server_start` then draws again.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
        port_is_open "$port" || { printf '%s\n' "$port"; return; }
    done
}

# --- the life of one server ---

# Whether the recorded process runs and is still ours: pids are used again, so one argument of
# its command line must be the MARKER, a path inside DIR.
server_pid() {
    local pid argument
    pid="$(cat "$DIR/pid" 2>/dev/null)" && [[ -r "/proc/$pid/cmdline" ]] || return 1
    while IFS= read -r -d '' argument; do
        [[ "$argument" != "$MARKER" ]] || { printf '%s\n' "$pid"; return; }
    done 2>/dev/null <"/proc/$pid/cmdline"
    return 1
}

# Runs COMMAND in a session of its own, so that it outlives this script and no Ctrl-C reaches it.
# It records its pid by itself before it becomes the server: an interrupted start never leaves a
# server that nobody knows. All files that our callers hold open (locks, pipes) are closed in it.
server_launch() {
    rm -f "$DIR/pid"
    (
        cd "$DIR"
        # shellcheck disable=SC2016  # expanded by the inner shell
        exec setsid bash -c '
            for fd in /proc/self/fd/*; do fd="${fd##*/}"; if ((fd > 2)); then eval "exec $fd>&-"; fi; done
            echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"
        ' "$DIR/pid" "${COMMAND[@]}" </dev/null >>"$DIR/log" 2>&1
    ) &
    local child=$!
    until [[ -s "$DIR/pid" ]] || ! kill -0 "$child" 2>/dev/null; do sleep 0.02; done
}

# What the log says since this start.
log_since() { tail -c "+$((LOG_START + 1))" "$DIR/log" 2>/dev/null; }
log_says() { log_since | grep -iE -e "$1" >/dev/null; }

# Waits until the server answers. Fails when it died or the deadline passed.
server_wait() {
    local deadline=$((SECONDS + START_SECONDS))
    until server_ready; do
        server_pid >/dev/null || return 1
        if ((SECONDS >= deadline)); then
            say "not ready after $START_SECONDS s"
            return 1
        fi
        sleep 0.2
    done
    server_pid >/dev/null
}

# Ports are drawn until the server could have them once, and kept from then on (file `kept`).
server_start() {
    local began port
    began="$(date +%s%N)"
    read_state
    if server_pid >/dev/null; then
        # Left alone when it does not answer: a test may have paused it.
        server_wait || die "runs (pid $(server_pid)) but does not answer, see $DIR/log"
        ((${#SETTINGS[@]} == 0)) || say "new settings hold from the next start on"
        server_started "already running"
        return
    fi
    for _ in {1..20}; do
        if [[ -e "$DIR/kept" ]]; then
            for port in "${PORTS[@]}"; do
                ! port_is_open "$port" || die "port $port, which $DIR keeps, is taken by another process; stop that one, or remove this server with: $0 wipe $DIR"
            done
        else
            PORTS=()
            for ((port = 0; port < PORT_COUNT; port++)); do PORTS+=("$(free_port)"); done
            printf '%s\n' "${PORTS[@]}" >"$DIR/ports"
        fi
        server_configure
        LOG_START="$(stat -c %s "$DIR/log" 2>/dev/null || echo 0)"
        echo "$LOG_START" >"$DIR/log_start"
        server_launch
        if server_wait; then
            server_started "ready after $((($(date +%s%N) - began) / 1000000)) ms"
            return
        fi
        ! server_pid >/dev/null || break
        if [[ ! -e "$DIR/kept" ]] && log_says 'address (already )?in use|failed to bind'; then
            say "somebody was faster at port ${PORTS[*]}, drawing others"
        elif [[ "$RETRY_PATTERN" ]] && log_says "$RETRY_PATTERN"; then
            sleep 0.5
        else
            break
        fi
    done
    server_failed
}

read_state() {
    mapfile -t PORTS < <(cat "$DIR/ports" 2>/dev/null)
    LOG_START="$(cat "$DIR/log_start" 2>/dev/null || echo 0)"
}

server_started() {
    touch "$DIR/kept"
    say "$1 (pid $(server_pid), port ${PORTS[0]}, log $DIR/log)"
    server_print
}

server_failed() {
    say "did not start; the end of $DIR/log:"
    log_since | tail -n 25 | sed 's/^/    /' >&2
    ! server_pid >/dev/null || server_stop KILL
    exit 1
}

# server_stop SIGNAL: and waits for the end; a server deaf to an orderly signal is killed.
server_stop() {
    local pid deadline=$((SECONDS + STOP_SECONDS))
    pid="$(server_pid)" || { say "not running"; return 0; }
    kill -s "$1" "$pid" 2>/dev/null || true
    while server_pid >/dev/null; do
        if ((SECONDS >= deadline)); then
            say "still there after $STOP_SECONDS s, killing pid $pid"
            kill -KILL "$pid" 2>/dev/null || true
            deadline=$((SECONDS + STOP_SECONDS))
        fi
        sleep 0.1
    done
    rm -f "$DIR/pid"
    say "stopped (pid $pid)"
}

usage() {
    die "usage: $0 install | start DIR $OPTIONS_USAGE | stop DIR | kill DIR | status DIR | wipe DIR"
}

# server_main ARGUMENT…: the sub-commands. The script that calls it has set
#   PORT_COUNT      how many ports it needs
#   STOP_SIGNAL     for an orderly stop         START_SECONDS, STOP_SECONDS  patience
#   OPTIONS_USAGE   of `start`                  RETRY_PATTERN  log text of a failure that passes
# and the functions
#   server_options ARGUMENT…   reads the options of `start` into SETTINGS (key=value)
#   server_locate              MARKER, from DIR
#   server_install             makes sure that everything is there, for DIR if that is set
#   server_configure           files and COMMAND, from DIR, PORTS and the file DIR/settings
#   server_ready               whether it answers
#   server_print               the KEY=VALUE lines
#   server_wipe                data kept outside DIR, if any
server_main() {
    local action="${1:-}" lock
    (($#)) || usage
    shift
    if [[ "$action" == install ]]; then
        server_install
        return
    fi
    (($#)) || usage
    DIR="$(realpath -m "$1")"
    shift
    SETTINGS=()
    [[ "$action" == start ]] || (($# == 0)) || usage
    case "$action" in
    start)
        server_options "$@"
        mkdir -p "$DIR"
        server_locked
        server_locate
        server_install
        touch "$DIR/settings"
        ((${#SETTINGS[@]} == 0)) || remember_settings
        server_start
        ;;
    stop | kill | status | wipe)
        if [[ ! -d "$DIR" ]]; then
            say "not running"
            [[ "$action" != status ]] || exit 1
            return
        fi
        server_locate
        case "$action" in
        stop)
            server_locked
            server_stop "$STOP_SIGNAL"
            ;;
        kill) server_stop KILL ;;
        status)
            read_state
            server_pid >/dev/null || die "not running"
            server_ready || die "running (pid $(server_pid)) but not ready"
            server_print
            ;;
        wipe)
            server_locked
            ! server_pid >/dev/null || server_stop KILL
            server_wipe
            rm -rf "$DIR"
            ;;
        esac
        ;;
    *) usage ;;
    esac
}

# One start or stop of an instance at a time.
server_locked() {
    exec {lock}>"$DIR/lock"
    flock -w 600 "$lock" || die "another start or stop of $DIR has not ended for 10 minutes"
}

# Settings given once hold for every later start; a new value replaces the old one.
remember_settings() {
    local setting
    for setting in "${SETTINGS[@]}"; do
        [[ "$setting" == ?*=* ]] || die "not a key=value setting: $setting"
        awk -v name="${setting%%=*}=" 'index($0, name) != 1' "$DIR/settings" >"$DIR/settings.new"
        printf '%s\n' "$setting" >>"$DIR/settings.new"
        mv "$DIR/settings.new" "$DIR/settings"
    done
}

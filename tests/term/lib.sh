# lib.sh - what the scripts of this folder share: a clean home, a run with its three results, checks.
# Sourced with . after `set -u`. $fake is the program with the scripted engine, $real the real one.
fake=$OXBOW_BUILD_DIR/tests/oxbow_fake
real=$OXBOW_BIN
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
export HOME="$tmp/home" TERM=xterm-256color LC_ALL=C.UTF-8 TZ=UTC COLUMNS=80 LINES=24
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME OXBOW_CONFIG OXBOW_MODEL OXBOW_DB \
    OXBOW_CACHE_DIR OPENAI_BASE_URL OPENAI_API_KEY NO_COLOR ACCESSIBLE VISUAL EDITOR PAGER OXBOW_CPU
mkdir -p "$HOME"
n_failed=0
n_run=0

fail() { # what
    n_failed=$((n_failed + 1))
    printf 'not ok: %s\n' "$1"
    printf '  status %s\n  stdout: %s\n  stderr: %s\n' "${rc-}" "$(head -c 600 "$tmp/out")" "$(head -c 600 "$tmp/err")"
}

run() { # command.. : $rc, $tmp/out, $tmp/err; stdin is the caller's
    "$@" >"$tmp/out" 2>"$tmp/err"
    rc=$?
    n_run=$((n_run + 1))
}

is_rc() { [ "$rc" = "$1" ] || fail "$2: exit status $1 was expected"; }
out_is() { printf "$1" | cmp -s - "$tmp/out" || fail "$2: stdout should be $1"; }
out_has() { grep -qF -e "$1" "$tmp/out" || fail "$2: stdout lacks $1"; }
err_has() { grep -qF -e "$1" "$tmp/err" || fail "$2: stderr lacks $1"; }
err_lacks() { grep -qF -e "$1" "$tmp/err" && fail "$2: stderr has $1"; :; }

done_testing() {
    [ "$n_failed" = 0 ] && echo "ok: $n_run runs" && exit 0
    echo "$n_failed failed of $n_run runs"
    exit 1
}

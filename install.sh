#!/bin/sh
# Fetches ddinstall, checks it, and runs it: the Datadog Agent with its FIPS proxy and Cloud Workload Security.
#
#   curl -fsSL https://…/install.sh | DD_API_KEY=… DD_SITE=ddog-gov.com DD_FIPS_MODE=1 sh
#
# All DD_* variables reach ddinstall. This script's own options come first, ddinstall's after "--":
#   sh install.sh [--version X] [--to DIR] [--require-signature] [--print] [-- COMMAND…]
#
#   --version X          this version of ddinstall, and no other
#   --to DIR             also puts the binary there, as DIR/ddinstall
#   --require-signature  runs nothing unless the release's signature was checked, too (gpgv, sqv or gpg)
#   --print              shows what would be fetched and run, and ends
#   COMMAND…             what ddinstall is to do: "install" unless something is said; "verify", "uninstall", …
#
# The binary is held against the sums below, which the release wrote into this script. What does not fit is not run.
# Exit codes are ddinstall's: 2 wrong usage, 3 not supported here, 4 a prerequisite is missing, 5 fetching or checking failed.
{ # Nothing happens before the brace at the end is read: a script that was cut off does nothing.
set -eu

# Written by the release.
version=''
base=''
sums=''
signing_key=''

say() { printf '%s\n' "install.sh: $*" >&2; }
# fail CODE SENTENCE HINT
fail() {
    say "$2"
    [ -z "${3-}" ] || printf '  %s\n' "$3" >&2
    exit "$1"
}
have() { command -v "$1" > /dev/null 2>&1; }

# The first folder that is ours alone and where programs may run: /tmp is often mounted noexec.
private_folder() {
    for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp /run "${HOME:-/root}"; do
        dir=$(mktemp -d "$parent/ddinstall.XXXXXXXX" 2> /dev/null) || continue
        printf '#!/bin/sh\n' > "$dir/probe" && chmod 0700 "$dir/probe" && "$dir/probe" 2> /dev/null && return 0
        rm -rf "$dir"
    done
    dir=
    fail 4 "there is no folder where a program may be put and run" "set TMPDIR to one on a file system that is not mounted noexec"
}

# fetch URL FILE: https alone, also after a redirect, with whatever is there. Sums make the rest safe.
fetch() {
    case $1 in
        file://*) cp -- "${1#file://}" "$2" 2> /dev/null; return ;;
    esac
    if have curl; then
        curl -fsSL --proto '=https' --tlsv1.2 --connect-timeout 20 --max-time 900 --retry 3 -o "$2" -- "$1"
    elif have wget; then
        wget -q -S -T 60 -O "$2" -- "$1" 2> "$dir/answer" || { grep -v '^ ' "$dir/answer" >&2; return 1; }
        if grep -qi '^ *location: *http:' "$dir/answer"; then return 1; fi
    elif [ -x /usr/lib/apt/apt-helper ]; then
        /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$1" "$2" > /dev/null
    else
        for python in python3 /usr/libexec/platform-python; do
            have "$python" || continue
            "$python" -c 'import shutil, sys, urllib.request as r
answer = r.urlopen(sys.argv[1], timeout=60)
if not answer.geturl().startswith("https:"): sys.exit("redirected to " + answer.geturl())
shutil.copyfileobj(answer, open(sys.argv[2], "wb"))' "$1" "$2"
            return
        done
        fail 4 "this host has nothing that fetches files over https" "install curl or wget, then run again"
    fi
}

sum_of() {
    if have sha256sum; then sha256sum < "$1"; elif have shasum; then shasum -a 256 < "$1"
    elif have openssl; then openssl dgst -sha256 -r < "$1"
    else fail 4 "this host has nothing that computes sha256" "install coreutils, then run again"; fi | cut -d ' ' -f 1
}

# signed SUMS: 0 the release's signature is right, 1 it is not, 2 this host has no verifier or the release no key.
signed() {
    [ -n "$signing_key" ] && have base64 || return 2
    printf '%s' "$signing_key" | base64 -d > "$dir/key.gpg"
    if have gpgv; then set -- gpgv --quiet --homedir "$dir" --keyring "$dir/key.gpg" "$1.asc" "$1"
    elif have sqv; then set -- sqv --keyring "$dir/key.gpg" "$1.asc" "$1"
    elif have gpg; then set -- gpg --batch --quiet --homedir "$dir" --no-default-keyring --keyring "$dir/key.gpg" --verify "$1.asc" "$1"
    else return 2; fi
    "$@" > "$dir/verifier" 2>&1 || { sed 's/^/  /' "$dir/verifier" >&2; return 1; }
}

# Puts the binary into the private folder, checked.
get() {
    fetch "$from/$name" "$dir/ddinstall" || fail 5 "cannot fetch $from/$name" "nothing was changed; check the address and the way to it (HTTPS_PROXY), then run again"
    if [ "$wanted" != "$version" ] || [ -n "$require" ] || have gpgv || have sqv || have gpg; then
        if fetch "$from/SHA256SUMS" "$dir/SHA256SUMS" && fetch "$from/SHA256SUMS.asc" "$dir/SHA256SUMS.asc"; then
            status=0 && signed "$dir/SHA256SUMS" || status=$?
        else
            status=3
        fi
        case $status in
            0) [ "$wanted" = "$version" ] || sums=$(cat "$dir/SHA256SUMS") ;;
            1) fail 5 "the signature of $from/SHA256SUMS is not the release's" "nothing was run; fetch this script again from where you had it" ;;
            *) [ -z "$require" ] || fail 5 "the release's signature could not be checked" "nothing was run; it takes gpgv, sqv or gpg on this host, and SHA256SUMS.asc at $from" ;;
        esac
        [ "$wanted" = "$version" ] || [ "$status" = 0 ] || fail 5 "this script holds the sums of ddinstall $version, and those of $wanted could not be checked" "take the install.sh of that version: $base/$wanted/install.sh"
    fi
    expected=$(printf '%s\n' "$sums" | sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p")
    found=$(sum_of "$dir/ddinstall")
    if [ -z "$expected" ] || [ "$found" != "$expected" ]; then
        fail 5 "$from/$name is not what was released: sha256 $found, expected ${expected:-none}" "nothing was run; fetch this script again, and tell the mirror's owner if it stays so"
    fi
    chmod 0700 "$dir/ddinstall"
}

# The variables that ddinstall reads, as lines that a shell takes in again. They go over standard input: in arguments
# every user could read the key, and sudo drops the environment.
variables() {
    for variable in $(env | sed -n -E 's/^((DD|TESTING)_[A-Z0-9_]+|REPO_URL|[A-Za-z]+_(proxy|PROXY))=.*/\1/p'); do
        eval "value=\${$variable-}"
        [ -z "$value" ] || printf "export %s='%s'\n" "$variable" "$(printf '%s' "$value" | sed "s/'/'\\\\''/g")"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
        return
    fi
    if have sudo; then sudo=sudo
    elif have doas; then sudo=doas
    else fail 4 "this needs root, and there is neither sudo nor doas" "run it as root"; fi
    "$sudo" true || fail 4 "this needs root, and $sudo refused" "run it as root, or as a user whom $sudo lets"
    # shellcheck disable=SC2016 # root's shell expands it
    variables | "$sudo" sh -c 'eval "$(cat)"; exec "$@"' sh "$@"
}

main() {
    umask 077
    wanted=$version to='' require='' print=''
    while [ $# -gt 0 ]; do
        case $1 in
            --version) wanted=${2-} && shift ;;
            --to) to=${2-} && shift ;;
            --require-signature) require=1 ;;
            --print) print=1 ;;
            -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" 2> /dev/null || true; exit 0 ;;
            --) shift && break ;;
            *) fail 2 "unknown option $1" "this script's options are --version, --to, --require-signature and --print; those of ddinstall stand after --" ;;
        esac
        [ $# -gt 0 ] || fail 2 "the last option wants a value"
        shift
    done
    [ $# -gt 0 ] || set -- install

    [ "$(uname -s)" = Linux ] || fail 3 "this is $(uname -s); ddinstall is for Linux"
    case $(uname -m) in
        x86_64 | amd64) arch=x86_64 ;;
        aarch64 | arm64) arch=aarch64 ;;
        *) fail 3 "this is $(uname -m); ddinstall is for x86_64 and aarch64" ;;
    esac
    name=ddinstall-$arch base=${DDINSTALL_BASE_URL:-$base}
    from=$base/$wanted
    case $base in https://* | file:///* | '') ;; *) fail 2 "DDINSTALL_BASE_URL must begin with https:// or file:///, and is $base" ;; esac
    # A checkout's own build; never one that happens to stand where the script is piped into a shell.
    local=
    case $version:$0 in :*install.sh) local=$(dirname -- "$0")/target/$arch-unknown-linux-musl/release/ddinstall ;; esac
    [ -n "$version$local" ] || fail 2 "this install.sh is of no release, and not read from a checkout" "take the one of a release"
    if [ -n "$print" ]; then
        printf '%s\n' "${local:-$from/$name}" "ddinstall $*"
        exit 0
    fi

    dir=
    trap '[ -z "$dir" ] || rm -rf "$dir"' EXIT
    trap 'exit 10' HUP INT TERM
    private_folder
    if [ -n "$local" ]; then
        [ -x "$local" ] || fail 2 "there is no $local" "cargo build --release makes it"
        cp -- "$local" "$dir/ddinstall"
    else
        [ -n "$base" ] || fail 2 "DDINSTALL_BASE_URL is empty"
        get
    fi
    [ -z "$to" ] || as_root install -m 0755 -- "$dir/ddinstall" "$to/ddinstall"
    status=0
    case $1 in
        plan | settings | support | completions | help | -*) "$dir/ddinstall" "$@" || status=$? ;;
        *) as_root "$dir/ddinstall" "$@" || status=$? ;;
    esac
    exit "$status"
}

main "$@"; }

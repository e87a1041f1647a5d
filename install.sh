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
#   --require-signature  runs nothing unless the release's signature was checked, too (by gpgv, sqv or gpg)
#   --print              shows what would be fetched and run, and ends
#   COMMAND…             what ddinstall is to do: "install" unless something is said; "verify", "uninstall", …
#
# DDINSTALL_BASE_URL names a mirror of the releases: https://… or, without a network, file:///…. A proxy is taken from
# https_proxy, a mirror's password from ~/.netrc. The binary is held against the sums below, which the release wrote into
# this script: what does not fit is not run. Root's rights are asked for only if the command needs them.
# Exit codes are ddinstall's: 2 wrong usage, 3 not supported here, 4 a prerequisite is missing, 5 fetching or checking failed.
{ # Nothing happens before the brace at the end is read: a script that was cut off does nothing.
set -eu

# Written by the release.
version=''
base=''
sums=''
signing_key=''

say() { printf '%s\n' "install.sh: $*" >&2 || true; }
# fail CODE SENTENCE HINT
fail() {
    say "$2"
    [ -z "${3-}" ] || printf '  %s\n' "$3" >&2 || true
    exit "$1"
}
have() { command -v "$1" > /dev/null 2>&1; }

# Whether a folder is root's or ours, and nobody else can rename what we make in it.
trusted() {
    # shellcheck disable=SC2012,SC2046 # there may be no stat; the fields are wanted
    set -- $(LC_ALL=C ls -ldn -- "$1/." 2> /dev/null)
    case ${3-} in 0 | "$(id -u)") ;; *) return 1 ;; esac
    case $1 in d????????[tT]* | d????-??-*) ;; *) return 1 ;; esac
}

# The first folder that is ours alone and where programs may run: /tmp is often mounted noexec.
private_folder() {
    for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp /run "${HOME:-/root}"; do
        trusted "$parent" || continue
        dir=$(mktemp -d "$parent/ddinstall.XXXXXXXX" 2> /dev/null) || continue
        printf '#!/bin/sh\n' > "$dir/probe" && chmod 0700 "$dir/probe" && "$dir/probe" 2> /dev/null && return 0
        rm -rf "$dir"
    done
    dir=
    fail 4 "there is no folder where a program may be put and run" "set TMPDIR to one of yours or root's that is not mounted noexec; where a policy such as fapolicyd decides, install the package of ddinstall"
}

# fetch URL FILE: over https alone, also after a redirect, with what is there, and no endless file. Sums make the rest safe.
fetch() (
    case $1 in file:*) cp -- "${1#file://}" "$2"; return ;; esac
    ulimit -f 65536 2> /dev/null || true
    if have curl; then
        curl -fsSL --netrc-optional --proto '=https' --tlsv1.2 --connect-timeout 20 --max-time 900 --retry 3 -o "$2" -- "$1"
    elif have wget; then
        wget -q -S -t 3 -O "$2" -- "$1" 2> "$dir/answer" || { grep -v '^ ' "$dir/answer" >&2; return 1; }
        if grep -qi '^ *location: *http:' "$dir/answer"; then say "it is redirected to plain http" && return 1; fi
    elif [ -x /usr/lib/apt/apt-helper ]; then
        /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$1" "$2" > /dev/null
    elif python=$(command -v python3 || command -v /usr/libexec/platform-python) && "$python" -I -c 'import ssl, urllib.request' 2> /dev/null; then
        "$python" -I -c 'import shutil, sys, urllib.request as r
try: answer = r.urlopen(sys.argv[1], timeout=60)
except OSError as error: sys.exit(str(error))
if not answer.geturl().startswith("https:"): sys.exit("it is redirected to plain http")
shutil.copyfileobj(answer, open(sys.argv[2], "wb"))' "$1" "$2"
    elif have openssl && [ -z "${https_proxy-}" ]; then
        by_openssl "${1#https://}" "$2"
    else
        say "nothing here fetches files over https: neither curl, wget, apt, python3 nor, without a proxy, openssl" && return 1
    fi
)

# by_openssl HOST/PATH FILE: it knows TLS, and we know enough of HTTP; no redirects.
by_openssl() {
    host=${1%%/*} cr=$(printf '\r')
    case $host in *:*) at=$host ;; *) at=$host:443 ;; esac
    printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${1#*/}" "$host" |
        openssl s_client -quiet -connect "$at" -servername "${at%:*}" -verify_return_error -verify_hostname "${at%:*}" \
            > "$dir/answer" 2> "$dir/tls" || grep -i error "$dir/tls" >&2 || true
    sed "/^$cr\$/q" "$dir/answer" > "$dir/head"
    case $(head -n 1 "$dir/head") in
        HTTP/1.?' 200'*) tail -c "+$(($(wc -c < "$dir/head") + 1))" "$dir/answer" > "$2" ;;
        *) say "the answer is $(head -n 1 "$dir/head" | tr -cd ' -~')" && return 1 ;;
    esac
}

sum_of() { if have sha256sum; then sha256sum < "$1"; else openssl dgst -sha256 -r < "$1"; fi | cut -d ' ' -f 1; }
# The binary's sum in a list that is read from standard input.
listed() { sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p"; }

# signed FILE: whether FILE.asc is the release's signature of it. Output of the verifier is for a failure.
signed() {
    printf '%s' "$signing_key" | base64 -d > "$dir/key.gpg"
    case $verifier in
        gpgv) set -- --quiet --homedir "$dir" --keyring "$dir/key.gpg" "$1.asc" "$1" ;;
        sqv) set -- --keyring "$dir/key.gpg" "$1.asc" "$1" ;;
        gpg) set -- --batch --quiet --homedir "$dir" --no-default-keyring --keyring "$dir/key.gpg" --verify "$1.asc" "$1" ;;
    esac
    "$verifier" "$@" > "$dir/verifier" 2>&1 || { sed 's/^/  /' "$dir/verifier" >&2; return 1; }
}

# Puts the binary into the private folder, checked: by the sums in this script, by signed ones, or by both.
get() {
    [ ! -t 2 ] || say "fetching $from/$name"
    fetch "$from/$name" "$dir/ddinstall" || fail 5 "cannot fetch $from/$name" "nothing was run; check the address and the way to it (https_proxy), or bring the release here and set DDINSTALL_BASE_URL=file:///…"
    verifier='' by_signature=''
    [ -z "$signing_key" ] || ! have base64 || for tool in gpg sqv gpgv; do ! have "$tool" || verifier=$tool; done
    if [ -n "$verifier" ] && fetch "$from/SHA256SUMS" "$dir/SHA256SUMS" 2> "$dir/why" && fetch "$from/SHA256SUMS.asc" "$dir/SHA256SUMS.asc" 2> "$dir/why"; then
        signed "$dir/SHA256SUMS" || fail 5 "the signature of $from/SHA256SUMS is not the release's" "nothing was run; fetch this script again from where you had it"
        by_signature=1
    elif [ -n "$require" ]; then
        [ ! -s "$dir/why" ] || cat "$dir/why" >&2
        fail 5 "the release's signature could not be checked" "nothing was run; it takes gpgv, sqv or gpg on this host, and SHA256SUMS.asc at $from"
    fi
    expected=$(printf '%s\n' "$sums" | listed) found=$(sum_of "$dir/ddinstall")
    if [ "$wanted" != "$version" ]; then
        [ -n "$by_signature" ] || fail 5 "this script holds the sums of ddinstall $version, and those of $wanted could not be checked" "take the install.sh of that version: $base/$wanted/install.sh"
        expected=$(listed < "$dir/SHA256SUMS")
    elif [ -n "$by_signature" ] && [ "$(listed < "$dir/SHA256SUMS")" != "$expected" ]; then
        fail 5 "the signed sums at $from are not those in this script" "nothing was run; they are another release's"
    fi
    if [ -z "$expected" ] || [ "$found" != "$expected" ]; then
        fail 5 "$from/$name is not what was released: sha256 ${found:-unknown}, expected ${expected:-none}" "nothing was run; fetch this script again, and tell the mirror's owner if it stays so"
    fi
    chmod 0700 "$dir/ddinstall"
    # A signature says whose it is, not which: an older release would be as right.
    [ "$wanted" = "$version" ] || [ "$("$dir/ddinstall" --version)" = "ddinstall $wanted" ] ||
        fail 5 "$from/$name is another version of ddinstall" "nothing was installed; tell the mirror's owner"
}

# The variables that ddinstall reads, as lines that a shell takes in again.
variables() {
    for variable in $(env | LC_ALL=C sed -n -E 's/^((DD|TESTING)_[A-Z0-9_]+|REPO_URL|NO_COLOR|SOURCE_DATE_EPOCH|[A-Za-z]+_(proxy|PROXY))=.*/\1/p'); do
        eval "value=\${$variable-}"
        [ -z "$value" ] || printf "export %s='%s'\n" "$variable" "$(printf '%s' "$value" | sed "s/'/'\\\\''/g")"
    done
}

# as_root COMMAND…: with our variables. They go through a pipe: arguments are for every user to read, a file may stay
# behind, sudo drops the environment, and standard input is the command's.
as_root() {
    if [ -z "$sudo" ]; then
        "$@"
        return
    fi
    mkfifo -m 0600 "$dir/variables" || return 1
    variables > "$dir/variables" &
    writer=$! ended=0
    # shellcheck disable=SC2016 # root's shell expands it
    "$sudo" sh -c 'variables=$(cat "$0") && eval "$variables" && exec "$@"' "$dir/variables" "$@" || ended=$?
    kill "$writer" 2> /dev/null || true
    writer=''
    rm -f "$dir/variables"
    return "$ended"
}

main() {
    wanted=$version to='' require='' print='' sudo='' writer='' dir='' local=''
    while [ $# -gt 0 ]; do
        case $1 in
            --version) wanted=${2-} && shift ;;
            --to) to=${2-} && shift ;;
            --require-signature) require=1 ;;
            --print) print=1 ;;
            -h | --help) sed -n '2,/^{/s/^# \{0,1\}//p' "$0" 2> /dev/null || say "its first lines say what it does"; exit 0 ;;
            --) shift && break ;;
            *) fail 2 "unknown option $1" "this script's options are --version, --to, --require-signature and --print; those of ddinstall stand after --" ;;
        esac
        [ $# -gt 0 ] || fail 2 "the last option wants a value"
        shift
    done
    [ $# -gt 0 ] || set -- install
    # Without --to nothing stays but the copy that it keeps of itself, for a later uninstall.
    case $1$to in install) shift && set -- install --keep-binary "$@" ;; esac
    case $wanted in *[!0-9A-Za-z.+~-]* | .*) fail 2 "$wanted is no version" ;; esac
    [ -z "$to" ] || [ -d "$to" ] || fail 2 "there is no folder $to"
    [ -z "$to" ] || [ ! -d "$to/ddinstall" ] || fail 2 "$to/ddinstall is a folder"

    [ "$(uname -s)" = Linux ] || fail 3 "this is $(uname -s); ddinstall is for Linux"
    case $(uname -m) in
        x86_64 | amd64) arch=x86_64 ;;
        aarch64 | arm64) arch=aarch64 ;;
        *) fail 3 "this is $(uname -m); ddinstall is for x86_64 and aarch64" ;;
    esac
    name=ddinstall-$arch base=${DDINSTALL_BASE_URL:-$base}
    base=${base%/} from=${base%/}/$wanted
    # A checkout's own build; never one that happens to stand where the script is piped into a shell.
    case $version:$0 in :*install.sh) local=$(dirname -- "$0")/target/$arch-unknown-linux-musl/release/ddinstall ;; esac
    if [ -n "$local" ]; then
        [ -z "$wanted$require" ] || fail 2 "a checkout has its own build alone, without a signature" "--version and --require-signature are for the install.sh of a release"
        [ -x "$local" ] || fail 2 "there is no $local" "cargo build --release makes it"
    else
        [ -n "$version" ] || fail 2 "this install.sh is of no release, and not read from a checkout" "take the one of a release"
        [ -n "$wanted" ] || fail 2 "--version wants a value"
        host=${base#*://}
        case ${host%%/*} in *@*) fail 2 "an address with a password would be for every user of this host to read" "put user and password into ~/.netrc" ;; esac
        case $base in
            https://?* | file:///?*) ;;
            *) fail 2 "DDINSTALL_BASE_URL must begin with https:// or file:///, and is $base" ;;
        esac
    fi
    if [ -n "$print" ]; then
        printf '%s\n' "${local:-$from/$name}" "ddinstall $*"
        exit 0
    fi

    # Whether anything needs root is known, and whether it is to be had, before anything is fetched.
    needs=
    case " $* " in *" install "* | *" verify "* | *" doctor "* | *" secrets "* | *" rollback "* | *" uninstall "*) needs=$* ;; esac
    [ -z "$to" ] || [ -w "$to" ] || needs=$to
    if [ -n "$needs" ] && [ "$(id -u)" != 0 ]; then
        if have sudo; then sudo=sudo; elif have doas; then sudo=doas
        else fail 4 "this needs root, and there is neither sudo nor doas" "run it as root"; fi
        # doas would ask for the password twice.
        [ "$sudo" = doas ] || sudo true || fail 4 "this needs root, and sudo refused" "run it as root, or as a user whom sudo lets"
    fi
    # wget and apt read the small names alone.
    [ -z "${HTTPS_PROXY-}" ] || export https_proxy="${https_proxy:-$HTTPS_PROXY}"
    [ -z "${NO_PROXY-}" ] || export no_proxy="${no_proxy:-$NO_PROXY}"

    trap '[ -z "$writer" ] || kill "$writer" 2> /dev/null; [ -z "$dir" ] || rm -rf "$dir"' EXIT
    trap 'exit 10' HUP INT QUIT PIPE TERM
    private_folder
    if [ -n "$local" ]; then cp -- "$local" "$dir/ddinstall"; else get; fi
    if [ -n "$to" ]; then
        { as_root install -m 0755 -- "$dir/ddinstall" "$to/ddinstall.new" && as_root mv -f -- "$to/ddinstall.new" "$to/ddinstall"; } ||
            fail 4 "cannot write $to/ddinstall"
    fi
    status=0
    as_root "$dir/ddinstall" "$@" || status=$?
    case $status in
        # ddinstall never ends with 1; sudo and doas do where they refuse.
        1) [ -z "$sudo" ] || fail 4 "this needs root, and $sudo refused" "run it as root, or as a user whom $sudo lets" ;;
        126) fail 4 "this host does not let $dir/ddinstall run" "where a policy such as fapolicyd decides, install the package of ddinstall" ;;
    esac
    exit "$status"
}

main "$@"; }

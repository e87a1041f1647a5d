# Sourced: makes one signed apt repository.
# shellcheck shell=bash

# [DATE=…] repository NAME FINGERPRINT|none DEB… : DEB without its .deb; a fault's name behind _amd64 is dropped.
repository() {
    local key=$2 root=$SET/repo/$1 deb file arch
    local dist=$root/dists/stable
    shift 2
    mkdir -p "$root/pool/d/da"
    for deb; do
        file=${deb%_amd64*}_amd64.deb
        ln "$SET/debs/$deb.deb" "$root/pool/d/da/$file"
    done
    for arch in amd64 arm64; do
        mkdir -p "$dist/7/binary-$arch"
        (cd "$root" && apt-ftparchive --arch "$arch" packages pool) > "$dist/7/binary-$arch/Packages"
        gzip -9nk "$dist/7/binary-$arch/Packages"
    done
    (
        cd "$dist" || exit
        apt-ftparchive -o APT::FTPArchive::Release::Origin="Datadog, Inc." \
            -o APT::FTPArchive::Release::Label=datadog -o APT::FTPArchive::Release::Suite=stable \
            -o APT::FTPArchive::Release::Codename=stable -o APT::FTPArchive::Release::Architectures="amd64 arm64" \
            -o APT::FTPArchive::Release::Components=7 release . > ../Release.new
        mv ../Release.new Release
        [ -z "${DATE:-}" ] || sed -i "s/^Date: .*/Date: $DATE/" Release
    )
    [ "$key" != none ] || return 0
    # An expired key can only sign at a time when it was valid.
    local now=()
    [ "$key" != "${expired:-}" ] || now=(--faked-system-time 20190601T000000)
    export GNUPGHOME=$SET/keys/home
    gpg --batch --quiet "${now[@]}" --digest-algo SHA512 -u "$key" --clearsign -o "$dist/InRelease" "$dist/Release" 2>/dev/null
    gpg --batch --quiet "${now[@]}" --digest-algo SHA512 -u "$key" --armor --detach-sign -o "$dist/Release.gpg" "$dist/Release" 2>/dev/null
    gpgconf --kill all
    # What a server says of its age.
    [ -z "${DATE:-}" ] || touch -d "$DATE" "$dist"/*Release*
}

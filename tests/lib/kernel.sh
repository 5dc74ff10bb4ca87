# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The kernel that test VMs boot: what Debian 12 ships for cloud machines, BPF LSM and all, fetched with this machine's apt, which checks
# its signature, and kept in the cache under its version. Sourced by vm.sh after rootfs.sh.
#
#   kernel_path     prints the directory with vmlinuz, initrd, lib/modules, `version` and `origin` (package, version, sha256); fetches it
#                   first when it is not there (27 MB)

KERNEL_PACKAGE=linux-image-cloud-amd64
# what the disk, the command channel and the network need; all else is loaded by udev and on demand
KERNEL_INITRD_MODULES=(virtio_pci virtio_blk virtio_console virtio_net)

# The package that the metapackage stands for. A machine whose package lists have been removed gets them again.
kernel_package() {
        local tries
        for tries in 1 2; do
                apt-cache depends "$KERNEL_PACKAGE" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | grep . && return
                [ "$tries" -eq 2 ] || apt-get -q update >/dev/null 2>&1
        done
        return 1
}

kernel_fetch() {
        local dir=$1 package=$2 deb version
        mkdir -p "$dir" && (cd "$dir" && apt-get -q download "$package" >log 2>&1) || { cat "$dir/log" >&2; return 1; }
        deb=$(echo "$dir/$package"_*.deb)
        dpkg-deb -x "$deb" "$dir/tree" || return
        version=${package#linux-image-}
        mv "$dir/tree/boot/vmlinuz-$version" "$dir/vmlinuz" && mv "$dir/tree/lib" "$dir/lib" || return
        echo "$version" >"$dir/version"
        echo "$package $(dpkg-deb -f "$deb" Version) sha256 $(sha256sum "$deb" | cut -d ' ' -f 1)" >"$dir/origin"
        kernel_initrd "$dir" "$version" || return
        rm -rf "$dir/tree" "$dir/log" "$deb"
}

kernel_initrd() {
        local dir=$1 version=$2 initrd=$1/tree/initrd module n=10
        depmod -b "$dir" "$version" || return
        mkdir -p "$initrd"/{dev,root,modules} || return
        while read -r module; do
                cp "$module" "$initrd/modules/$n-${module##*/}" || return
                n=$((n + 1))
        done < <(modprobe -d "$dir" -S "$version" -a --show-depends "${KERNEL_INITRD_MODULES[@]}" |
                awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
        gcc -O2 -Wall -Wextra -Werror -static -o "$initrd/init" "$BOX_LIB/vm_init.c" || return
        (cd "$initrd" && find . | cpio --quiet -o -H newc) >"$dir/initrd"
}

kernel_key() {
        { declare -f kernel_fetch kernel_initrd; printf '%s\n' "${KERNEL_INITRD_MODULES[@]}"; cat "$BOX_LIB/vm_init.c"; } |
                sha256sum | cut -c1-12
}

kernel_path() {
        local package dir
        package=$(kernel_package) || { echo "kernel.sh: apt knows no $KERNEL_PACKAGE" >&2; return 1; }
        dir=$FREEZED_CACHE/kernel-${package#linux-image-}-$(kernel_key)
        if [ ! -d "$dir" ]; then
                mkdir -p -m 0755 "$FREEZED_CACHE" || return
                (
                        flock 9
                        [ ! -d "$dir" ] || exit 0
                        echo "  KERNEL   fetching $package for test VMs (once)" >&2
                        rm -rf "$dir.new"
                        kernel_fetch "$dir.new" "$package" && mv -T "$dir.new" "$dir" || exit
                        find "$FREEZED_CACHE" -mindepth 1 -maxdepth 1 -name 'kernel-*' -mtime +7 -exec rm -rf --one-file-system {} +
                ) 9>"$FREEZED_CACHE/lock" || return
        fi
        touch "$dir" && echo "$dir"
}

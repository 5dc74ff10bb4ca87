# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The Debian tree that every box is a disposable layer over. Built once by mmdebstrap from the mirrors that this machine's own apt uses,
# kept outside the repository under a key of everything that went into it. Sourced by box.sh.
#
#   rootfs_path     prints the tree's path; builds it first when it is not there (about 20 s and 50 MB of download)

FREEZED_CACHE=${FREEZED_CACHE:-/var/cache/freezed-tests}

ROOTFS_PACKAGES=(systemd systemd-sysv dbus iproute2 procps nftables python3-minimal openssh-client openssh-server openssl jq
        udev kmod bpftool libbpf1 libsodium23 libjansson4 libseccomp2 libcap-ng0 libmnl0 libsystemd0 libssl3 libzstd1 libarchive13 libcurl4 libnats3.4 libmicrohttpd12)
ROOTFS_EXCLUDE=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/perl/*/unicore/*')

# `deb` lines for the Debian mirrors that apt on this machine is set up with, in whatever file and format; other origins are left out.
rootfs_sources() {
        apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' "Architecture: $(dpkg --print-architecture)" |
                awk '$2 ~ /^bookworm(-updates|-security)?$/ && $3 == "main" { print "deb", $1, $2, $3; n++ }
                     END { if (!n) print "deb http://deb.debian.org/debian bookworm main" }'
}

# What makes apt on this machine reach its mirror: proxies, and the date checks that a pinned mirror or a wrong clock needs off.
rootfs_apt_conf() {
        apt-config dump | grep -E '^Acquire::(https?::(Proxy|Verify)|Check-Valid-Until|Check-Date|Retries|ForceIPv)' || true
}

# There is no /sys/fs/bpf in a container and PID 1 does not mount one there, so a unit does what PID 1 does on a real host: bpffs is
# there before anything else runs. sysfs is a small read-only tmpfs in a container: open it just for the mount point.
rootfs_customise() {
        local root=$1 generator
        cat >"$root/etc/systemd/system/box-bpffs.service" <<-'UNIT'
		[Unit]
		Description=bpffs, as PID 1 mounts it on a real host
		DefaultDependencies=no
		Before=sysinit.target freezed.service

		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'mount -o remount,bind,rw /sys && mkdir -p /sys/fs/bpf && mount -t bpf -o nosuid,nodev,noexec,mode=0700 bpf /sys/fs/bpf && mount -o remount,bind,ro /sys'

		[Install]
		WantedBy=sysinit.target
	UNIT
        systemctl -q --root="$root" enable box-bpffs.service
        # only where a suite starts it, and with host keys of its own
        systemctl -q --root="$root" disable ssh.service
        rm -f "$root"/etc/ssh/ssh_host_*
        # nobody logs in here, nothing is to be reaped, and a journal of every box would outgrow the box
        systemctl -q --root="$root" mask console-getty.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer \
                apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
        # Starting ten generators that find nothing to do is half of what PID 1 needs to reload, which each hold has it do. Needed are those
        # for the disk of a test VM, and for what its kernel's command line masks
        mkdir -p "$root/etc/systemd/system-generators"
        for generator in "$root"/usr/lib/systemd/system-generators/*; do
                [[ ${generator##*/} =~ ^systemd-(fstab|debug)-generator$ ]] || ln -s /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
        done
        mkdir -p "$root/etc/systemd/journald.conf.d"
        printf '[Journal]\nSystemMaxUse=32M\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/box.conf"
        rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
        : >"$root/etc/resolv.conf"
}

rootfs_build() {
        local root=$1 log=$1.log conf=$1.apt x
        local -a opts=(--variant=minbase --quiet --format=directory --aptopt="$conf" --dpkgopt=force-unsafe-io)
        for x in "${ROOTFS_EXCLUDE[@]}"; do
                opts+=(--dpkgopt="path-exclude=$x")
        done
        rootfs_apt_conf >"$conf"
        mkdir -p "$root"
        if ! rootfs_sources | mmdebstrap "${opts[@]}" --include="$(IFS=,; echo "${ROOTFS_PACKAGES[*]}")" bookworm "$root" - >"$log" 2>&1; then
                cat "$log" >&2
                echo "rootfs.sh: mmdebstrap failed" >&2
                return 1
        fi
        rootfs_customise "$root"
        rm -f "$conf" "$log"
}

rootfs_key() {
        { dpkg --print-architecture; printf '%s\n' "${ROOTFS_PACKAGES[@]}" "${ROOTFS_EXCLUDE[@]}"; declare -f rootfs_customise rootfs_build; } |
                sha256sum | cut -c1-12
}

rootfs_path() {
        local root
        root=$FREEZED_CACHE/rootfs-$(rootfs_key) || return
        if [ ! -d "$root" ]; then
                mkdir -p -m 0755 "$FREEZED_CACHE" || return
                # Two suites may start at once. The build happens beside and is renamed, so a tree that is there is whole.
                (
                        flock 9
                        [ ! -d "$root" ] || exit 0
                        echo "  ROOTFS   building a Debian tree for test hosts (once, about 30 s)" >&2
                        rm -rf "$root.new"
                        rootfs_build "$root.new" && mv -T "$root.new" "$root" || exit
                        # trees of older lists, which nothing has used for a week
                        find "$FREEZED_CACHE" -mindepth 1 -maxdepth 1 -name 'rootfs-*' -mtime +7 -exec rm -rf --one-file-system {} +
                ) 9>"$FREEZED_CACHE/lock" || return
        fi
        touch "$root" && echo "$root"
}

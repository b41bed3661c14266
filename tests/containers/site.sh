# shellcheck shell=bash
# A site: a container with systemd, in a network namespace that outlives its reboots.

declare -A namespace container

# SITE NETWORK NETWORK: its namespace, with a leg in two ISPs' networks: we are the router between.
wire() {
    local site=$1 isp net
    unshare --net sleep infinity &
    namespace[$site]=$!
    until [ "$(readlink "/proc/$!/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    nsenter -n -t "${namespace[$site]}" ip link set lo up
    for isp in 1 2; do
        shift
        net=$1
        ip link add "$site$isp" type veth peer name "eth$isp" netns "${namespace[$site]}"
        ip address add "$net.1/24" dev "$site$isp"
        ip link set "$site$isp" up
        nsenter -n -t "${namespace[$site]}" sh -c "ip address add $net.2/24 dev eth$isp &&
            ip link set eth$isp up &&
            ip route add default via $net.1 dev eth$isp metric $((100 * isp))"
    done
}

# SITE IMAGE: boots it, on a copy of the image that ends with us.
boot() {
    local site=$1 image=$2 root=$work/$1-root
    mkdir -p "$root" "$work/$site-upper" "$work/$site-work" "$work/$site"
    mount -t overlay "$site" "$root" \
        -o "lowerdir=$image,upperdir=$work/$site-upper,workdir=$work/$site-work"
    # As udev makes it: everybody may open it, rights are asked for when it is used.
    mknod -m 666 "$work/$site-tun" c 10 200
    : >"$root/etc/machine-id"
    echo "$site" >"$root/etc/hostname"
    own_cgroup "$site"
    container_of "$site" "$root" </dev/null >"$work/$site.log" 2>&1 &
    container[$site]=$!
    leave_cgroup
    booted "$site"
}

# A container that reboots ends with 133.
container_of() {
    local site=$1 root=$2 ended=133
    while [ $ended = 133 ]; do
        SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
            systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --machine="$site" \
            --network-namespace-path="/proc/${namespace[$site]}/ns/net" \
            --capability=CAP_NET_ADMIN --bind="$work/$site-tun:/dev/net/tun" \
            --bind="$work/$site:/srv" --console=pipe --boot
        ended=$?
    done
}

# Each container's systemd wants a place of its own.
own_cgroup() {
    local tree
    for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ -e "$tree/cgroup.procs" ] || continue
        mkdir -p "$tree/pathweave-${packages##*/}-$1"
        echo 0 >"$tree/pathweave-${packages##*/}-$1/cgroup.procs"
    done
}

leave_cgroup() {
    local tree
    for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ ! -e "$tree/cgroup.procs" ] || echo 0 >"$tree/cgroup.procs"
    done
}

# The container's first process.
leader() {
    pgrep --parent "$(pgrep --parent "${container[$1]}")" | tail -n 1
}

# SITE COMMAND...: as root in the container.
inside() {
    local site=$1
    shift
    nsenter --target "$(leader "$site")" --all \
        env -i --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C DEBIAN_FRONTEND=noninteractive "$@"
}

booted() {
    patiently "$1 boots" inside "$1" sh -c \
        'case $(systemctl is-system-running) in running|degraded) ;; *) false ;; esac'
}

# WORDS COMMAND...: until it succeeds, with patience for a busy machine.
patiently() {
    local words=$1 _
    shift
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
    echo "not within two minutes: $words"
    return 1
}

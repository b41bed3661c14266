# shellcheck shell=bash
# A transfer by rsync, what happens in the middle of it, and what the receiver's disk saw of that.

rate=2000000 # bytes in a second: far below what the machine carries, so that a stall is a stall

# FILE SIZE: until it has that size; says the longest time without growth, in milliseconds.
longest_stall() {
    local file=$1 whole=$2 size before=0 now since=${EPOCHREALTIME/./} worst=0
    while [ "$before" -lt "$whole" ]; do
        size=$(stat -c %s "$file" 2>/dev/null || echo 0)
        now=${EPOCHREALTIME/./}
        if [ "$before" = 0 ] || [ "$size" -gt "$before" ]; then
            since=$now before=$size
        elif [ $((now - since)) -gt "$worst" ]; then
            worst=$((now - since))
        fi
        sleep 0.05
    done
    echo $((worst / 1000))
}

serve() {
    printf '[srv]\npath = /srv\nread only = no\nuid = 0\ngid = 0\nuse chroot = no\n' >"$work/$1/rsyncd.conf"
    inside "$1" systemd-run --quiet --unit=storage \
        mptcpize run rsync --daemon --no-detach --config=/srv/rsyncd.conf
}

# The transfer's subflows: one for each path.
two_subflows() {
    [ "$(inside nara ss -tnHi state established src 10.213.1.0/24 | grep -c tcp-ulp-mptcp)" = 2 ]
}

guard_is_there() {
    inside nara nft list table inet pathweave && inside tainan nft list table inet pathweave
}

# Looks into both kernels again and again, and notes it when a guard is missing.
watch_guards() {
    while :; do
        guard_is_there >/dev/null 2>&1 || echo open >>"$work/open"
        sleep 0.2
    done
}

# SECONDS COMMAND...: lets it happen in a transfer that lasts at least so long.
in_a_transfer() {
    local seconds=$1 sender follower watcher stall
    shift
    rm -f "$work/tainan/data" "$work/open"
    head -c $((seconds * rate)) /dev/urandom >"$work/nara/data"
    inside nara mptcpize run rsync --inplace --whole-file --bwlimit=$((rate / 1000)) /srv/data \
        rsync://10.213.2.1/srv/ &
    sender=$!
    longest_stall "$work/tainan/data" $((seconds * rate)) >"$work/stall" &
    follower=$!
    patiently "the transfer begins" test -s "$work/tainan/data" &&
        patiently "two subflows" two_subflows || return
    watch_guards &
    watcher=$!
    "$@" || { kill "$sender" "$follower" "$watcher"; return 1; }
    patiently "two subflows again" two_subflows || return
    kill "$watcher"
    kill -0 "$sender" 2>/dev/null || { echo "the transfer had ended before"; return 1; }
    wait "$sender" || { echo "the transfer broke"; kill "$follower"; return 1; }
    wait "$follower"
    stall=$(cat "$work/stall")
    echo "longest stall $stall ms"
    cmp "$work/nara/data" "$work/tainan/data" || return
    [ ! -e "$work/open" ] || { echo "the guard was open"; return 1; }
    [ "$stall" -le 2500 ]
}

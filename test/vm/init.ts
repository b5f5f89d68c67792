/** The first program of the guest (in the initrd): finds the host's file system and makes it the root. */
export const INIT = String.raw`#!/busybox sh
set -e
# The shell finds its own programs by /proc/self/exe.
/busybox mount -t proc none /proc
mount -t devtmpfs none /dev
while read -r module; do insmod "$module"; done < /boot-modules

# loose caching is safe: nobody needs to see what changes on the host while the guest runs.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /host
mount -t tmpfs none /written
mkdir /written/upper /written/work
mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work none /root

mount -t tmpfs -o mode=755 none /root/run
mkdir /root/run/guest
cp /busybox /start /root/run/guest
umount /dev
exec switch_root /root /run/guest/busybox sh /run/guest/start
`

/**
 * The second program: prepares the system, takes the job from the host, runs it and reports. A port of
 * virtio-serial is a stream of bytes that nothing else writes to: no terminal in between, no kernel messages.
 */
export const START = String.raw`
set -e
/run/guest/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs -o mode=755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
# Opening it loads the module; on a usual system kmod makes the node beforehand (modules.devname).
mknod /dev/loop-control c 10 237

until [ -e /dev/vport0p3 ]; do usleep 10000; done
exec 3<>/dev/vport0p3
read -r end <&3
while IFS= read -r line <&3 && [ "$line" != "$end" ]; do printf '%s\n' "$line"; done > /run/guest/job
. /run/guest/job

release=$(uname -r)
modules=/lib/modules/$release
mkdir -p "$modules"
mount --bind "$MODULES" "$modules"
# The kernel runs /sbin/modprobe to load a module by itself, and kmod may not be on the host.
for tool in modprobe rmmod lsmod; do ln -sf /run/guest/busybox "/sbin/$tool"; done
if [ -n "$WITHHOLD_TLS" ]; then
  mount -t tmpfs -o ro none "$modules/kernel/net/tls"
else
  /sbin/modprobe tls
fi

hostname guest
ifconfig lo 127.0.0.1 up
[ -z "$NETWORK" ] || ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
if [ -n "$SHARE" ]; then
  mkdir -p /mnt/share
  # Uncached, so that a write is on the host when it returns: the host ends the guest without a shutdown.
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none share /mnt/share
fi

set +e
mkfifo /run/guest/stdout /run/guest/stderr
# A port can be opened only once at a time, and programs open /dev/stdout again: they get a pipe.
{ cat; printf '\0%s' "$MARK"; } < /run/guest/stdout > /dev/vport0p1 3<&- & out=$!
{ cat; printf '\0%s' "$MARK"; } < /run/guest/stderr > /dev/vport0p2 3<&- & err=$!
( exec 3<&- < /dev/null > /run/guest/stdout 2> /run/guest/stderr; job ) &
wait $!
status=$?

# What the job left running would keep its output open. Kernel threads have no executable.
for process in /proc/[0-9]*; do
  pid=$(basename "$process")
  parent=$(cut -d ' ' -f 4 "$process/stat" 2> /dev/null)
  case "$pid $parent" in "1 "* | "$out "* | "$err "* | *" $out" | *" $err") continue ;; esac
  readlink "$process/exe" > /dev/null && kill -9 "$pid"
done 2> /dev/null
wait $out $err
echo "$status" >&3
# The host ends the guest when it has everything.
exec sleep 60
`

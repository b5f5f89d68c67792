/**
 * Runs a command with its temporary folder on ext4, which is nearer to a server's disk than the
 * guest's tmpfs, and below a root on tmpfs: the guest's own root is a file server's, of which the kernel never
 * knows without asking what a path names (`openat2`, RESOLVE_CACHED).
 */
const SCRIPT = [
  'truncate -s 8G /tmp/ext4.img',
  'mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 /tmp/ext4.img',
  'modprobe loop',
  'modprobe ext4',
  'mkdir /run/root',
  'mount -t tmpfs -o mode=755 none /run/root',
  'for name in /*; do if [ -L "$name" ]; then cp -P "$name" /run/root; elif [ -d "$name" ]; then mkdir "/run/root$name" && mount --rbind "$name" "/run/root$name"; fi; done',
  'mkdir /run/root/ext4',
  'mount -o loop /tmp/ext4.img /run/root/ext4',
  'cd /',
  'TMPDIR=/ext4 exec chroot /run/root "$@"'
].join(' && ')

/** The command line, for a guest. */
export function onExt4 (command: readonly string[]): string[] {
  return ['sh', '-c', SCRIPT, 'sh', ...command]
}

/**
 * Puts a command's temporary folder on ext4, which is nearer to a server's disk
 * than the guest's tmpfs.
 */
const SCRIPT = [
  'truncate -s 8G /tmp/ext4.img',
  'mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 /tmp/ext4.img',
  'modprobe loop',
  'modprobe ext4',
  'mkdir -p /mnt/ext4',
  'mount -o loop /tmp/ext4.img /mnt/ext4',
  'TMPDIR=/mnt/ext4 exec "$@"'
].join(' && ')

/** The command line, for a guest. */
export function onExt4 (command: readonly string[]): string[] {
  return ['sh', '-c', SCRIPT, 'sh', ...command]
}

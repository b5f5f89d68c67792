/*
 * A child process of support/fuse.ts: a read-only FUSE file system in which
 * every name leads to the bytes of one file. Speaks the kernel's protocol
 * (include/uapi/linux/fuse.h, all numbers little-endian here) on /dev/fuse.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fstatSync, openSync, read, readSync, writeSync } from 'node:fs'

export interface FuseOptions {
  readonly folder: string
  readonly path: string
  /** Reads that reach beyond this offset can be held back. */
  readonly from: number
}

/** Which requests are to be held back from now on; as before where it does not say. */
export interface FuseOrder {
  readonly reads?: boolean
  readonly closes?: boolean
}

/** An order is `obeyed` once it holds for all that comes. */
export type FuseMessage = { readonly mounted: true } | { readonly obeyed: true } | { readonly held: number } | { readonly closing: number }

const LOOKUP = 1
const FORGET = 2
const GETATTR = 3
const OPEN = 14
const READ = 15
const RELEASE = 18
const FLUSH = 25
const INIT = 26
const INTERRUPT = 36
const BATCH_FORGET = 42

const UNANSWERED = [FORGET, BATCH_FORGET, INTERRUPT]

const ENOSYS = -38
const HEADER = 40
const ROOT_NODE = 1n
/** So that each file's pages stay in the cache when another client opens it. */
const FOPEN_KEEP_CACHE = 2
const FUSE_ASYNC_READ = 1
const S_IFDIR = 0o40755
const S_IFREG = 0o100644
/** How long the kernel may remember what a name leads to, in seconds; the file's size it may not. */
const FOR_EVER = 1n << 30n

interface Request {
  readonly opcode: number
  readonly unique: bigint
  readonly node: bigint
  readonly body: Buffer
}

const { folder, path, from } = JSON.parse(process.argv[2]!) as FuseOptions
const device = openSync('/dev/fuse', 'r+')
const content = openSync(path, 'r')

const nodes = new Map<string, bigint>()
let holding = true
let held: Request[] = []
/** Of each close(2), which waits for the answer. */
let holdingCloses = false
let closing: Request[] = []

function tell (message: FuseMessage): void {
  process.send!(message)
}

/** In one write, as the kernel wants it. */
function answer ({ unique }: Request, body: Buffer, error = 0): void {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(header.length + body.length, 0)
  header.writeInt32LE(error, 4)
  header.writeBigUInt64LE(unique, 8)
  writeSync(device, Buffer.concat([header, body]))
}

const NOTHING = Buffer.alloc(0)

/** struct fuse_attr */
function attributes (node: bigint): Buffer {
  const body = Buffer.alloc(88)
  const isRoot = node === ROOT_NODE
  const { size } = fstatSync(content)
  body.writeBigUInt64LE(node, 0)
  body.writeBigUInt64LE(isRoot ? 0n : BigInt(size), 8)
  body.writeBigUInt64LE(isRoot ? 0n : BigInt(Math.ceil(size / 512)), 16)
  body.writeUInt32LE(isRoot ? S_IFDIR : S_IFREG, 60)
  body.writeUInt32LE(1, 64)
  body.writeUInt32LE(4096, 80)
  return body
}

/** struct fuse_init_out, of protocol 7.31: what the kernel offers, with reads ahead. */
function init ({ body }: Request): Buffer {
  const reply = Buffer.alloc(64)
  reply.writeUInt32LE(7, 0)
  reply.writeUInt32LE(31, 4)
  reply.writeUInt32LE(body.readUInt32LE(8), 8)
  reply.writeUInt32LE(FUSE_ASYNC_READ, 12)
  reply.writeUInt32LE(4096, 20)
  reply.writeUInt32LE(1, 24)
  return reply
}

/** struct fuse_entry_out */
function lookUp ({ body }: Request): Buffer {
  const name = body.toString('utf8', 0, body.indexOf(0))
  const node = nodes.get(name) ?? BigInt(nodes.size) + ROOT_NODE + 1n
  nodes.set(name, node)
  const entry = Buffer.alloc(40)
  entry.writeBigUInt64LE(node, 0)
  entry.writeBigUInt64LE(FOR_EVER, 16)
  return Buffer.concat([entry, attributes(node)])
}

/** struct fuse_attr_out */
function attributesOf ({ node }: Request): Buffer {
  return Buffer.concat([Buffer.alloc(16), attributes(node)])
}

/** struct fuse_open_out */
function opened (): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt32LE(FOPEN_KEEP_CACHE, 8)
  return body
}

/** Where a struct fuse_read_in begins and how long it is. */
const rangeOf = ({ body }: Request) => ({ offset: Number(body.readBigUInt64LE(8)), length: body.readUInt32LE(16) })

function readContent (request: Request): void {
  const { offset, length } = rangeOf(request)
  const bytes = Buffer.alloc(length)
  answer(request, bytes.subarray(0, readSync(content, bytes, 0, length, offset)))
}

function serve (request: Request): void {
  const { opcode } = request
  if (UNANSWERED.includes(opcode)) return
  if (opcode === INIT) return answer(request, init(request))
  if (opcode === LOOKUP) return answer(request, lookUp(request))
  if (opcode === GETATTR) return answer(request, attributesOf(request))
  if (opcode === OPEN) return answer(request, opened())
  if (opcode === RELEASE || (opcode === FLUSH && !holdingCloses)) return answer(request, NOTHING)
  if (opcode === FLUSH) return tell({ closing: closing.push(request) })
  if (opcode !== READ) return answer(request, NOTHING, ENOSYS)
  const { offset, length } = rangeOf(request)
  if (!holding || offset + length <= from) return readContent(request)
  held.push(request)
  tell({ held: held.length })
}

function serveNext (): void {
  // The kernel gives whole requests, and none to who has less room (FUSE_MIN_READ_BUFFER).
  const buffer = Buffer.alloc(64 << 10)
  read(device, buffer, 0, buffer.length, null, (error, length) => {
    if (error !== null) {
      // One that was given up before it was read.
      if (error.code === 'ENOENT' || error.code === 'EINTR' || error.code === 'EAGAIN') return serveNext()
      throw error
    }
    serve({
      opcode: buffer.readUInt32LE(4),
      unique: buffer.readBigUInt64LE(8),
      node: buffer.readBigUInt64LE(16),
      body: buffer.subarray(HEADER, length)
    })
    serveNext()
  })
}

async function mount (): Promise<void> {
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other'
  const child = spawn('mount', ['-i', '-t', 'fuse', '-o', options, 'none', folder], { stdio: ['ignore', 'inherit', 'inherit', device] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`mount: ${code}`)
  serveNext()
  tell({ mounted: true })
}

process.on('message', ({ reads = holding, closes = holdingCloses }: FuseOrder) => {
  holding = reads
  holdingCloses = closes
  if (!reads) {
    const released = held
    held = []
    released.forEach(readContent)
    tell({ held: 0 })
  }
  if (!closes) {
    const released = closing
    closing = []
    for (const request of released) answer(request, NOTHING)
  }
  tell({ obeyed: true })
})
// process.exit() would wait for the thread that waits for the kernel.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
mount()

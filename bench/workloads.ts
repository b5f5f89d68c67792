interface Asset {
  readonly path: string
  /** Bytes that are sent. */
  readonly size: number
  /** Bytes of the file that lies beside what is sent, which is compressed; the whole without it. */
  readonly uncompressed?: number
}

/** What is asked of each server, over one connection, one request after the other. */
export interface Workload {
  readonly name: string
  readonly path: string
  /** In place of `path` all of these, one after the other; the figures are those of one of them. */
  readonly page?: readonly Asset[]
  /** First and last byte, the last one inclusive; the whole without it. */
  readonly range?: readonly [first: number, last: number]
  /** Whether it is asked for by who understands gzip. */
  readonly compressed?: true
  /** Whether it is asked for by who has it already, so that there is no body. */
  readonly unmodified?: true
  /** How many other files lie in its folder; few without it. */
  readonly siblings?: number
  /** Bytes of body. */
  readonly size: number
  /** Requests before the first sample. */
  readonly warmUp: number
  /** Requests of each client that make one sample. */
  readonly requests: number
  /** Connections at once, while the server's event loop is watched; one and no watch unless given. */
  readonly clients?: number
  /** The most samples that are worth their time in a guest. */
  readonly guestSamples?: number
  /** Whether the connection gets a file first, so that the plugin has promoted it. */
  readonly afterFile?: true
  /** Whether it is left out where a guest counts instructions, which takes minutes for it. */
  readonly hereOnly?: true
  /** Whether each request comes on a connection of its own, whose handshake counts. */
  readonly fresh?: true
  /** What a Fastify server has in memory, and sends by a route of its own; nginx has it as a file. */
  readonly data?: 'buffer' | 'text' | 'json'
}

/**
 * The smallest are no files to the plugin's sender, for which the general warm-up does nothing. Of the largest a
 * sample has so many that each meets the garbage collector about as often.
 */
export const FILES = [
  { name: '1 KB', size: 1024, warmUp: 2000, requests: 20 },
  { name: '16 KB', size: 16 * 1024, warmUp: 1000, requests: 20 },
  { name: '64 KB', size: 64 * 1024, warmUp: 1000, requests: 10 },
  { name: '100 KB', size: 100 * 1024, warmUp: 1000, requests: 10 },
  { name: '256 KB', size: 256 * 1024, warmUp: 200, requests: 16, hereOnly: true },
  { name: '1 MB', size: 1 << 20, warmUp: 100, requests: 16 },
  { name: '4 MB', size: 4 << 20, warmUp: 4, requests: 16, hereOnly: true },
  { name: '10 MB', size: 10 << 20, warmUp: 4, requests: 16 },
  { name: '30 MB', size: 30 << 20, warmUp: 2, requests: 6, hereOnly: true }
] as const

/** Sent by each server. */
export const JSON_PATH = '/json'
export const JSON_BODY = '{"hello":"world"}'

const [SMALLEST] = FILES

const LARGE = FILES.find(({ name }) => name === '10 MB')!

export function fileName (size: number): string {
  return `${size}.bin`
}

/** A web page's: sizes of a public benchmark's static files. */
export const PAGE: readonly Asset[] = [
  ['reset.css', 8192], ['layout.css', 25_600], ['theme.css', 18_432], ['components.css', 204_800], ['utilities.css', 61_440],
  ['analytics.js', 12_288], ['helpers.js', 22_528], ['app.js', 204_800], ['vendor.js', 307_200], ['router.js', 35_840],
  ['header.html', 122_880], ['footer.html', 56_320], ['regular.woff2', 18_432], ['bold.woff2', 22_528], ['logo.svg', 15_344],
  ['icon-sprite.svg', 71_680], ['hero.webp', 46_080], ['thumb1.webp', 8192], ['thumb2.webp', 6144], ['manifest.json', 2883]
].map(([name, size]) => ({ path: `/page/${name}`, size: Number(size) }))

/** The folder in which files are served compressed where they lie beside it so. */
export const COMPRESSED = '/compressed'

/** The same page, its texts compressed to a quarter, as gzip does with such. */
export const COMPRESSED_PAGE: readonly Asset[] = PAGE.map(({ path, size }) => {
  const name = path.replace('/page', COMPRESSED)
  return /\.(css|js|html|svg|json)$/.test(name) ? { path: name, size: Math.round(size / 4), uncompressed: size } : { path: name, size }
})

const files: readonly Workload[] = FILES.map(file => ({ ...file, path: `/${fileName(file.size)}` }))

function pageOf (name: string, page: readonly Asset[]): Workload {
  return { name, path: page[0]!.path, size: Math.round(page.reduce((sum, { size }) => sum + size, 0) / page.length), page, warmUp: 100, requests: 3 }
}

/** `size` is that of text and JSON, too: of characters that are one byte each. */
function dataOf (name: string, data: NonNullable<Workload['data']>, size: number): Workload {
  return { name, path: `/data/${data}-${size}`, size, data, warmUp: size > 1 << 20 ? 8 : 2000, requests: size > 1 << 20 ? 8 : 20 }
}

/** Characters of each text in a list that is sent as JSON. */
export const ITEM = 64

/** Of so many texts, with their quotes, commas and brackets. */
function sizeOfList (items: number): number {
  return items * (ITEM + 3) + 1
}

const BUFFER = dataOf('10 MB Buffer', 'buffer', 10 << 20)

/** Without a warm-up: the many clients of a sample are warm by themselves. */
function together (name: string, clients: number): Workload {
  const file = files.find(file => file.name === name)!
  return { ...file, name: `${name}, ${clients} clients`, warmUp: 0, requests: 1, clients }
}

export const WORKLOADS: readonly Workload[] = [
  ...files,
  ...files.filter(({ size }) => size <= 64 * 1024 || size === 1 << 20).map(file => ({ ...file, name: `${file.name}, fresh connection`, warmUp: Math.min(file.warmUp, 100), requests: 5, fresh: true as const })),
  { name: '1 MB of 10 MB', path: `/${fileName(LARGE.size)}`, range: [3_000_000, 4_048_575], size: 1 << 20, warmUp: 10, requests: 16 },
  pageOf('page of 20', PAGE),
  { ...pageOf('page of 20, compressed', COMPRESSED_PAGE), compressed: true },
  { ...SMALLEST, name: '1 KB, 304', path: `/${fileName(SMALLEST.size)}`, size: 0, unmodified: true },
  { ...SMALLEST, name: '1 KB of 10,000 files', path: `/many/${fileName(SMALLEST.size)}`, warmUp: 1000, siblings: 10_000 },
  together('256 KB', 64),
  together('256 KB', 1000),
  together('4 MB', 64),
  { ...together('10 MB', 64), guestSamples: 3 },
  BUFFER,
  dataOf('10 MB text', 'text', 10 << 20),
  dataOf('10 MB JSON', 'json', sizeOfList(156_503)),
  dataOf('16 KB Buffer', 'buffer', 16 << 10),
  { ...BUFFER, name: '10 MB Buffer, 8 clients', clients: 8, warmUp: 0, requests: 4, guestSamples: 3 },
  { name: 'JSON', path: JSON_PATH, size: JSON_BODY.length, warmUp: 20_000, requests: 50 },
  { name: 'JSON after a file', path: JSON_PATH, size: JSON_BODY.length, warmUp: 20_000, requests: 50, afterFile: true }
]

/** What every server is warmed up with. The compilers of JavaScript are done with most after some thousand requests, with a hook after more. */
export const WARM_UP = { path: `/${fileName(100 * 1024)}`, size: 100 * 1024, requests: 1500 }

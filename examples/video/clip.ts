/*
 * A video without an encoder, so that none has to be installed and no binary lies
 * in the repository: H.264 whose pictures are raw samples (ITU-T H.264, I_PCM
 * macroblocks), in an MP4 file (ISO/IEC 14496-12). A minute has 14 MB.
 */
import { box, text, u16, u32 } from './boxes'

export const SECONDS = 60
const FRAMES_PER_SECOND = 10

/** In macroblocks of 16 by 16 pixels: one for each second. */
export const COLUMNS = 10
const ROWS = 6
const WIDTH = COLUMNS * 16
const HEIGHT = ROWS * 16

const LIT = 200
const DARK = 40
const NO_COLOUR = 128

const START_OF_MACROBLOCK = bits('000011010') // mb_type 25, I_PCM, and the bits that align it
const END_OF_SLICE = bits('1')

const SEQUENCE = Buffer.concat([
  Buffer.from([0x67, 66, 0xc0, 30]), // constrained baseline profile, level 3
  // Set 0, frame_num of 4 bits, picture order as decoded, 1 reference frame, 10 by 6 macroblocks, whole frames.
  bits('1' + '1' + '011' + '010' + '0' + '0001010' + '00110' + '1' + '1' + '0' + '0' + '1')
])
const PICTURE = Buffer.concat([Buffer.from([0x68]), bits('1' + '1' + '0' + '0' + '1' + '1' + '1' + '0' + '00' + '1' + '1' + '1' + '000' + '1')])

/** The first macroblock begins in the header's last byte. Successive pictures must differ in their idr_pic_id. */
const SLICES = ['1', '010'].map(id => Buffer.concat([
  Buffer.from([0x65]), bits('1' + '0001000' + '1' + '0000' + id + '00' + '1' + '000011010')
]))

/** The bits of a bit string, filled up with zeros to whole bytes. */
function bits (string: string): Buffer {
  return Buffer.from(string.match(/.{1,8}/g)!.map(byte => Number.parseInt(byte.padEnd(8, '0'), 2)))
}

/** A picture of as many lit squares as seconds have begun. */
function frame (index: number): Buffer {
  const lit = Math.floor(index / FRAMES_PER_SECOND) + 1
  const parts: Buffer[] = [SLICES[index % SLICES.length]!]
  for (let square = 0; square < COLUMNS * ROWS; square++) {
    if (square > 0) parts.push(START_OF_MACROBLOCK)
    parts.push(Buffer.alloc(256, square < lit ? LIT : DARK), Buffer.alloc(128, NO_COLOUR))
  }
  parts.push(END_OF_SLICE)
  const unit = Buffer.concat(parts)
  return Buffer.concat([u32(unit.length), unit])
}

/** The whole file. */
export function makeClip (): Buffer {
  const frames = Array.from({ length: SECONDS * FRAMES_PER_SECOND }, (_, index) => frame(index))
  const type = box('ftyp', text('isom'), u32(0), text('isomavc1'))
  // Its length does not depend on the offset.
  const size = type.length + movie(frames, 0).length
  return Buffer.concat([type, movie(frames, size + 8), box('mdat', ...frames)])
}

const MATRIX = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]

/** Everything is counted in frames. */
function movie (frames: readonly Buffer[], offset: number): Buffer {
  const duration = u32(frames.length)
  const scale = u32(FRAMES_PER_SECOND)
  return box('moov',
    box('mvhd', u32(0, 0, 0), scale, duration, u32(1 << 16), u16(1 << 8, 0), u32(0, 0), u32(...MATRIX), u32(0, 0, 0, 0, 0, 0, 2)),
    box('trak',
      box('tkhd', u32(3, 0, 0, 1, 0), duration, u32(0, 0), u16(0, 0, 0, 0), u32(...MATRIX), u32(WIDTH << 16, HEIGHT << 16)),
      box('mdia',
        box('mdhd', u32(0, 0, 0), scale, duration, u16(0x55c4, 0)),
        box('hdlr', u32(0, 0), text('vide'), u32(0, 0, 0), text('\0')),
        box('minf',
          box('vmhd', u32(1, 0, 0)),
          box('dinf', box('dref', u32(0, 1), box('url ', u32(1)))),
          samples(frames, offset)))))
}

function samples (frames: readonly Buffer[], offset: number): Buffer {
  const count = frames.length
  return box('stbl',
    box('stsd', u32(0, 1), box('avc1',
      u32(0), u16(0, 1), u32(0, 0, 0, 0), u16(WIDTH, HEIGHT), u32(72 << 16, 72 << 16, 0), u16(1), Buffer.alloc(32), u16(24, 0xffff),
      box('avcC', Buffer.from([1, 66, 0xc0, 30, 0xff, 0xe1]), u16(SEQUENCE.length), SEQUENCE, Buffer.from([1]), u16(PICTURE.length), PICTURE))),
    box('stts', u32(0, 1, count, 1)),
    box('stsc', u32(0, 1, 1, count, 1)),
    box('stsz', u32(0, 0, count, ...frames.map(({ length }) => length))),
    box('stco', u32(0, 1, offset)))
}

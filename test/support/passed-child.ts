/* A child process of connection/plain: writes to the connection that it is passed, and ends it. Ends with its parent. */
import type { Socket } from 'node:net'

process.once('message', (text: string, socket: Socket) => { socket.end(text) })

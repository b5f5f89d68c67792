import type { ChildProcess } from 'node:child_process'
import { Worker } from 'node:worker_threads'

/** The next message of a child process or a worker thread; rejects if it ends without one. */
export function messageOf<T> (child: ChildProcess | Worker): Promise<T> {
  // A process's last messages may come after its 'exit', and before the end of their channel.
  const end = child instanceof Worker ? 'exit' : 'disconnect'
  return new Promise((resolve, reject) => {
    const onMessage = (message: T) => {
      child.off(end, onEnd)
      resolve(message)
    }
    const onEnd = () => {
      child.off('message', onMessage)
      reject(new Error('a child has ended without a message'))
    }
    child.once('message', onMessage)
    if (child instanceof Worker ? child.threadId === -1 : !child.connected) onEnd()
    else child.once(end, onEnd)
  })
}

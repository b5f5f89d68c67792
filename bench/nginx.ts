import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { certificate } from '../test/certificate'
import { Apt } from '../test/vm/apt'
import { freshEntry } from '../test/vm/cache'
import type { Progress } from '../test/vm/cache'
import type { Running } from './running'
import { COMPRESSED, JSON_BODY } from './workloads'

/** Days after which a newer nginx is looked for. */
const MAX_AGE = 30

/** The folder of Debian 13's nginx, unpacked with all that it needs and not installed. */
export function fetchNginx (onProgress: Progress): Promise<string> {
  return freshEntry('nginx', MAX_AGE, offer => Apt.use([{ name: 'trixie', archive: 'main' }], async apt => {
    const version = (await apt.candidate('nginx'))?.version
    if (version === undefined) throw new Error('Debian 13 has no nginx')
    return offer(version, async folder => {
      onProgress(`fetching nginx ${version}`)
      await apt.unpackWithDependencies(['nginx'], folder)
    })
  }), onProgress)
}

/** nginx cannot tell which port it was given. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Who encrypts what nginx sends. */
export type NginxTls = 'kernel' | 'OpenSSL' | 'nobody'

/** nginx with one worker, which serves `folder`. */
export async function startNginx (root: string, folder: string, temporary: string, encrypts: NginxTls): Promise<Running> {
  const port = await freePort()
  const { key, cert } = await certificate()
  await mkdir(temporary)
  await writeFile(join(temporary, 'cert.pem'), cert)
  await writeFile(join(temporary, 'key.pem'), key)
  const tls = `
        ssl_certificate ${temporary}/cert.pem; ssl_certificate_key ${temporary}/key.pem;
        ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        ${encrypts === 'kernel' ? 'ssl_conf_command Options KTLS;' : ''}`
  const running = await runNginx(root, temporary, `
      sendfile on; tcp_nopush on; open_file_cache max=1000; keepalive_requests 1000000; keepalive_timeout 1h;
      server {
        listen 127.0.0.1:${port} ${encrypts === 'nobody' ? '' : 'ssl'};
        ${encrypts === 'nobody' ? '' : tls}
        root ${folder};
        location ${COMPRESSED}/ { gzip_static on; }
        location = /json { default_type application/json; return 200 '${JSON_BODY}'; }
      }`)
  return { port, ...running }
}

/** The unpacked nginx with one worker and this in its block `http`. `temporary` is for what it writes. */
export async function runNginx (root: string, temporary: string, http: string): Promise<Pick<Running, 'pid' | 'stop'>> {
  const configuration = join(temporary, 'nginx.conf')
  await writeFile(configuration, `
    daemon off; user root; worker_processes 1; pid ${temporary}/pid; error_log ${temporary}/error.log;
    events { worker_connections 4096; }
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${temporary}/${kind};`).join(' ')}
      ${http}
    }`)
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu')
  const loader = join(libraries, 'ld-linux-x86-64.so.2')
  const child = spawn(loader, ['--library-path', libraries, join(root, 'usr/sbin/nginx'), '-p', temporary, '-c', configuration], { stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  const ended = exited.then(([code]) => { throw new Error(`nginx ended with ${code}`) })
  return {
    pid: await Promise.race([workerOf(child.pid!), ended]),
    stop: async () => {
      child.kill()
      await exited
    }
  }
}

/** The master's only child; it has the listening socket before it has one. */
async function workerOf (master: number): Promise<number> {
  for (let attempt = 0; attempt < 600; attempt++) {
    // man 5 proc_pid_task: /proc/pid/task/tid/children
    const children = await readFile(`/proc/${master}/task/${master}/children`, 'latin1')
    if (children !== '') return Number(children)
    await setTimeout(100)
  }
  throw new Error('nginx has no worker')
}

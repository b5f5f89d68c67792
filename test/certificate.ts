import { generate } from 'selfsigned'

export interface Certificate {
  readonly key: string
  readonly cert: string
}

let generated: Promise<Certificate> | undefined

/** A self-signed EC P-256 certificate for localhost and 127.0.0.1, one for the process. */
export function certificate (): Promise<Certificate> {
  generated ??= generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }, { type: 7, ip: '127.0.0.1' }] }
    ]
  }).then(({ private: key, cert }) => ({ key, cert }))
  return generated
}

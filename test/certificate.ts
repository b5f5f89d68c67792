export interface Certificate {
  readonly key: string
  readonly cert: string
}

let generated: Promise<Certificate> | undefined

/**
 * A self-signed EC P-256 certificate for localhost and 127.0.0.1, one for the
 * process; in a guest the one that the host made.
 */
export function certificate (): Promise<Certificate> {
  const given = process.env.KTLS_TEST_CERTIFICATE
  generated ??= given === undefined ? makeCertificate('localhost') : Promise.resolve(JSON.parse(given) as Certificate)
  return generated
}

/** A new one for a name and 127.0.0.1. */
export async function makeCertificate (name: string): Promise<Certificate> {
  // Loaded late: it takes seconds in an emulated processor.
  const { generate } = await import('selfsigned')
  const { private: key, cert } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: name }, { type: 7, ip: '127.0.0.1' }] }
    ]
  })
  return { key, cert }
}

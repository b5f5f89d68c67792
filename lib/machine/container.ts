import { existsSync } from 'node:fs'
import { readIfThere } from './read'

export interface ContainerSigns {
  /** Those of `/.dockerenv` and `/run/.containerenv` that exist. */
  readonly files: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** `/proc/1/cgroup`. */
  readonly cgroup: string
}

/** The kind of container that this process is in. */
export function detectContainer (): string | null {
  return containerOf({
    files: ['/.dockerenv', '/run/.containerenv'].filter(existsSync),
    env: process.env,
    cgroup: readIfThere('/proc/1/cgroup') ?? ''
  })
}

export function containerOf ({ files, env, cgroup }: ContainerSigns): string | null {
  if (env.KUBERNETES_SERVICE_HOST !== undefined || cgroup.includes('kubepods')) return 'Kubernetes'
  if (files.includes('/run/.containerenv') || env.container === 'podman') return 'Podman'
  if (files.includes('/.dockerenv') || cgroup.includes('docker')) return 'Docker'
  // systemd-nspawn and LXC say their name (https://systemd.io/CONTAINER_INTERFACE/).
  if (env.container !== undefined && env.container !== '') return env.container
  return /\b(lxc|containerd)\b/.exec(cgroup)?.[1] ?? null
}

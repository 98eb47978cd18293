import type { VersionConfig } from '../model.ts'

/** What is uploaded as YFASS does it runs nothing until its configuration is overridden. */
export const DEFAULT_CONFIG: VersionConfig = {
  provider: 'process',
  options: {},
  environment: {},
  addr: '127.0.0.1:0',
  sandbox: {
    command: '',
    args: [],
    ro_entries: {},
    envs: {},
    inherit_stdout: false,
    syscall_filter_mode: 'Deny',
    syscall_filter: [],
    mount_procfs: true,
    mount_devtmpfs: true,
    mount_tmpfs: false,
  },
  network: 'egress',
  limits: {},
  instances: {},
  health: {},
}

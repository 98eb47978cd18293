import * as Flags from '@oclif/core/flags'

import type { Command, Trust as TrustInfo, TrustStore } from '../app/trust.ts'
import { paintFor } from '../terminal/paint.ts'
import { table } from '../terminal/table.ts'
import { FlexiCommand } from './flexi-command.ts'

interface TrustResult {
  readonly file: string
  readonly fingerprint: string
  readonly stores: readonly { readonly name: string; readonly commands: readonly string[] }[]
}

export default class Trust extends FlexiCommand {
  static override readonly summary =
    'Show how browsers and programs come to trust the certificates of --https.'
  static override readonly description =
    'flexi makes its certificates with an authority of your own, which stands for names of this machine and of private networks alone: localhost, *.localhost, *.local, *.test, *.internal, *.home.arpa and private addresses. Its key never leaves the folder that FLEXI_CA_DIR names, by default ~/.local/share/flexi/ca. Nothing is changed without --install or --uninstall.'
  static override readonly examples = [
    { description: 'Show the file and the commands', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'Run them', command: '<%= config.bin %> <%= command.id %> --install' },
    { description: 'Undo that', command: '<%= config.bin %> <%= command.id %> --uninstall' },
  ]
  static override readonly flags = {
    install: Flags.boolean({ summary: 'Trust the authority: run the commands.', exclusive: ['uninstall'] }),
    uninstall: Flags.boolean({ summary: 'Trust it no more.' }),
  }

  async run(): Promise<TrustResult> {
    const { flags } = await this.parse(Trust)
    const { commandLine, readTrust, runTrustCommands } = await import('../app/trust.ts')
    const trust = await readTrust(process.env)
    const pick = (store: TrustStore): readonly Command[] =>
      flags.uninstall ? store.uninstall : store.install
    const stores = trust.stores.map((store) => ({
      name: store.name,
      commands: pick(store).map(commandLine),
    }))
    const { file, fingerprint } = trust
    const result = { file, fingerprint, stores }
    if (!flags.install && !flags.uninstall) {
      this.print(trustLines(trust, stores))
      return result
    }
    await runTrustCommands(trust.stores.map(pick), (command) => this.print([`$ ${commandLine(command)}`]))
    this.print([doneLine(trust, flags.install)])
    return result
  }
}

function trustLines(trust: TrustInfo, stores: TrustResult['stores']): string[] {
  const paint = paintFor(process.stdout, process.env)
  const rows = [
    ...stores.flatMap(({ name, commands }) => commands.map((line, index) => [index === 0 ? name : '', line])),
    ...trust.hints.map(({ name, line }) => [name, line]),
  ]
  return [
    '',
    `  ${paint.bold(trust.file)}`,
    `  ${paint.dim(`SHA-256 ${trust.fingerprint}`)}`,
    '',
    ...table(['WHO', 'WHAT TO RUN'], rows, { paint, columns: [undefined, paint.cyan] }),
    '',
    stores.length === 0
      ? '  No store was found that flexi knows how to fill: add the file to yours by hand.'
      : `  ${paint.dim('run them all with')} flexi trust --install${paint.dim(', undo it with')} flexi trust --uninstall`,
    '',
  ]
}

function doneLine({ stores, file }: TrustInfo, installed: boolean): string {
  if (stores.length === 0)
    return `no store was found that flexi knows how to fill: add ${file} to yours by hand`
  return installed ? 'done; start your browser again' : 'done; nothing trusts it any more'
}

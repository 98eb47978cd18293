import type { Call } from '../daemon/api/schemas/operations.ts'
import { age } from '../terminal/age.ts'
import { paintFor } from '../terminal/paint.ts'
import { printable } from '../terminal/printable.ts'
import { daemonFlags, withDaemon } from './client-options.ts'
import { FlexiCommand } from './flexi-command.ts'

type WhoamiResult = Call<'whoami'>['answer'] & {
  readonly daemon: string
  readonly info: Call<'info'>['answer']
}

export default class Whoami extends FlexiCommand {
  static override readonly summary = 'Show which daemon you ask, as whom, and what you may do there.'
  static override readonly examples = [
    { description: 'Of the login', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'Of a token',
      command: 'FLEXI_TOKEN=… <%= config.bin %> <%= command.id %> --daemon https://flexi.example.com',
    },
  ]
  static override readonly flags = daemonFlags

  async run(): Promise<WhoamiResult> {
    const { flags } = await this.parse(Whoami)
    const result = await withDaemon(flags, async (client) => {
      const [who, info] = await Promise.all([client.whoami(), client.info()])
      return { daemon: client.address.name, ...who, info }
    })
    this.print(whoamiLines(result))
    return result
  }
}

function whoamiLines({ daemon, user, permissions, groups, token, expiresAt, info }: WhoamiResult): string[] {
  const { bold, dim } = paintFor(process.stdout, process.env)
  const row = (name: string, value: string): string => `  ${dim(name.padEnd(7))}  ${printable(value)}`
  const { sandbox } = info
  const isolation = sandbox.isolation ?? 'none: functions may do what the daemon may'
  return [
    `${bold(printable(user))} at ${bold(daemon)}`,
    row('may', permissions.length === 0 ? 'nothing' : permissions.join(', ')),
    row('groups', groups.length === 0 ? 'none' : groups.join(', ')),
    row('token', expiresAt === undefined ? token : `${token}, ends ${age(expiresAt, Date.now())}`),
    row(
      'daemon',
      `flexi ${info.version}, started ${age(info.startedAt, Date.now())}; functions are at NAME.${info.domain}`,
    ),
    row('sandbox', isolation),
    ...sandbox.notes.map((note) => row('', note)),
  ]
}

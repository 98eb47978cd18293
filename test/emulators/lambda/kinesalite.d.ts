declare module 'kinesalite' {
  import type { Server } from 'node:http'

  function kinesalite(options: object): Server
  export = kinesalite
}

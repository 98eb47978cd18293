/** Sees an upstream's answer before the client does. */
export interface AnswerHook {
  /** False gives the answer up: it is read and dropped, the client sees nothing of it, and `forward` rejects with an UpstreamError. */
  accepts(status: number): boolean
  /** The fields the client gets, name, value, name, value …; may be changed in place. */
  edit(fields: string[]): string[]
}

// What clients were told: plain data, because it goes from one process to another.

export function nothingTold() {
  return { artifacts: {}, unpacked: {}, versions: {}, aliases: {}, secrets: {}, tokens: {}, open: undefined }
}

/** A step was acknowledged; or it was not, and all of it is there. */
export function learn(told, what) {
  told.open = undefined
  if (what.step === 'artifact') told.artifacts[what.digest] = what.files
  if (what.step === 'unpack') told.unpacked[what.digest] = true
  if (what.step === 'switch') told.versions[`${what.name}@${what.version}`] = what
  if (what.step === 'switch' || what.step === 'rollback') told.aliases[what.name] = what.version
  if (what.step === 'secret') told.secrets[what.name] = what.value
  if (what.step === 'token') told.tokens[what.id] = true
}

/** Runtimes whose functions run here, as Lambda calls them. */
export const RUNTIME_RUNS =
  /^(nodejs\d+\.x|python3(\.\d+)?|ruby\d+\.\d+|java\d+(\.al2)?|go1\.x|dotnet(core)?\d+(\.\d+)?|provided(\.\w+)?)$/

/** What people are told that runs. */
export const RUNTIMES_IN_WORDS = 'nodejs22.x, python3.13, ruby3.4, java21, dotnet8, go1.x or provided.al2023'

/** What a deployment adds to the package of a worker. */
export const CONFIG_FILE = 'wrangler.json'
export const LIST_FILE = 'program.json'

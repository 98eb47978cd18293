/** A port that outlives who serves it. A file of its own: the supervisor of `flexi proxy` needs nothing else of the application. */
export { holdPort, type HeldPort } from '../gateway/held-port.ts'

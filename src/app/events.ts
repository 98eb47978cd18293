/** The sample events of every provider that has some. A file of its own: `flexi events` needs nothing else of the application. */
export { listEvents, sampleEvent } from '../emulators/lambda/events/index.ts'

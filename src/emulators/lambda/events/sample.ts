export {
  follow,
  getPath,
  setPath,
  textAt,
  type Json,
  type JsonObject,
  type Sample,
} from '../../../core/event-sample.ts'

export const REGION = 'us-east-1'
export const ACCOUNT = '123456789012'

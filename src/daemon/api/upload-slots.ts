import { FlexiError } from '../../core/errors.ts'

/** Uploads of one user at once: each holds a file, and room that its quota does not know of yet. */
const UPLOADS_MAX = 16

/** Bounds what users send at once. */
export interface UploadSlots {
  /** @throws FlexiError FLEXI_THROTTLED (429) when the user has as many under way as may be. */
  take(user: string): Disposable
}

export function openUploadSlots(): UploadSlots {
  const underWay = new Map<string, number>()
  return {
    take(user) {
      const count = underWay.get(user) ?? 0
      if (count >= UPLOADS_MAX) {
        throw new FlexiError('FLEXI_THROTTLED', `${user} has ${UPLOADS_MAX} uploads under way`, {
          hint: 'Wait for one of them to end.',
          retryAfterSeconds: 1,
        })
      }
      underWay.set(user, count + 1)
      return {
        [Symbol.dispose]() {
          const left = (underWay.get(user) ?? 1) - 1
          if (left === 0) underWay.delete(user)
          else underWay.set(user, left)
        },
      }
    },
  }
}

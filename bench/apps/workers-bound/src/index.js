import { DurableObject } from 'cloudflare:workers'

export class Counter extends DurableObject {
  increment() {
    this.count = (this.count ?? 0) + 1
    return this.count
  }
}

export default {
  fetch() {
    return new Response('hello')
  },
}

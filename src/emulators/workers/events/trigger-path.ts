/** Paths of Cloudflare's own that run a handler that is not `fetch`: `/cdn-cgi/handler/scheduled`, `/__scheduled` … */
const TRIGGER_PATH =
  /^\/(?:cdn-cgi\/(?:handler\/|mf\/scheduled(?:\?|$)|local\/(?:scheduled|email)(?:\?|$))|__scheduled(?:\?|$))/

/** Asked for every request. */
export function isTriggerPath(target: string): boolean {
  const first = target.charCodeAt(1)
  // `c` of /cdn-cgi and `_` of /__scheduled: nearly everything begins with neither.
  return (first === 0x63 || first === 0x5f) && TRIGGER_PATH.test(target)
}

/**
 * `request.cf` as a worker sees it here: the fields Cloudflare sends, with values of a plausible place. The same at every start, so that
 * nothing depends on the network and tests stay stable.
 */
export const REQUEST_CF = {
  asOrganization: 'flexi',
  asn: 64_496,
  city: 'Amsterdam',
  clientTcpRtt: 1,
  colo: 'AMS',
  continent: 'EU',
  country: 'NL',
  edgeRequestKeepAliveStatus: 1,
  httpProtocol: 'HTTP/1.1',
  isEUCountry: '1',
  latitude: '52.37400',
  longitude: '4.88970',
  postalCode: '1012',
  region: 'North Holland',
  regionCode: 'NH',
  requestPriority: '',
  timezone: 'Europe/Amsterdam',
  tlsCipher: 'AEAD-AES128-GCM-SHA256',
  tlsVersion: 'TLSv1.3',
  tlsClientAuth: { certPresented: '0', certVerified: 'NONE', certRevoked: '0' },
} as const

const HEAD = JSON.stringify(REQUEST_CF).slice(0, -1)

/** The record for one request, as the JSON that workerd takes from the field it is told to trust. */
export function requestCfText(acceptEncoding: string | undefined): string {
  return acceptEncoding === undefined
    ? `${HEAD}}`
    : `${HEAD},"clientAcceptEncoding":${asciiJson(acceptEncoding)}}`
}

/** Fields are Latin-1 on the wire; the escape keeps their bytes apart from UTF-8. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function signArtifact(_file: string, _pem: string): Promise<unknown> {
  return Promise.reject(new Error('not there yet'))
}

export const handler = async (): Promise<{ ok: boolean }> => ({ ok: true })

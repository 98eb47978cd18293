/** How a function's source is compiled, as far as that changes what runs: esbuild's own names, which `sam build` and plugins pass on. */
export interface BuildSettings {
  /** `{ ".sql": "text" }` */
  readonly loader?: Readonly<Record<string, string>> | undefined
  /** `{ "process.env.STAGE": "\"dev\"" }` */
  readonly define?: Readonly<Record<string, string>> | undefined
  /** Packages that stay outside, also where they are no packages of node_modules. */
  readonly external?: readonly string[] | undefined
  /** Text in front of the compiled code. */
  readonly banner?: string | undefined
  readonly footer?: string | undefined
  /** Files that are run first. */
  readonly inject?: readonly string[] | undefined
  readonly format?: 'cjs' | 'esm' | undefined
  /** `es2020`, `node18` */
  readonly target?: readonly string[] | undefined
  readonly mainFields?: readonly string[] | undefined
  readonly conditions?: readonly string[] | undefined
  readonly alias?: Readonly<Record<string, string>> | undefined
  readonly minify?: boolean | undefined
  readonly keepNames?: boolean | undefined
}

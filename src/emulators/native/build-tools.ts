/** A program that a build asked for in vain. */
export interface MissingTool {
  readonly name: string
  /** What to install. */
  readonly hint: string
}

const APT_C =
  'Install a C compiler: "apt install build-essential" on Debian, "xcode-select --install" on macOS.'
const APT_CXX =
  'Install a C++ compiler: "apt install build-essential" on Debian, "xcode-select --install" on macOS.'
const CLANG = 'Install clang: "apt install clang" on Debian, "xcode-select --install" on macOS.'
const RUST = 'Install Rust: https://rustup.rs'
const ZIG =
  'Install Zig: https://ziglang.org/download/, or "pip install ziglang" and build with "python3 -m ziglang".'

const INSTALL: Readonly<Record<string, string>> = {
  cc: APT_C,
  gcc: APT_C,
  ld: APT_C,
  as: APT_C,
  'c++': APT_CXX,
  'g++': APT_CXX,
  clang: CLANG,
  'clang++': CLANG,
  make: 'Install make: "apt install make" on Debian, "xcode-select --install" on macOS.',
  cmake: 'Install CMake: "apt install cmake" on Debian, "brew install cmake" on macOS.',
  ninja: 'Install Ninja: "apt install ninja-build" on Debian, "brew install ninja" on macOS.',
  meson: 'Install Meson: "apt install meson" on Debian, "brew install meson" on macOS.',
  'pkg-config': 'Install pkg-config: "apt install pkg-config" on Debian, "brew install pkgconf" on macOS.',
  cargo: RUST,
  rustc: RUST,
  zig: ZIG,
  go: 'Install Go: https://go.dev/dl/',
  python3: 'Install Python 3: "apt install python3" on Debian, "brew install python" on macOS.',
}

/** How shells, make, env, cargo, Go and Python say that a program is not there. */
const MISSING = [
  /^(?:\S*sh): (?:line )?\d+: (\S+?): (?:command )?not found$/,
  /^(?:\S*sh): (\S+?): (?:command )?not found$/,
  /^zsh:\d*: command not found: (\S+)$/,
  /^\S*make(?:\[\d+\])?: (\S+): No such file or directory$/,
  /^(?:\S*env): [‘'"]?([^’'":]+)[’'"]?: No such file or directory$/,
  /error: linker `([^`]+)` not found$/,
  /^cgo: C compiler "([^"]+)" not found/,
  /exec: "([^"]+)": executable file not found in \$PATH$/,
] as const

/** Texts that name no program, and the one they mean. */
const MEANT: readonly (readonly [RegExp, MissingTool])[] = [
  [/No module named '?ziglang'?$/, { name: 'Zig', hint: ZIG }],
  // Go turns cgo off by itself where it finds no C compiler.
  [
    /requires external \(cgo\) linking, but cgo is not enabled/,
    { name: 'a C compiler for cgo', hint: `${APT_C} Where there is one, set CGO_ENABLED=1.` },
  ],
  [
    /^error: rustup could not choose a version of (?:cargo|rustc)/,
    { name: 'a Rust toolchain', hint: 'Run "rustup default stable".' },
  ],
  [
    /^xcrun: error: invalid active developer path/,
    { name: 'a C compiler', hint: 'Run "xcode-select --install".' },
  ],
]

/** The program that a build's output says is not installed. */
export function missingTool(lines: readonly string[], command: string): MissingTool | undefined {
  for (const line of lines) {
    const meant = MEANT.find(([pattern]) => pattern.test(line))?.[1]
    if (meant !== undefined) return meant
    const name = MISSING.map((pattern) => pattern.exec(line)?.[1]).find((found) => found !== undefined)
    if (name !== undefined) return toolOf(name, command)
  }
  return undefined
}

function toolOf(name: string, command: string): MissingTool {
  // A command that takes Zig from Python needs either.
  if (name === 'python3' && command.includes('ziglang')) return { name: 'Zig', hint: ZIG }
  const hint = Object.hasOwn(INSTALL, name) ? INSTALL[name] : undefined
  if (hint !== undefined) return { name, hint }
  // A path is a file of the project or of somebody's machine, and nothing that a package brings.
  const other = name.includes('/') ? `Make ${name}` : `Install ${name}`
  return { name, hint: `${other}, or change the "build" command.` }
}

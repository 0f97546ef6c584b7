/** Completion by real shells: what stands in a line after the tabulator key, at a terminal of `script`. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Shell {
  readonly name: string
  readonly command: readonly string[]
  /** The file that the shell reads when it starts. It reads its completions twice, as after a change of the configuration. */
  readonly file: string
  readonly configuration: string
}

const BASH: Shell = {
  name: 'bash',
  command: ['bash', '--noprofile', '--rcfile', '.bashrc', '-i'],
  file: '.bashrc',
  configuration: `
PS1=
source <(onrush complete bash) 2> errors
source <(onrush complete bash) 2>> errors
bind 'set enable-bracketed-paste off'
bind -x '"\\C-g": printf "<%s>\\n" "$READLINE_LINE" >> lines; READLINE_LINE=""'
`,
}

const ZSH: Shell = {
  name: 'zsh',
  command: ['zsh', '-i'],
  file: '.zshrc',
  configuration: `
PROMPT=
autoload -U compinit
compinit -u
source <(onrush complete zsh) 2> errors
source <(onrush complete zsh) 2>> errors
tell() { print -r -- "<$BUFFER>" >> lines; BUFFER= }
zle -N tell
bindkey '^G' tell
`,
}

/** Bash always, because this package's own script is for bash; zsh where it is installed. */
export const SHELLS: readonly Shell[] = [BASH, ...(spawnSync('zsh', ['--version']).status === 0 ? [ZSH] : [])]

/**
 * @param folder the home of the shell, where it is started
 * @param path where the shell finds programs
 * @returns each line after it was typed and completed, and what the shell complained of
 */
export function completed(
  { command, file, configuration }: Shell,
  folder: string,
  path: string,
  typed: readonly string[],
): { lines: string[]; errors: string } {
  writeFileSync(join(folder, file), configuration)
  writeFileSync(join(folder, 'lines'), '')
  const script =
    process.platform === 'darwin' ? ['-q', '/dev/null', ...command] : ['-qec', command.join(' '), '/dev/null']
  spawnSync('script', script, {
    cwd: folder,
    env: { PATH: path, HOME: folder, ZDOTDIR: folder, TERM: 'xterm' },
    input: `${typed.map((line) => `${line}\t\u0007`).join('')}exit\n`,
    timeout: 120_000,
  })
  const textOf = (name: string): string => readFileSync(join(folder, name), 'utf8').trim()
  return { lines: textOf('lines').split('\n'), errors: textOf('errors') }
}

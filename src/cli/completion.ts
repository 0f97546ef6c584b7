/** Completion of command lines in shells. The scripts are those of a library, but for bash. */
import addCompletion from '@bomb.sh/tab/commander'
import type { Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** The library's script needs the package bash-completion, complains if it is read twice, and evaluates what is typed. */
const BASH = `# bash completion for onrush
_onrush() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        line=\${line%%$'\\t'*}
        case $line in
            :[0-9]*) if ((\${line#:} % 8 < 4)); then compopt -o default; fi ;;
            "\${COMP_WORDS[COMP_CWORD]}"*) COMPREPLY+=("$line") ;;
        esac
    done < <(onrush complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _onrush onrush
`

/** Shells complete names of files if nothing else is suggested. */
const FILES = ':0\n'

export function addShellCompletion(program: Command): void {
  addCompletion(program)
}

/**
 * Answers a shell where the library cannot.
 * @returns whether it has answered
 */
export function completes(args: readonly string[], program: Command, { stdout }: Terminal): boolean {
  const [name, first, command] = args
  if (name !== 'complete') return false
  if (first === 'bash') {
    stdout.write(BASH)
    return true
  }
  if (first !== '--' || command !== 'replay' || !namesFile(args.slice(3), program)) return false
  stdout.write(FILES)
  return true
}

/** Whether the last word is a file of `replay`, or the value of an option that has no choices. */
function namesFile(words: readonly string[], program: Command): boolean {
  const last = words.at(-1)
  if (last === undefined || last.startsWith('-')) return false
  const { options } = program.commands.find((command) => command.name() === 'replay') ?? program
  return options.find(({ long }) => long === words.at(-2))?.argChoices === undefined
}

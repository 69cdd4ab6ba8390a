import type { Option } from 'commander';
import { flagsOf, type Node, nodesOf } from './command-tree.js';

/** Options of the program may stand after every command. */
function optionsOf(node: Node, program: Node): readonly Option[] {
  return node === program ? node.options : [...node.options, ...program.options];
}

/**
 * Finds the noun and verb among the words, and offers what may follow: further words, options, choices of an option, or
 * files.
 */
export function bashScript(program: Node): string {
  const nodes = nodesOf(program);
  const words = nodes.map((node) => `  [${quoted(keyOf(node))}]=${quoted(node.children.map(lastWord).join(' '))}`);
  const options = nodes.map((node) => {
    const flags = optionsOf(node, program).flatMap(flagsOf);
    return `  [${quoted(keyOf(node))}]=${quoted(['--help', ...flags].join(' '))}`;
  });
  const choices = nodes.flatMap((node) =>
    optionsOf(node, program)
      .filter(({ argChoices, required, optional }) => argChoices !== undefined || required || optional)
      .flatMap((option) =>
        flagsOf(option).map((flag) => {
          const offered = option.argChoices?.join(' ') ?? (isFile(option) ? '<file>' : '');
          return `  [${quoted(`${keyOf(node)} ${flag}`)}]=${quoted(offered)}`;
        }),
      ),
  );
  const args = nodes.flatMap(({ path, args: [arg] }) =>
    arg?.argChoices ? [`  [${quoted(path.join(' '))}]=${quoted(arg.argChoices.join(' '))}`] : [],
  );
  return `# bash completion of berth; made by \`berth complete bash\`
declare -A _berth_words=(
${words.join('\n')}
)
declare -A _berth_options=(
${options.join('\n')}
)
declare -A _berth_values=(
${choices.join('\n')}
)
declare -A _berth_choices=(
${args.join('\n')}
)
_berth() {
  local cur=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} at=. word skip= offered
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $skip ]]; then skip=; continue; fi
    if [[ $word == -* ]]; then [[ -v _berth_values["$at $word"] ]] && skip=yes; continue; fi
    local below="$at $word"; [[ $at == . ]] && below=$word
    [[ -v _berth_words["$below"] ]] && at=$below
  done
  if [[ -n $skip ]]; then
    offered=\${_berth_values["$at $previous"]}
    if [[ $offered == '<file>' ]]; then COMPREPLY=($(compgen -f -- "$cur")); else COMPREPLY=($(compgen -W "$offered" -- "$cur")); fi
  elif [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "\${_berth_options["$at"]}" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "\${_berth_words["$at"]} \${_berth_choices["$at"]}" -- "$cur"))
  fi
}
complete -F _berth berth
`;
}

/** zsh can use what bash uses, but not its arrays: it has the words of each command in a case. */
export function zshScript(program: Node): string {
  const cases = nodesOf(program).map((node) => {
    const words = node.children.map((child) => described(lastWord(child), child.about));
    const flags = optionsOf(node, program).flatMap((option) =>
      flagsOf(option).map((flag) => described(flag, option.description)),
    );
    return `    ${quoted(keyOf(node))}) words_=(${words.join(' ')}); flags_=(${flags.join(' ')}) ;;`;
  });
  const withValue = nodesOf(program).flatMap((node) => node.options.filter(takesValue).flatMap(flagsOf));
  return `#compdef berth
# zsh completion of berth; made by \`berth complete zsh\`
_berth_at() {
  case $1 in
${cases.join('\n')}
    *) return 1 ;;
  esac
}
_berth() {
  local at=. word skip= below
  local -a words_ flags_ values_=(${[...new Set(withValue)].map(quoted).join(' ')})
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $skip ]]; then skip=; continue; fi
    if [[ $word == -* ]]; then (( \${values_[(Ie)$word]} )) && skip=yes; continue; fi
    below="$at $word"; [[ $at == . ]] && below=$word
    _berth_at "$below" && at=$below
  done
  _berth_at "$at"
  if [[ -n $skip ]]; then _files
  elif [[ \${words[CURRENT]} == -* ]]; then _describe option flags_
  else _describe command words_
  fi
}
compdef _berth berth
`;
}

export function fishScript(program: Node): string {
  const lines = nodesOf(program).flatMap((node) => {
    const path = node.path.map(quoted).join(' ');
    const words = node.children.map(
      (child) =>
        `complete -c berth -f -n ${quoted(`__berth_at ${path}`.trimEnd())} -a ${quoted(lastWord(child))} -d ${quoted(child.about)}`,
    );
    return [...words, ...node.options.map((option) => fishOption(option, `__berth_in ${path}`.trimEnd()))];
  });
  return `# fish completion of berth; made by \`berth complete fish\`
function __berth_words
  commandline -opc | string match -v -- '-*' | tail -n +2
end
function __berth_at
  test "$(__berth_words | string join ' ')" = "$(string join ' ' -- $argv)"
end
function __berth_in
  string match -q -- "$(string join ' ' -- $argv)*" "$(__berth_words | string join ' ')"
end
complete -c berth -f
${lines.join('\n')}
`;
}

function fishOption(option: Option, condition: string): string {
  const names = flagsOf(option).map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const values = option.argChoices ? `-x -a ${quoted(option.argChoices.join(' '))}` : takesValue(option) ? '-r' : '-f';
  return `complete -c berth -n ${quoted(condition)} ${names.join(' ')} ${values} -d ${quoted(option.description)}`;
}

function keyOf({ path }: Node): string {
  return path.length === 0 ? '.' : path.join(' ');
}

function lastWord({ path }: Node): string {
  return path.at(-1) ?? '';
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function isFile({ flags }: Option): boolean {
  return /<(?:file|dir)>/.test(flags);
}

function described(word: string, about: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${about}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

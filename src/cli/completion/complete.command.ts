import { Argument, type Command } from 'commander';
import { treeOf } from './command-tree.js';

const SHELLS = ['bash', 'zsh', 'fish', 'reference'] as const;

const HELP = `
  bash   source <(berth complete bash)
  zsh    source <(berth complete zsh)
  fish   berth complete fish | source
Reference is the list of all commands, as in docs/cli.md.`;

/** `berth complete`. */
export function addCompleteCommand(program: Command): void {
  program
    .command('complete')
    .description('print the completion of a shell, or the list of all commands')
    .addArgument(new Argument('<shell>', 'for which').choices(SHELLS))
    .addHelpText('after', HELP)
    .action(async (shell: (typeof SHELLS)[number]) => {
      const tree = treeOf(program);
      if (shell === 'reference') {
        const { referenceText } = await import('./reference.js');
        process.stdout.write(referenceText(tree));
        return;
      }
      const { bashScript, fishScript, zshScript } = await import('./shells.js');
      process.stdout.write({ bash: bashScript, fish: fishScript, zsh: zshScript }[shell](tree));
    });
}

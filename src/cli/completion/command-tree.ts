import type { Argument, Command, Option } from 'commander';

/** A command as completion and the reference see it. */
export interface Node {
  /** `server group create`; empty: the program. */
  readonly path: readonly string[];
  readonly about: string;
  readonly children: readonly Node[];
  /** Without those of the nodes above. */
  readonly options: readonly Option[];
  readonly args: readonly Argument[];
  readonly hasAction: boolean;
}

export function treeOf(command: Command, path: readonly string[] = []): Node {
  const visible = command.createHelp().visibleCommands(command);
  return {
    path,
    about: command.description(),
    children: visible.filter((child) => child.name() !== 'help').map((child) => treeOf(child, [...path, child.name()])),
    options: command.options.filter(({ hidden }) => !hidden),
    args: command.registeredArguments,
    hasAction: command.commands.length === 0,
  };
}

/** All nodes, each before those below it. */
export function nodesOf(node: Node): Node[] {
  return [node, ...node.children.flatMap(nodesOf)];
}

/** `--format`, and `-f` when there is one. */
export function flagsOf({ long, short }: Option): string[] {
  return [long, short].filter((flag) => flag !== undefined && flag !== null) as string[];
}

/** `<server...>` */
export function argText(arg: Argument): string {
  const text = `${arg.name()}${arg.variadic ? '...' : ''}`;
  return arg.required ? `<${text}>` : `[${text}]`;
}

/**
 * Finds the CLI server that the SDK brings along: `prebuilds/<platform>/copilot-runtime` in the
 * platform package of @github/copilot-sdk. A package manager installs the one package that fits the
 * machine, and none at all when told to leave optional dependencies out.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A program and its leading arguments, or why there is none. */
export type RuntimeLookup = { readonly command: readonly string[] } | { readonly missing: string };

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly musl: boolean;
}

/** What makes a CLI server of the program: PROTOCOL, "Running the real server offline". */
export const SERVER_ARGUMENTS: readonly string[] = [
  '--headless', '--no-auto-update', '--port', '0', '--host', '127.0.0.1',
];

/**
 * @param configured `fleet.command`, a program and its leading arguments; wins over the bundled one
 */
export function findRuntime(configured?: readonly string[], machine: Machine = thisMachine()): RuntimeLookup {
  if (configured !== undefined && configured.length > 0) return { command: configured };
  const platform = platformName(machine);
  if (platform === undefined) {
    return { missing: `no CLI server is bundled for ${machine.platform} on ${machine.arch}; set fleet.command` };
  }
  const packageName = `@github/copilot-sdk-${platform}`;
  const root = packageRoot(packageName);
  if (root === undefined) {
    return {
      missing: `the package ${packageName} with the bundled CLI server is not installed: install with `
        + 'optional dependencies, or set fleet.command',
    };
  }
  const binary = join(root, 'prebuilds', platform, machine.platform === 'win32' ? 'copilot-runtime.exe' : 'copilot-runtime');
  try {
    accessSync(binary, constants.X_OK);
  } catch {
    const problem = existsSync(binary) ? 'may not be executed' : 'is missing';
    return { missing: `the bundled CLI server ${binary} ${problem}: reinstall ${packageName}, or set fleet.command` };
  }
  return { command: [binary] };
}

/** The SDK's name for a machine, or undefined where it has no server for it. */
function platformName({ platform, arch, musl }: Machine): string | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined;
  if (platform === 'linux') return `${musl ? 'linuxmusl' : 'linux'}-${arch}`;
  return platform === 'darwin' || platform === 'win32' ? `${platform}-${arch}` : undefined;
}

function thisMachine(): Machine {
  return { platform: process.platform, arch: process.arch, musl: process.platform === 'linux' && isMusl() };
}

/** Node names the C library it runs on only where that is glibc. */
function isMusl(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header !== undefined && report.header.glibcVersionRuntime === undefined;
}

/** Looks beside Skyport first, then where the SDK would look: strict installers nest it there. */
function packageRoot(packageName: string): string | undefined {
  const here = createRequire(import.meta.url);
  const lookups = [
    () => here.resolve(`${packageName}/package.json`),
    () => createRequire(here.resolve('@github/copilot-sdk')).resolve(`${packageName}/package.json`),
  ];
  for (const lookup of lookups) {
    try {
      return dirname(lookup());
    } catch {
      continue;
    }
  }
  return undefined;
}

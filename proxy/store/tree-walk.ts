/** Everything below a directory, files and directories only: symbolic links are neither counted nor copied. */
import { constants, lstatSync, readdirSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DIRECTORY_MODE } from './modes.js';

/** Bytes of all files. */
export function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const file = join(directory, entry.name);
    if (entry.isDirectory()) bytes += bytesBelow(file);
    else if (entry.isFile()) bytes += lstatSync(file).size;
  }
  return bytes;
}

/** Copies a directory to a place where nothing is. Shares the blocks where the file system can. */
export async function copyBelow(from: string, to: string): Promise<void> {
  await mkdir(to, DIRECTORY_MODE);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyBelow(source, target);
    else if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

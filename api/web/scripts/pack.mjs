// Writes the brotli and gzip versions of every built text file, for the server to choose from.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const folder = process.argv[2] ?? 'dist';
const TEXT = /\.(?:html|js|mjs|css|svg|json|webmanifest|txt)$/;
const SMALL = 512;
const best = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };

for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXT.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  const bytes = await readFile(file);
  if (bytes.length < SMALL || file.endsWith('.html')) continue;
  await writeFile(`${file}.br`, brotliCompressSync(bytes, best));
  await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
}

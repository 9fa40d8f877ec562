import { createRequire } from "node:module";
import path from "node:path";

/**
 * A large text file that every install has: the compiler's description of the DOM, 2.3 MB in 45,000 lines. TypeScript keeps it
 * in the package of its platform, next to the compiler itself.
 */
export function sampleFile(): string {
  const require = createRequire(import.meta.url);
  const typescript = createRequire(require.resolve("typescript/package.json"));
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  return path.join(path.dirname(typescript.resolve(`${platform}/package.json`)), "lib", "lib.dom.d.ts");
}

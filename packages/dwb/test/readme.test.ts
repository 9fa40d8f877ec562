import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("the README's program runs as printed, on the built package, and prints what the README says", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const readme = readFileSync(`${root}/README.md`, "utf8");
  const program = /```js\n([\s\S]*?)```/.exec(readme)![1]!;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
  });
  expect(output.trim()).toBe(/It prints `(.*)`\./.exec(readme)![1]);
});

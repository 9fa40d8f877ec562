import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseSync } from "oxc-parser";

export interface Import {
  readonly specifier: string;
  /** What is imported by name; empty for a namespace, a side effect or a dynamic import. */
  readonly names: readonly string[];
  readonly typeOnly: boolean;
}

/** What a source file says about the world outside of it. */
export interface Source {
  readonly file: string;
  readonly imports: readonly Import[];
  /** Names that stand alone: local ones too. Also what is taken from `globalThis`. */
  readonly globals: readonly string[];
  /** Members of a plain name, as `Math.random`. */
  readonly members: readonly string[];
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Every source of a package, parsed. */
export function sourcesOf(packageDir: string): Source[] {
  const src = path.join(packageDir, "src");
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => path.join(src, name))
    .map((file) => readSource(file, readFileSync(file, "utf8")));
}

export function readSource(file: string, text: string): Source {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const found = { file, imports: [] as Import[], globals: [] as string[], members: [] as string[] };
  visit(program as unknown as Node, found);
  return found;
}

function visit(node: Node, found: { imports: Import[]; globals: string[]; members: string[] }): void {
  const imported = importOf(node);
  if (imported !== undefined) {
    // The names in it are the other module's.
    found.imports.push(imported);
    return;
  }
  if (node.type === "Identifier") found.globals.push(node.name as string);
  if (node.type === "MemberExpression" && node.computed === false) {
    const object = node.object as Node;
    const property = (node.property as Node).name as string;
    const owner = memberName(object);
    if (owner === "globalThis") found.globals.push(property);
    else if (owner !== undefined) found.members.push(`${owner}.${property}`);
    else visit(object, found);
    return;
  }
  for (const [key, value] of Object.entries(node)) {
    // The name of a property is nobody's variable.
    if (key === "key" && node.computed !== true) continue;
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === "object" && child !== null && "type" in child) visit(child as Node, found);
    }
  }
}

/** The last name of `Math` or `globalThis.Math`; undefined for anything else. */
function memberName(node: Node): string | undefined {
  if (node.type === "Identifier") return node.name as string;
  if (node.type !== "MemberExpression" || node.computed !== false) return undefined;
  const object = node.object as Node;
  return object.type === "Identifier" && object.name === "globalThis"
    ? ((node.property as Node).name as string)
    : undefined;
}

function importOf(node: Node): Import | undefined {
  if (
    ![
      "ImportDeclaration",
      "ExportNamedDeclaration",
      "ExportAllDeclaration",
      "ImportExpression",
      "TSImportType",
    ].includes(node.type)
  ) {
    return undefined;
  }
  const source = node.source as Node | null | undefined;
  if (source?.type !== "Literal" || typeof source.value !== "string") return undefined;
  const specifiers = (node.specifiers ?? []) as Node[];
  const values = specifiers.filter(
    (specifier) => specifier.importKind !== "type" && specifier.exportKind !== "type",
  );
  const declaredType =
    node.importKind === "type" || node.exportKind === "type" || node.type === "TSImportType";
  return {
    specifier: source.value,
    names: values.map((specifier) => ((specifier.imported ?? specifier.local) as Node).name as string),
    typeOnly: declaredType || (specifiers.length > 0 && values.length === 0),
  };
}

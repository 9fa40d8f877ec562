const STABLE = /^(WAL|IO|DWB|RECORD)_[A-Z_]+$/;

export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** What a user may be told: an error of ours, that says by its code what it is. */
export function isTyped(error: unknown): error is Error {
  return error instanceof Error && STABLE.test(codeOf(error) ?? "");
}

function hasCause(error: unknown, codes: readonly string[]): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (codes.includes(codeOf(cause) ?? "")) return true;
  return false;
}

/** The machine crashed under the call, or the process was killed. */
export const isProcessEnd = (error: unknown): boolean => hasCause(error, ["IO_CLOSED"]);

export const isNoSpace = (error: unknown): boolean => hasCause(error, ["WAL_NO_SPACE", "IO_NO_SPACE"]);

/** Swallows errors of `codes`, and no others. */
export function except(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(codeOf(error) ?? "")) throw error;
    return undefined;
  };
}

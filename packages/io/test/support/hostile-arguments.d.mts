export function callWithHostileArguments(name: string, other: string, runs: number): Promise<void>;

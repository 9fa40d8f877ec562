type Name = "io-uring" | "pwrite";

export function backendsHere(): Promise<[Name, ...Name[]]>;

export function withoutUring(errno: "EPERM" | "ENOSYS"): string[];

export type RefusedCall = "io_uring_setup" | "pwritev2" | "fdatasync";
export function withoutCall(call: RefusedCall, errno: "EPERM" | "ENOSYS"): string[];

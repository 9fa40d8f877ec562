export function faultShim(): string;
export function faultEnvironment(rules: string, env?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
export function createFaultControl(path: string): void;
export function controlEnvironment(path: string, env?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
export function armFaults(path: string, rules: string): void;
export function faultCounts(path: string): { applied: number; overlappedSyncs: number; calls: number };

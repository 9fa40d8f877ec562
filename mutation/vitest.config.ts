import { defineConfig, mergeConfig } from "vitest/config";
import base from "../vitest.base.ts";

// Each trial is a process of its own.
export default mergeConfig(base, defineConfig({ test: { maxConcurrency: 2 } }));

import { mergeConfig } from "vitest/config";
import base from "../vitest.base.ts";

export default mergeConfig(base, {
  // Packs every package and installs them into a project, once for all files.
  test: { globalSetup: ["test/support/install-packed.ts"] },
});

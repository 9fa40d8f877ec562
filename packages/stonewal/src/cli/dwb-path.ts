import { Option } from "commander";

export interface DwbPathOptions {
  readonly dwbPath?: string;
}

export const dwbPathOption = (): Option =>
  new Option("--dwb-path <PATH>", "where the double-write buffer lies (default: dwb in DIR)");

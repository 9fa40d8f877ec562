import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { MESSAGE_FD, type Message, MessageReader } from "./messages.js";
import type { AppenderSettings } from "./settings.js";

export const APPENDER = fileURLToPath(new URL("../dist/appender.js", import.meta.url));

/** How a child ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child that appends, seen from its parent. */
export class AppenderProcess {
  /** Resolves when the process is gone and everything it told has been handed over. */
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;

  constructor(program: string, settings: AppenderSettings, onMessage: (message: Message) => void) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(settings)], {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
    });
    const pipe = this.#child.stdio[MESSAGE_FD] as Readable;
    const messages = new MessageReader();
    this.ended = new Promise((resolve, reject) => {
      pipe.setEncoding("utf8").on("data", (chunk: string) => {
        try {
          for (const message of messages.push(chunk)) onMessage(message);
        } catch (error) {
          this.kill();
          reject(error);
        }
      });
      // The pipe of a killed process may report a reset instead of an end.
      pipe.on("error", () => undefined);
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => resolve({ code, signal }));
    });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

import { writeSync } from "node:fs";

/** What the appending child tells its parent, one JSON object per line on the pipe that is its file descriptor 3. */
export type Message =
  /** The modules are loaded; the log is about to be opened. */
  | { readonly kind: "opening" }
  | ({ readonly kind: "opened" } & Opened)
  /** The record is about to be handed to the log. */
  | { readonly kind: "attempt"; readonly record: number }
  /** Its commit has resolved. */
  | { readonly kind: "acknowledged"; readonly record: number; readonly microseconds: number }
  | ({ readonly kind: "written" } & Written)
  /** The file is in the log, and the log is closed. */
  | { readonly kind: "finished" };

export interface Opened {
  readonly io: string;
  readonly direct: boolean;
  readonly dwb: string;
  readonly fileSystem: string;
  /** Records in the log after recovery. */
  readonly recovered: number;
  /** Frames that recovery wrote home from the double-write buffer. */
  readonly restoredFrames: number;
  /** Bytes of an interrupted write that recovery dropped. */
  readonly tornBytes: number;
}

/** Bytes written since the log was opened. */
export interface Written {
  readonly segmentBytes: number;
  readonly dwbBytes: number;
  /** Zeros, written ahead to have the next segment ready. */
  readonly preparedBytes: number;
}

export const MESSAGE_FD = 3;

/**
 * Does not return before the message is in the pipe: a child that is killed right afterwards has told it. An attempt must be known
 * before the log may hold the record.
 */
export function tell(message: Message): void {
  writeSync(MESSAGE_FD, `${JSON.stringify(message)}\n`);
}

/** Splits what comes out of the pipe into messages. A last line without its newline was never told. */
export class MessageReader {
  #partial = "";

  *push(chunk: string): Generator<Message, void, void> {
    const lines = (this.#partial + chunk).split("\n");
    this.#partial = lines.pop() as string;
    for (const line of lines) yield JSON.parse(line) as Message;
  }
}

const POOL_BYTES = 4 * 1024 * 1024;
const MOST = 4096;
const ACTIONS = ["created", "updated", "paid", "shipped", "cancelled", "returned"];

/** Numbers that look random, the same in every run. */
function numbers(): (below: number) => number {
  let state = 0x2545f491;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * What an event store would hold: JSON, an event to a line, whose names repeat, and whose ids, amounts and times are numbers
 * that look random. It compresses as such text does, to some 30 %; and no two records are alike, so that none is
 * compressed to a reference to another.
 */
function eventText(bytes: number): Buffer {
  const random = numbers();
  const lines: string[] = [];
  for (let length = 0, id = 1; length < bytes; id += 1) {
    const line = `{"id":${id},"order":"${random(2 ** 32).toString(36)}","action":"${ACTIONS[random(ACTIONS.length)]}","amount":${random(1e6) / 100},"at":${1.7e12 + random(1e10)}}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join(""), "latin1").subarray(0, bytes);
}

/**
 * Records of `bytes` each, cut out of such text one behind the other, wherever a line may end; and from the start again when all
 * have been given: no frame that is compressed here holds as many.
 */
export function payloadsOf(bytes: number): () => Uint8Array {
  const count = Math.max(1, Math.min(MOST, Math.floor(POOL_BYTES / bytes)));
  const text = eventText(count * bytes);
  const payloads = Array.from({ length: count }, (_, index) =>
    text.subarray(index * bytes, (index + 1) * bytes),
  );
  let next = 0;
  return () => {
    const payload = payloads[next] as Uint8Array;
    next = next + 1 === count ? 0 : next + 1;
    return payload;
  };
}

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

/** What an event store would hold: text that compresses as such text does, and no two records alike. */
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

/** Records of `bytes` each, one after the other, and from the start again when all have been given. */
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

import { frameRouting, paddedFrameBytes } from "@stonewal/record";
import { hex, listLog } from "./directory.js";
import { RecoveryError } from "./errors.js";
import type { Examination } from "./examine.js";
import { FrameFeed } from "./frame-feed.js";
import { look } from "./look.js";
import type { InspectedFrame, InspectedSegment, InspectReport, SegmentRef, VerifyOptions } from "./model.js";
import { refsOf, viewOf } from "./segment-refs.js";
import { verdictOn } from "./verify.js";

/** What `verifyLog` finds, and what lies where. Rejects as that does. */
export async function inspectLog(options: VerifyOptions): Promise<InspectReport> {
  const { found, live } = await look({ ...options, structureOnly: true });
  // Frames are listed without what they hold.
  found.keys.destroy();
  const { anchor } = found.anchorFile;
  return {
    ...verdictOn(found, live),
    logId: hex(found.segments.at(-1)?.walked.preamble.logId ?? anchor?.logId ?? new Uint8Array()),
    trimLsn: found.trimLsn,
    anchor: anchor && {
      generation: anchor.generation,
      trimLsn: anchor.trimPoint,
      watermark: anchor.watermark,
      lastLsn: anchor.durableLsn,
      sequence: anchor.sequence,
      time: anchor.time,
    },
    segmentList: found.segments.map((segment) => inspected(segment)),
    voidSegments: found.walk.voids.map((file) => file.name),
    spares: found.listing.spares.map((spare) => spare.name),
    frameList: () => frames(found),
  };
}

function inspected({ walked, end, lastLsn, sums }: Examination["segments"][number]): InspectedSegment {
  const { file, preamble } = walked;
  return {
    name: file.name,
    sequence: file.sequence,
    firstLsn: preamble.firstLsn,
    lastLsn,
    bytes: preamble.segmentBytes,
    end,
    blockBytes: preamble.blockBytes,
    recycled: preamble.recycled,
    created: preamble.time,
    keyId: preamble.encryption?.keyId,
    frames: sums.frames,
    records: sums.records,
    frameBytes: sums.bytes,
    paddingBytes: sums.paddingBytes,
  };
}

/** Those that a writer frees while they are listed, or cuts away, are left out: they count no more. */
async function* frames(found: Examination): AsyncGenerator<InspectedFrame, void, undefined> {
  let seen = 0;
  for (let refs: readonly SegmentRef[] = refsOf(found); refs.length > 0; ) {
    try {
      for await (const frame of framesOf(found, refs)) {
        if (frame.frameNumber <= seen) continue;
        seen = frame.frameNumber;
        yield frame;
      }
      return;
    } catch (error) {
      const left = await stillThere(found, refs);
      if (!(error instanceof RecoveryError) || left.length === refs.length) throw error;
      refs = left;
    }
  }
}

async function stillThere(found: Examination, refs: readonly SegmentRef[]): Promise<readonly SegmentRef[]> {
  const files = (await listLog(found.io, found.directory))?.segments ?? [];
  return refs.filter(({ path }) => files.some((file) => file.path === path));
}

async function* framesOf(
  found: Examination,
  refs: readonly SegmentRef[],
): AsyncGenerator<InspectedFrame, void, undefined> {
  const gone = refsOf(found).find(({ sequence }) => sequence > (refs.at(-1)?.sequence ?? 0));
  const last = gone?.preamble.previousFrameNumber ?? found.position.frameNumber - 1;
  const view = { ...viewOf(found, false), segments: () => refs };
  const feed = new FrameFeed(found.io, view, { from: 0, direct: found.access.direct, unpack: false });
  try {
    for (let chunk = await feed.next(last); chunk; chunk = await feed.next(last)) {
      const { path, preamble } = chunk.segment;
      for (const { header, at } of chunk.frames) {
        const { packed } = header;
        yield {
          file: path,
          sequence: header.sequence,
          offset: header.offset,
          frameNumber: header.frameNumber,
          firstLsn: header.firstLsn,
          lastLsn: Math.min(header.nextLsn - 1, chunk.lastLsn),
          kind: header.kind,
          records: header.recordCount,
          bytes: header.length,
          paddingBytes: paddedFrameBytes(header.length, preamble.blockBytes) - header.length,
          watermark: header.watermark,
          time: header.time,
          incarnation: hex(header.incarnation),
          keyId: packed?.encrypted ? packed.keyId : undefined,
          compression: packed?.compression,
          plainBytes: packed?.plainBytes,
          routing: frameRouting(chunk.bytes, at, header),
        };
      }
      feed.release();
    }
  } finally {
    await feed.close();
  }
}

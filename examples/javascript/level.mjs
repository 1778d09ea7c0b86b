// How loud it is: takes frames of sound (s16, mono), answers each with its level in dBFS.
//
//   exec: node examples/javascript/level.mjs
//   in: {audio: capture.audio}
//   out: {level: audio.level}
//   with: {floor_db: -100}     what silence is said to be

import { run } from "./voicegraph.mjs";

const FULL_SCALE = 32768;

/** RMS and peak of s16 little-endian samples, in dB relative to full scale. */
function level(pcm, floorDb) {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const samples = pcm.byteLength >> 1;
  let squares = 0;
  let peak = 0;
  for (let i = 0; i < samples; i++) {
    const sample = view.getInt16(2 * i, true) / FULL_SCALE;
    squares += sample * sample;
    peak = Math.max(peak, Math.abs(sample));
  }
  const db = (amplitude) => Math.max(floorDb, 20 * Math.log10(amplitude));
  return { rms_db: db(Math.sqrt(squares / Math.max(1, samples))), peak_db: db(peak) };
}

await run({
  setup(node) {
    const { floor_db = -100, ...unknown } = node.config;
    if (Object.keys(unknown).length) throw new Error(`unknown parameter '${Object.keys(unknown)[0]}': there is floor_db`);
    if (typeof floor_db !== "number") throw new Error("floor_db must be a number, of dB");
    node.floorDb = floor_db;
  },
  inputs: {
    async audio(message, node) {
      if (message.kind !== "audio.frame") throw new Error(`takes audio.frame, not ${message.kind}`);
      const { sample_rate, start = 0 } = message.body;
      await node.send("level", { kind: "audio.level", body: { start, sample_rate, ...level(message.payload, node.floorDb) } }, message);
    },
  },
});

// A source in JavaScript, for tests: sends 0, 1, 2, … ; with `throw_at`, it breaks there.

import { run } from "../../examples/javascript/voicegraph.mjs";

await run({
  async source(node) {
    const { count, every_ms = 0, throw_at = -1 } = node.config;
    for (let n = 0; n < count && !node.draining; n++) {
      if (n === throw_at) throw new Error("unplugged");
      await node.send("out", { kind: "test.number", body: { n }, session: `s${n % 5}` });
      if (n === 0) await node.mark("first", { pid: process.pid });
      if (every_ms) await new Promise((later) => setTimeout(later, every_ms));
    }
  },
});

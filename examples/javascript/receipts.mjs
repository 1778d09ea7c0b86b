// at_least_once: a message is acknowledged when all that it caused is done, and repeats are known by their cause.

import { createHash } from "node:crypto";

/** Of one message, from a queue or begun here: `finish` is called when its handling and all its effects are done. */
export class Receipt {
  open = 1;
  outputs = {}; // by edge, how many it has caused

  constructor(cause, finish) {
    this.cause = cause; // [origin, number, id, run]
    this.finish = finish;
    this.copies = [];
  }

  close() {
    if (--this.open === 0) this.finish(this);
  }

  /** The cause of the next output on an edge: the same when the same work is done again. */
  next(edge) {
    const k = this.outputs[edge] ?? 0;
    this.outputs[edge] = k + 1;
    const [origin, number, id, run] = this.cause;
    const digest = createHash("sha256").update(`${id} ${edge} ${k}`).digest();
    return [origin, number, digest.readBigUInt64LE() >> 11n, run ?? 0];
  }
}

/** What one edge brought. An origin's floor tells what will never come again, so this stays small. */
export class Seen {
  origins = new Map(); // by origin: {floor, effects: number -> id -> receipt}

  /** A receipt for a message; null for a repeat, which is done (and `finish`ed) with the first. */
  take(header, copy, finish) {
    const [origin, number, id, run] = header.cause ?? [`${header.instance}~${header.life}.${copy.lane.edge.edge}`, header.seq, 0, 0];
    if (!this.origins.has(origin)) this.origins.set(origin, { floor: 0, effects: new Map() });
    const of = this.origins.get(origin);
    if (header.floor > of.floor) {
      of.floor = header.floor;
      for (const old of of.effects.keys()) if (old < of.floor) of.effects.delete(old);
    }
    const receipt = new Receipt([origin, number, id, run ?? 0], finish);
    receipt.copies.push(copy);
    if (!header.cause) return receipt;
    if (Number(number) < of.floor) return finish(receipt), null;
    if (!of.effects.has(Number(number))) of.effects.set(Number(number), new Map());
    const effects = of.effects.get(Number(number));
    const known = effects.get(String(id));
    if (known && (run ?? 0) <= known.cause[3]) {
      if (known.open === 0) finish(receipt);
      else known.copies.push(copy);
      return null;
    }
    effects.set(String(id), receipt);
    return receipt;
  }

  floor(origin) {
    return this.origins.get(origin)?.floor ?? 0;
  }
}

/** The messages that begin here, and which of them are finished with. */
export class Origin {
  next = 0;
  open = new Set();

  constructor(name) {
    this.name = name;
  }

  get floor() {
    return this.open.size ? this.open.values().next().value : this.next;
  }

  begin() {
    const number = this.next++;
    this.open.add(number);
    return new Receipt([this.name, number, 0, 0], () => this.open.delete(number));
  }
}

// Queues: PUSH/PULL where an acknowledgement is the credit. The taker's end, and the producer's.

import { Pull, Push } from "zeromq";
import { Outlet, pack, readHeader, tooLong, unpackMap } from "./message.mjs";
import { Seen } from "./receipts.mjs";

const push = (endpoint) => {
  const socket = new Push({ linger: 1000, reconnectInterval: 10, sendHighWaterMark: 0 }); // credit bounds what is in it
  socket.connect(endpoint);
  return new Outlet(socket);
};

/** All queues into this instance. `deliver` gets {edge, header, payload, receipt, done()} and {ended: [edge], instance}. */
export class QueuesIn {
  producers = new Map(); // by instance: where to say hello and acknowledge
  lanes = new Map(); // by edge and producer

  constructor(me, counts, deliver) {
    this.me = me;
    this.counts = counts;
    this.deliver = deliver;
    this.socket = new Pull({ linger: 0, receiveHighWaterMark: 0 });
    for (const edge of me.inputs.filter((edge) => edge.link === "queue")) {
      const keeps = edge.delivery === "at_least_once";
      const seen = keeps ? new Seen() : null;
      for (const { instance, endpoint } of edge.producers) {
        if (!this.producers.has(instance)) this.producers.set(instance, endpoint);
        this.lanes.set(`${edge.edge} ${instance}`, { edge, seen, tracks: keeps || edge.order === "session", instance, life: 0, expected: 0, freed: 0 });
      }
    }
  }

  async open() {
    if (!this.me.bind.work) return;
    await this.socket.bind(this.me.bind.work);
    for (const [instance, endpoint] of this.producers) this.producers.set(instance, push(endpoint));
    for (const instance of this.producers.keys()) this.hello(instance);
    this.serve();
  }

  hello(instance) {
    this.producers.get(instance)?.send(pack({ type: "hello", taker: this.me.instance, life: this.me.life }));
  }

  async serve() {
    const edges = new Set([...this.lanes.values()].map((lane) => lane.edge.edge));
    for await (const frames of this.socket) {
      const topic = frames[0].toString();
      if (edges.has(topic)) this.data(topic, frames);
      else this.notice(topic, frames);
    }
  }

  notice(topic, frames) {
    try {
      const { instance, edge } = unpackMap(frames.at(-1));
      if (topic === "hello" && this.producers.has(instance)) return this.hello(instance);
      if (topic === "end" && this.lanes.has(`${edge} ${instance}`)) return this.deliver({ ended: [edge], instance });
    } catch {
      // counted below
    }
    this.counts.stranger();
  }

  data(edge, frames) {
    const count = this.counts.of(edge);
    let header, lane;
    try {
      header = readHeader(frames);
      lane = this.lanes.get(`${edge} ${header.instance}`);
      if (!lane) throw new Error(`'${header.instance}' is no producer of '${edge}'`);
      if (header.to !== this.me.life) return; // on its way to our former life: its producer knows that it has not arrived
      if (header.life < lane.life) throw new Error(`of an earlier life of '${header.instance}'`);
      if (header.life > lane.life) Object.assign(lane, { life: header.life, expected: 0, freed: 0 });
      if (header.seq < lane.expected) throw new Error(`number ${header.seq} of '${header.instance}' came before`);
    } catch (error) {
      return this.counts.rejected(edge, error);
    }
    const missing = header.seq - lane.expected; // cannot be on a lane that holds, but whoever skips numbers gets his credit
    count.dropped += missing;
    lane.freed += missing;
    lane.expected = header.seq + 1;
    const copy = { lane, life: header.life, seq: header.seq };
    const unfit = tooLong(frames, this.me.max_message);
    if (unfit) {
      this.counts.rejected(edge, unfit);
      return this.free(copy, lane.tracks);
    }
    const receipt = lane.seen?.take(header, copy, (finished) => finished.copies.splice(0).forEach((one) => this.acknowledge(one, true)));
    if (receipt === null) {
      count.duplicates += 1;
      return this.free(copy);
    }
    const began = Date.now();
    this.deliver({ edge: lane.edge, header, payload: frames[2] ?? Buffer.alloc(0), receipt, floor: (origin) => lane.seen.floor(origin), done: () => this.done(copy, receipt, began) });
  }

  done(copy, receipt, began) {
    receipt?.close(); // of its own hold: effects may keep it open
    this.free(copy, !receipt && copy.lane.tracks, 1000 * (Date.now() - began));
  }

  free(copy, finished = false, busyUs = 0) {
    if (copy.life === copy.lane.life) copy.lane.freed += 1; // else its producer is gone: there is nobody to be told
    this.acknowledge(copy, finished, busyUs);
  }

  acknowledge({ lane, life, seq }, finished, busyUs = 0) {
    if (life !== lane.life) return;
    const told = { taker: this.me.instance, edge: lane.edge.edge, freed: lane.freed, life: this.me.life, to: life, busy_us: busyUs };
    this.producers.get(lane.instance).send(pack({ type: "ack", ...told, done: finished ? [seq] : [] }));
  }
}

/** One queue that an output feeds. */
export class QueueOut {
  waiting = [];
  unfinished = 0; // waiting, in hand, or kept
  order = 0;
  freeing = []; // who waits for room
  ended = false;
  abandoned = false; // no taker will ever come back

  constructor(me, edge, counts, warn) {
    if (edge.order === "session" && edge.takers.length > 1) throw new Error(`${edge.edge}: this library cannot feed a queue with order: session to replicas`);
    Object.assign(this, { me, edge, warn, count: counts.of(edge.edge), keeps: edge.delivery === "at_least_once" });
    const window = edge.takers.length === 1 ? Math.min(edge.depth, 64) : 1; // a busy replica is spared
    this.lanes = edge.takers.map(({ instance, endpoint }) => ({ taker: instance, endpoint, window, life: -1, buried: -1, sent: 0, freed: 0, held: new Map() }));
  }

  open() {
    for (const lane of this.lanes) this.connect(lane);
  }

  connect(lane) {
    lane.outlet = push(lane.endpoint);
    lane.outlet.send("hello", pack({ instance: this.me.instance, life: this.me.life }));
  }

  get ready() {
    return this.lanes.every((lane) => lane.life >= 0 || lane.absent);
  }

  /** Nobody waits for a taker any more; `final`: nor will it come back. What is kept is held until the last one is gone for good. */
  absent(taker, final) {
    const lane = this.lanes.find((one) => one.taker === taker);
    if (!lane) return;
    lane.absent = true;
    this.abandoned ||= final && this.deserted;
    if (!this.deserted || (this.keeps && !this.abandoned)) return;
    for (const parcel of this.waiting.splice(0)) this.lose(parcel);
    this.deal();
  }

  /** A taker that was absent is started again. */
  expected(taker) {
    const lane = this.lanes.find((one) => one.taker === taker);
    if (lane) lane.absent = false;
  }

  get deserted() {
    return this.lanes.every((lane) => lane.absent);
  }

  lose(parcel) {
    this.unfinished -= 1;
    this.count[this.keeps ? "dead_lettered" : "dropped"] += 1;
    if (this.keeps) this.warn(`${this.edge.edge}: a message that nobody is left to take is dropped`);
    parcel.receipt?.close();
  }

  get settled() {
    return !this.waiting.length && !(this.keeps && this.unfinished);
  }

  /** Hand a message over, or keep it until a taker is free; waits while `depth` messages are unfinished. */
  async push(header, payload, receipt) {
    while (this.unfinished >= this.edge.depth && this.edge.when_full === "block") await new Promise((freed) => this.freeing.push(freed));
    this.count.sent += 1;
    if (this.unfinished >= this.edge.depth) {
      this.count.dropped += 1;
      if (this.edge.when_full === "drop_newest" || !this.waiting.length) return;
      this.waiting.shift();
      this.unfinished -= 1;
    }
    this.unfinished += 1;
    const parcel = { header, payload, receipt, order: this.order++, kills: 0 };
    if (this.deserted && (this.abandoned || !this.keeps)) return this.lose(parcel);
    this.waiting.push(parcel);
    this.deal();
  }

  deal() {
    while (this.waiting.length) {
      const free = this.lanes.filter((lane) => lane.life >= 0 && lane.sent - lane.freed < lane.window);
      if (!free.length) break;
      const lane = free.reduce((a, b) => (b.sent - b.freed < a.sent - a.freed ? b : a));
      const parcel = this.waiting.shift();
      const seq = lane.sent++;
      if (this.keeps) lane.held.set(seq, parcel);
      const frame = pack({ ...parcel.header, seq, life: this.me.life, to: lane.life });
      if (parcel.payload?.length) lane.outlet.send(this.edge.edge, frame, parcel.payload);
      else lane.outlet.send(this.edge.edge, frame);
    }
    this.count.depth = this.unfinished;
    this.count.depth_max = Math.max(this.count.depth_max, this.unfinished);
    if (this.unfinished < this.edge.depth) this.freeing.splice(0).forEach((freed) => freed());
  }

  /** A hello or an acknowledgement that came to `credit`. */
  credit(notice) {
    const lane = this.lanes.find((one) => one.taker === notice.taker);
    const life = Number(notice.life ?? 0);
    if (!lane) return;
    if (notice.type === "hello" && life > Math.max(lane.life, lane.buried)) {
      if (lane.life >= 0) this.gone(lane.taker, lane.life); // nobody told that its former life died
      lane.life = life;
      if (this.ended) this.endLane(lane);
    } else if (notice.type === "ack" && notice.edge === this.edge.edge && Number(notice.to ?? 0) === this.me.life && life === lane.life) {
      this.acknowledged(lane, Number(notice.freed), notice.done ?? []);
    }
    this.deal();
  }

  acknowledged(lane, freed, done) {
    if (!(freed >= lane.freed && freed <= lane.sent)) return; // late, or nonsense
    if (!this.keeps) this.unfinished -= freed - lane.freed;
    lane.freed = freed;
    for (const seq of done.map(Number)) {
      const parcel = lane.held.get(seq);
      if (!lane.held.delete(seq)) continue;
      this.unfinished -= 1;
      parcel.receipt?.close();
    }
  }

  /** A taker died; `counted` and `inHand` (-1: none) say how far it had come, if anybody knows. */
  gone(taker, life, counted, inHand) {
    const lane = this.lanes.find((one) => one.taker === taker);
    if (!lane || lane.life !== life) return;
    const { sent, freed, held } = lane;
    Object.assign(lane, { life: -1, buried: life, sent: 0, freed: 0, held: new Map() });
    lane.outlet.discard(); // what is still in it must not reach the taker's next life
    this.connect(lane);
    if (!this.keeps) {
      this.unfinished -= sent - freed;
      this.count.dropped += Math.max(0, sent - (counted ?? freed));
    }
    for (const [seq, parcel] of held) {
      parcel.header.attempt = (parcel.header.attempt ?? 0) + 1;
      if (seq === inHand || (inHand === undefined && seq >= freed)) parcel.kills += 1;
      if (parcel.kills < this.edge.give_up_after) {
        this.count.resent += 1;
        this.waiting.push(parcel);
      } else {
        this.count.dead_lettered += 1;
        this.unfinished -= 1;
        this.warn(`${this.edge.edge}: a message killed ${parcel.kills} takers and is dropped`);
        parcel.receipt?.close();
      }
    }
    this.waiting.sort((a, b) => a.order - b.order);
    this.deal();
  }

  end() {
    this.ended = true;
    for (const lane of this.lanes) this.endLane(lane);
  }

  endLane(lane) {
    lane.outlet.send("end", pack({ instance: this.me.instance, edge: this.edge.edge, sent: lane.sent, life: this.me.life }));
  }
}

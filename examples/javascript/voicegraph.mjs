// A node of a voicegraph in JavaScript: `await run({ inputs: { audio(message, node) { … } } })`.
//
//   setup(node)              load what takes long
//   inputs: {name: handler}  handler(message, node), one at a time; may be async
//   source(node)             of a node with no inputs: send until it is done, or node.draining is set
//   drain(node)              all inputs have ended: say what is left to say
//   close(node)              free what setup took
//
// Handlers share one thread with the sockets: work of more than a few milliseconds belongs into a worker thread.

import { readFileSync } from "node:fs";
import { Pull } from "zeromq";
import { Control } from "./control.mjs";
import { nowNs, pack, PROTOCOL, unpackMap } from "./message.mjs";
import { QueueOut, QueuesIn } from "./queues.mjs";
import { Origin } from "./receipts.mjs";
import { StreamsIn, StreamsOut } from "./streams.mjs";

/** What was counted, by edge, in the words of the beat. */
class Counts {
  edges = {};

  constructor(warn) {
    this.warn = warn;
    this.warned = new Set();
  }

  of(edge) {
    return (this.edges[edge] ??= { sent: 0, delivered: 0, dropped: 0, rejected: 0, resent: 0, duplicates: 0, dead_lettered: 0, bytes: 0, depth: 0, depth_max: 0 });
  }

  rejected(edge, error) {
    this.of(edge).rejected += 1;
    this.once(edge, `${edge}: a message was rejected: ${error.message}`);
  }

  stranger() {
    this.once("", "frames came that belong to no link of this node");
  }

  once(key, text) {
    if (!this.warned.has(key)) this.warn(text);
    this.warned.add(key);
  }
}

export class Node {
  draining = false;
  course = "starting"; // how far it is, as its beats tell
  #marks = [];
  #inbox = [];
  #wake = () => {};

  constructor(me) {
    this.me = me;
    this.config = me.with;
    this.counts = new Counts((text) => this.warn(text));
    this.control = new Control(me, (command) => this.#command(command), () => this.#beat());
    this.origin = new Origin(`${me.instance}~${me.life}`);
    this.awaited = new Map(me.inputs.filter((e) => !e.feedback).map((e) => [e.edge, new Set(e.producers.map((p) => p.instance))]));
    this.streamsOut = new StreamsOut(me);
    this.streamsIn = new StreamsIn(me, this.counts, (item) => this.#deliver(item));
    this.queuesIn = new QueuesIn(me, this.counts, (item) => this.#deliver(item));
  }

  /** Bind first, so that an address in use is known before anything is loaded. */
  async open() {
    const spoken = this.me.protocol;
    if (spoken !== PROTOCOL) throw new Error(`the graph speaks protocol ${spoken}, this library ${PROTOCOL}: take the one of its version`);
    await this.streamsOut.open();
    this.queues = {};
    for (const [port, { queues }] of Object.entries(this.me.outputs)) {
      this.queues[port] = queues.map((edge) => new QueueOut(this.me, edge, this.counts, (text) => this.warn(text)));
    }
    this.queuesOut = Object.values(this.queues).flat();
    if (this.me.bind.credit) {
      this.credit = new Pull({ linger: 0, receiveHighWaterMark: 0 });
      await this.credit.bind(this.me.bind.credit);
      this.#serveCredit();
    }
    for (const queue of this.queuesOut) queue.open();
    await this.queuesIn.open();
    this.streamsIn.open();
  }

  async #serveCredit() {
    for await (const frames of this.credit) {
      try {
        const notice = unpackMap(frames.at(-1));
        for (const queue of this.queuesOut) queue.credit(notice);
      } catch {
        this.counts.stranger();
      }
    }
  }

  // ---- what an author uses

  status(text) {
    this.control.tell("status", { text });
  }

  warn(text) {
    this.control.tell("warned", { text });
  }

  /** A time stamp on a turn, for metrics nodes and the report. */
  mark(name, fields = {}, message) {
    const mark = { name, at_ns: nowNs(), fields };
    const { session = "default", turn = 0, revision = 0 } = message?.header ?? {};
    this.#marks.push({ mark, instance: this.me.instance, session, turn, revision });
    return this.send("telemetry", { kind: "telemetry.mark", body: mark }, message);
  }

  /** Send on an output. What is not said (session, turn …) is taken over from the message that is answered. */
  async send(port, { kind, body = {}, payload, session, turn, revision, origin_ns }, message) {
    if (!(port in this.me.outputs)) throw new Error(`no output '${port}': it has ${Object.keys(this.me.outputs)}`);
    if ((payload?.length ?? 0) > this.me.max_message) return this.warn(`a message on '${port}' is longer than max_message: it is not sent`);
    const of = message?.header ?? {};
    const header = { v: PROTOCOL, kind, port, instance: this.me.instance, seq: 0 };
    Object.assign(header, { session: session ?? of.session ?? "default", turn: turn ?? of.turn, revision: revision ?? of.revision });
    Object.assign(header, { origin_ns: origin_ns ?? of.origin_ns, trace: of.trace, sent_ns: nowNs(), host: this.me.host, body });
    await this.#feed(this.queues[port], header, payload, message);
    await this.streamsOut.publish(header, payload);
  }

  async #feed(queues, header, payload, message) {
    const kept = queues.filter((queue) => queue.keeps).length;
    const receipt = kept ? (message?.receipt ?? this.origin.begin()) : null;
    if (receipt) receipt.open += message?.receipt ? kept : kept - 1;
    for (const queue of queues) {
      const one = { ...header };
      if (queue.keeps && message?.receipt) Object.assign(one, { cause: receipt.next(queue.edge.edge), floor: message.floor(receipt.cause[0]) });
      else if (queue.keeps) Object.assign(one, { cause: receipt.cause, floor: this.origin.floor });
      await queue.push(one, payload, queue.keeps ? receipt : null);
    }
  }

  // ---- what the graph does with it

  #command({ type, instance, life, lanes, final }) {
    if (type === "start") [this.started, this.course] = [true, this.course === "ready" ? "running" : this.course];
    if (type === "absent") this.#absent(instance, final);
    if (type === "expected") {
      this.streamsIn.absent(instance, false);
      for (const queue of this.queuesOut ?? []) queue.expected(instance);
    }
    if (type === "drain") this.draining = true;
    if (type === "stop") this.stopped?.();
    if (type === "abandon") process.exit(1);
    if (type === "gone") {
      for (const queue of this.queuesOut ?? []) {
        const [producerLife, counted, inHand] = lanes?.[queue.edge.edge]?.[this.me.instance] ?? [];
        const heardOfUs = producerLife === undefined || Number(producerLife) === this.me.life;
        queue.gone(instance, Number(life ?? 0), ...(heardOfUs ? [counted, inHand].map((n) => (n === undefined ? n : Number(n))) : [0, -1]));
      }
    }
    this.#wake();
  }

  /** An instance has failed or was stopped: nobody waits for it, and when it is for good, what comes from it has ended. */
  #absent(instance, final) {
    this.streamsOut.missing.delete(instance);
    this.streamsIn.absent(instance, true);
    for (const queue of this.queuesOut ?? []) queue.absent(instance, final);
    const edges = [...this.awaited].filter(([, producers]) => producers.has(instance)).map(([edge]) => edge);
    if (final && edges.length) this.#deliver({ ended: edges, instance });
  }

  #beat() {
    const sent = {};
    for (const [topic, n] of Object.entries(this.streamsOut.sent)) {
      const port = topic.slice(this.me.node.length + 1, topic.lastIndexOf("/"));
      sent[port] = (sent[port] ?? 0) + n;
    }
    const { course, draining } = this;
    return { sent, edges: this.counts.edges, marks: this.#marks.splice(0), life: this.me.life, course, draining };
  }

  #deliver(item) {
    const count = item.edge && this.counts.of(item.edge.edge);
    if (count && item.edge.link === "stream" && count.depth >= item.edge.depth) {
      count.dropped += 1;
      if (item.edge.when_full !== "drop_oldest") return;
      this.#inbox.splice(this.#inbox.findIndex((one) => one.edge === item.edge), 1);
      count.depth -= 1;
    }
    if (count) count.depth_max = Math.max(count.depth_max, ++count.depth);
    this.#inbox.push(item);
    this.#wake();
  }

  /** Look again whenever something has come, and at least every so often. */
  async until(condition, look = () => {}) {
    while (!condition()) {
      let timer;
      await new Promise((wake) => {
        this.#wake = wake;
        timer = setTimeout(wake, 100);
      });
      clearTimeout(timer);
      look();
    }
  }

  get linked() {
    return this.streamsOut.missing.size === 0 && this.streamsIn.ready && this.queuesOut.every((queue) => queue.ready);
  }

  async live(author) {
    await author.setup?.(this);
    this.course = "loaded";
    await this.control.tell("loaded");
    await this.until(() => this.linked);
    this.course = "ready";
    await this.control.tell("ready");
    if (this.me.source) {
      await this.until(() => this.started || this.draining);
      await author.source?.(this);
    } else await this.#consume(author.inputs ?? {});
    await author.drain?.(this);
    this.course = "ending";
    await this.control.tell("ending");
    await this.until(() => this.queuesOut.every((queue) => queue.settled), () => this.#dropAll());
    for (const queue of this.queuesOut) queue.end();
    this.course = "drained";
    this.control.tell("beat", this.#beat());
    await this.control.tell("drained");
    this.streamsOut.end();
    await this.until(() => this.control.orphaned, () => (this.#dropAll(), this.streamsOut.end())); // repeated, until told to stop
  }

  async #consume(handlers) {
    while (this.#inbox.length || [...this.awaited.values()].some((producers) => producers.size)) {
      await this.until(() => this.#inbox.length);
      const item = this.#inbox.shift();
      if (item.ended) {
        for (const edge of item.ended) this.awaited.get(edge)?.delete(item.instance);
        continue;
      }
      const count = this.counts.of(item.edge.edge);
      count.depth -= 1;
      count.delivered += 1;
      count.bytes += item.payload.length;
      const { kind, session, turn, revision, body } = item.header;
      await handlers[item.edge.input]?.({ kind, session, turn, revision, body, ...item }, this);
      item.done?.();
    }
  }

  #dropAll() {
    for (const item of this.#inbox.splice(0)) {
      if (!item.edge) continue;
      this.counts.of(item.edge.edge).depth -= 1;
      this.counts.of(item.edge.edge).dropped += 1;
      item.done?.();
    }
  }

  async close() {
    this.control.tell("beat", this.#beat());
    await this.control.close();
    for (const lane of this.queuesOut?.flatMap((queue) => queue.lanes) ?? []) await lane.outlet?.close();
    for (const producer of this.queuesIn.producers.values()) await producer.close?.();
    await this.streamsOut.outlet.close();
    for (const end of [this.credit, this.queuesIn.socket, this.streamsIn.socket]) end?.close();
  }
}

/** Run a node until the graph ends. Exit code 0: drained, or told to stop; 1: it could not go on, and said why. */
export async function run(author) {
  const file = process.env.VOICEGRAPH_NODE;
  if (!file) {
    console.error("this is a node of a voicegraph: name it under `exec:` in a graph file and start that with `graph run`");
    process.exit(2);
  }
  const node = new Node(JSON.parse(readFileSync(file, "utf8")));
  const stopped = new Promise((stop) => (node.stopped = stop));
  process.on("SIGINT", () => {}); // Ctrl-C is for the supervisor
  process.on("SIGTERM", () => node.stopped());
  let code = 0;
  try {
    await node.open();
    await Promise.race([stopped, node.live(author)]);
  } catch (error) {
    console.error(error);
    node.control.tell("failed", { text: String(error) });
    code = 1;
  }
  await author.close?.(node);
  await node.close();
  process.exit(code);
}

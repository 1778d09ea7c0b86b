// Streams: PUB/SUB with a start barrier, and every loss counted.

import { Subscriber, XPublisher } from "zeromq";
import { Outlet, pack, partitionOf, readHeader, tooLong, unpackMap } from "./message.mjs";

/** Everything that this instance publishes. */
export class StreamsOut {
  sent = {}; // by topic

  constructor(me) {
    this.me = me;
    this.missing = new Set(me.consumers); // whose subscriptions have not been seen yet
    this.socket = new XPublisher({ linger: 1000, sendHighWaterMark: me.stream_depth });
    this.socket.verbosity = "allSubs";
    this.outlet = new Outlet(this.socket);
  }

  async open() {
    await this.socket.bind(this.me.bind.out);
    this.serve();
  }

  async serve() {
    for await (const [notice] of this.socket) {
      if (notice[0] !== 1) continue; // somebody has left
      const topic = notice.subarray(1).toString();
      if (topic.startsWith("?")) this.outlet.send(topic, this.notice("welcome", "next"));
      const [consumer, instance, life] = topic.slice(1).split("/");
      if (topic.startsWith("!") && instance === this.me.instance && life === String(this.me.life)) this.missing.delete(consumer);
    }
  }

  notice(type, numbers) {
    return pack({ type, instance: this.me.instance, life: this.me.life, [numbers]: this.sent });
  }

  publish(header, payload) {
    const topic = this.me.outputs[header.port].topic + partitionOf(header.session);
    const seq = this.sent[topic] ?? 0;
    this.sent[topic] = seq + 1;
    const frame = pack({ ...header, seq, life: this.me.life });
    return payload?.length ? this.outlet.send(topic, frame, payload) : this.outlet.send(topic, frame);
  }

  end() {
    for (const consumer of this.me.consumers) this.outlet.send(`?${consumer}`, this.notice("end", "sent"));
  }
}

/** Everything that this instance listens to. `deliver` gets {edge, header, payload} and {ended: [edges], instance}. */
export class StreamsIn {
  constructor(me, counts, deliver) {
    this.me = me;
    this.counts = counts;
    this.deliver = deliver;
    this.edges = me.inputs.filter((edge) => edge.link === "stream");
    this.socket = new Subscriber({ linger: 0, reconnectInterval: 10, receiveHighWaterMark: me.stream_depth });
    this.producers = new Map(); // by instance: {life, next: by topic, welcomed, edges}
  }

  open() {
    for (const edge of this.edges) {
      this.socket.subscribe(...edge.topics);
      for (const { instance, endpoint } of edge.producers) {
        if (!this.producers.has(instance)) {
          this.producers.set(instance, { life: -1, next: {}, welcomed: false, edges: [] });
          this.socket.connect(endpoint);
        }
        this.producers.get(instance).edges.push(edge);
      }
    }
    if (this.producers.size) this.socket.subscribe(`?${this.me.instance}`); // asks each for its welcome
    this.serve();
  }

  /** A producer has failed or was stopped, or is started again. */
  absent(instance, absent) {
    const producer = this.producers.get(instance);
    if (producer) producer.absent = absent;
  }

  get ready() {
    return [...this.producers.values()].every((producer) => producer.welcomed || producer.absent);
  }

  async serve() {
    for await (const frames of this.socket) {
      const topic = frames[0].toString();
      if (topic === `?${this.me.instance}`) this.notice(frames);
      else this.data(topic, frames);
    }
  }

  data(topic, frames) {
    const edges = this.edges.filter((edge) => topic.startsWith(`${edge.from}/`));
    if (!edges.length) return this.counts.stranger();
    let header, lost;
    try {
      if (!/\/[0-3][0-9a-f]$/.test(topic)) throw new Error(`'${topic}' is no topic`);
      header = readHeader(frames);
      lost = this.lost(topic, header);
    } catch (error) {
      for (const edge of edges) this.counts.rejected(edge.edge, error);
      return;
    }
    for (const edge of edges) {
      this.counts.of(edge.edge).dropped += lost;
      const unfit = tooLong(frames, this.me.max_message);
      if (unfit) this.counts.rejected(edge.edge, unfit);
      else this.deliver({ edge, header, payload: frames[2] ?? Buffer.alloc(0) });
    }
  }

  lost(topic, { instance, life, seq }) {
    const producer = this.producers.get(instance);
    if (!producer?.edges.some((edge) => topic.startsWith(`${edge.from}/`))) throw new Error(`'${instance}' is no producer of '${topic}'`);
    if (life < producer.life) throw new Error(`of an earlier life of '${instance}'`);
    this.begin(producer, life);
    const expected = producer.next[topic] ?? this.first(producer, seq);
    if (seq < expected) throw new Error(`number ${seq} of '${instance}' came before`);
    producer.next[topic] = seq + 1;
    return seq - expected;
  }

  begin(producer, life) {
    if (life > producer.life) Object.assign(producer, { life, next: {}, fresh: producer.life === -1 });
  }

  // What was sent before a restarted node came was another life's to hear; how far that one came, nobody here knows.
  first(producer, seq) {
    return this.me.life && producer.fresh && !producer.welcomed ? seq : 0;
  }

  notice(frames) {
    let notice, producer;
    try {
      notice = unpackMap(frames.at(-1));
      producer = this.producers.get(notice.instance);
      if (!producer || !["welcome", "end"].includes(notice.type)) throw new Error("from nobody we know");
    } catch {
      return this.counts.stranger();
    }
    this.begin(producer, notice.life ?? 0);
    for (const [topic, number] of Object.entries(notice.next ?? notice.sent ?? {})) {
      const edges = producer.edges.filter((edge) => edge.topics.some((mine) => topic.startsWith(mine)));
      const expected = producer.next[topic] ?? this.first(producer, Number(number));
      if (!edges.length || Number(number) <= expected) {
        if (edges.length) producer.next[topic] = expected;
        continue;
      }
      for (const edge of edges) this.counts.of(edge.edge).dropped += Number(number) - expected; // a lost beginning, or tail
      producer.next[topic] = Number(number);
    }
    if (notice.type === "end") return this.deliver({ ended: producer.edges.map((edge) => edge.edge), instance: notice.instance });
    producer.welcomed = true;
    this.socket.subscribe(`!${this.me.instance}/${notice.instance}/${notice.life ?? 0}`);
  }
}

// The control plane: what a node tells its supervisor, and what it is told. No data of the graph passes here.

import { spawn } from "node:child_process";
import { Dealer } from "zeromq";
import { pack, unpackMap } from "./message.mjs";

const BEAT_MS = 500;

/** `on` is called with every command; `beat` gives what was counted. Both ends live without each other for a while. */
export class Control {
  waiting = [{ type: "hello", pid: process.pid }];
  orphaned = false;

  constructor(me, on, beat) {
    this.me = me;
    this.on = on;
    this.beat = beat;
    // immediate: nothing piles up for a supervisor that is gone.
    this.socket = new Dealer({ routingId: me.instance, immediate: true, reconnectInterval: 10, linger: 500, sendTimeout: 0 });
    this.socket.connect(me.control);
    this.askedAt = Date.now();
    this.timer = setInterval(() => this.tick(), BEAT_MS);
    this.retry = setInterval(() => this.flush(), 20);
    this.serve();
  }

  async serve() {
    for await (const frames of this.socket) {
      this.askedAt = null; // somebody is there
      try {
        const command = unpackMap(frames.at(-1));
        if (command.type !== "heard") this.on(command);
      } catch {
        // not from our supervisor
      }
    }
  }

  tell(type, fields = {}) {
    this.waiting.push({ type, ...fields });
    return this.flush();
  }

  tick() {
    this.askedAt ??= Date.now();
    this.tell("beat", this.beat());
    const silence = (Date.now() - this.askedAt) / 1000;
    if (silence >= this.me.orphan_after_s && !this.orphaned) {
      this.orphaned = true;
      this.on({ type: "drain" });
    }
    if (silence >= this.me.orphan_after_s + this.me.drain_within_s) this.on({ type: "abandon" });
  }

  /** Send what goes, in order; what has to wait is kept, beats are not. */
  async flush() {
    if (this.flushing) return;
    this.flushing = true;
    try {
      while (this.waiting.length) {
        await this.socket.send(pack(this.waiting[0]));
        this.waiting.shift();
      }
    } catch {
      this.waiting = this.waiting.filter((message) => message.type !== "beat");
    }
    this.flushing = false;
  }

  /** Last words, for at most half a second. */
  async close() {
    clearInterval(this.timer);
    for (let tries = 0; this.waiting.length && tries < 25; tries++) {
      await this.flush();
      if (this.waiting.length) await new Promise((later) => setTimeout(later, 20));
    }
    clearInterval(this.retry);
    this.socket.close();
    if (!this.orphaned) return;
    const [command, ...args] = this.me.leave_command; // the last of the graph takes its folder away
    spawn(command, args, { detached: true, stdio: "ignore" }).unref();
  }
}

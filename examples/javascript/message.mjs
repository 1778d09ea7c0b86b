// What travels: MessagePack in ZeroMQ frames, and what must hold for it to be a message. docs/wire-protocol.md

import { decode, encode } from "@msgpack/msgpack";

export const PROTOCOL = 1;

// Times are nanoseconds, more than a double holds exactly after 104 days: numbers of 64 bits are BigInts here.
export const pack = (value) => encode(value, { useBigInt64: true, ignoreUndefined: true });
export const unpack = (frame) => decode(frame, { useBigInt64: true });

export const nowNs = () => process.hrtime.bigint(); // CLOCK_MONOTONIC, the clock of all nodes of a host
export const partitionOf = (session) => (crc32(Buffer.from(session)) & 63).toString(16).padStart(2, "0");

// node:zlib has one, from Node 20.15 on.
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const isCount = (n) => Number.isSafeInteger(Number(n)) && n >= 0 && typeof n !== "string";
const isText = (text) => typeof text === "string";
const isMap = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Uint8Array);

/** The header of `[topic, header, payload?]`; throws with the reason where it is none. */
export function readHeader(frames) {
  if (frames.length !== 2 && frames.length !== 3) throw new Error(`${frames.length} frames instead of 2 or 3`);
  const header = { session: "default", turn: 0, revision: 0, life: 0, floor: 0, to: 0, attempt: 0, body: {}, ...unpackMap(frames[1]) };
  if (header.v !== PROTOCOL) throw new Error(`protocol version ${header.v}, this node speaks ${PROTOCOL}`);
  const texts = [header.kind, header.port, header.instance, header.session];
  if (!texts.every(isText) || !isMap(header.body)) throw new Error("not a message header: a field is missing or of a wrong type");
  for (const name of ["seq", "life", "floor", "to", "attempt"]) {
    if (!isCount(header[name])) throw new Error(`not a message header: '${name}' is no count`);
    header[name] = Number(header[name]);
  }
  if (header.cause != null && !isCause(header.cause)) throw new Error("not a message header: 'cause' is none");
  return header;
}

/** Why a message is too long, or nothing; to be asked once it has had its place among the numbers. */
export function tooLong(frames, maxMessage) {
  const length = frames[1].length + (frames[2]?.length ?? 0);
  return length > maxMessage ? new Error(`${length} bytes are more than max_message, ${maxMessage}`) : null;
}

/** A notice of a link or of the control plane: a map. */
export function unpackMap(frame) {
  const map = unpack(frame);
  if (!isMap(map)) throw new Error("not a map");
  return map;
}

const isCause = (cause) => Array.isArray(cause) && isText(cause[0]) && isCount(cause[1]) && isCount(cause[2]) && isCount(cause[3] ?? 0);

/** Sends on a socket one after the other, whoever calls: zeromq.js refuses a send while another is under way. */
export class Outlet {
  #socket;
  #last = Promise.resolve();

  constructor(socket) {
    this.#socket = socket;
  }

  send(...frames) {
    this.#last = this.#last.then(() => !this.#socket.closed && this.#socket.send(frames));
    return this.#last;
  }

  async close() {
    await this.#last;
    this.#socket.close();
  }

  /** Close at once, and let nothing out that still waits in it. */
  discard() {
    this.#socket.linger = 0;
    this.#socket.close();
  }
}

// What a dedicated Worker has of a network: WebSockets, and sessions of WebTransport. The Rust of this package decides; this does.

/** A WebSocket whose messages are waited for. */
export class Socket {
  #socket;
  #opened;
  #arrived = [];
  #waiting = null;
  #closed = null;

  constructor(url, protocol) {
    this.#socket = new WebSocket(url, protocol);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => {
      // Of what a server may send, only binary messages say anything.
      if (data instanceof ArrayBuffer) {
        this.#arrived.push(new Uint8Array(data));
        this.#wake();
      }
    };
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve();
      this.#socket.onclose = ({ code, reason }) => {
        this.#closed = reason || `code ${code}`;
        this.#wake();
        // Why, a browser tells no script.
        reject(new Error("it cannot be opened"));
      };
    });
    this.#opened.catch(() => {});
  }

  /** Waits until it is open. */
  opened() {
    return this.#opened;
  }

  /** Sends a message; on a socket that is gone it is nothing. */
  send(bytes) {
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(bytes);
    }
  }

  /** The next message, or why there is none any more, as a text. */
  async next() {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) {
        return message;
      }
      if (this.#closed !== null) {
        return this.#closed;
      }
      await new Promise((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  close() {
    this.#socket.close();
  }

  #wake() {
    this.#waiting?.();
    this.#waiting = null;
  }
}

/** How much of a request is written at a time, in bytes. */
const PART_LENGTH = 64 << 10;
/** After how long a stream is asked for again that the server did not allow yet, in milliseconds. */
const STREAM_WAIT = 20;

/** A WebTransport session. */
export class Session {
  #session;
  #signs = 0;
  #lastSign = performance.now();
  #asking = false;
  #over = false;
  /** The stream that was asked for last: one after the other. */
  #opening = Promise.resolve();

  /** `hashes`: SHA-256 of the certificates that are taken; with none, a certificate of the Web's PKI. */
  constructor(url, hashes) {
    if (typeof WebTransport === "undefined") {
      throw new Error("this browser has none");
    }
    const certificates = hashes.map((value) => ({ algorithm: "sha-256", value }));
    this.#session = new WebTransport(url, hashes.length === 0 ? {} : { serverCertificateHashes: certificates });
    // Whoever waits for it hears of it.
    this.#session.ready.catch(() => {});
    const over = () => {
      this.#over = true;
    };
    this.#session.closed.then(over, over);
  }

  /** Waits until it is open. */
  async opened() {
    await this.#session.ready;
    this.sign();
  }

  /** Waits until it is gone, and tells why, as a text. */
  async closed() {
    try {
      const { closeCode, reason } = await this.#session.closed;
      return `by the server, code ${closeCode} ${reason}`.trimEnd();
    } catch (error) {
      return String(error?.message ?? error);
    }
  }

  /** A stream with this on it, that is opened as soon as the server allows another one. */
  stream(bytes) {
    const stream = new Stream(this, bytes);
    this.#opening = stream.open(this.#opening);
    return stream;
  }

  /** Opens a stream when the server allows it, unless `isWanted` says no. Some browsers wait by themselves, Chromium refuses. */
  async streamWhenAllowed(isWanted) {
    for (;;) {
      if (!isWanted()) {
        throw new Error("nobody wants it any more");
      }
      try {
        return await this.#session.createBidirectionalStream();
      } catch (error) {
        if (this.#over) {
          throw error;
        }
        await sleep(STREAM_WAIT);
      }
    }
  }

  /** Asks for a sign of life: a stream without a request, which the server ends. One at a time. */
  async ask() {
    if (this.#asking) {
      return;
    }
    this.#asking = true;
    const stream = this.stream(new Uint8Array());
    try {
      await stream.opened();
      await stream.next();
    } catch {
      // A session that is gone says so itself.
    }
    stream.letGo();
    this.#asking = false;
  }

  /** The server lives. */
  sign() {
    this.#signs += 1;
    this.#lastSign = performance.now();
  }

  /** How many signs of life there were. */
  signs() {
    return this.#signs;
  }

  /** How many milliseconds ago the last one was. */
  silence() {
    return performance.now() - this.#lastSign;
  }

  close() {
    try {
      this.#session.close();
    } catch {
      // One that never was open cannot be closed everywhere.
    }
  }
}

/** A stream of both directions: one request, and what comes of it. */
class Stream {
  #session;
  #bytes;
  #halves;
  #wanted = true;

  constructor(session, bytes) {
    this.#session = session;
    this.#bytes = bytes;
  }

  /** Opens it after that, and tells when it is open or will never be. */
  open(after) {
    this.#halves = after.then(() => this.#open());
    return this.#halves.then(
      () => {},
      () => {},
    );
  }

  async #open() {
    const { writable, readable } = await this.#session.streamWhenAllowed(() => this.#wanted);
    const halves = { writer: writable.getWriter(), reader: readable.getReader() };
    halves.writer.closed.catch(() => {});
    halves.reader.closed.catch(() => {});
    this.#write(halves.writer);
    return halves;
  }

  /** Waits until it is open. */
  async opened() {
    await this.#halves;
  }

  /** What comes next; `undefined` where the stream ends. */
  async next() {
    const { reader } = await this.#halves;
    try {
      const { value } = await reader.read();
      this.#session.sign();
      return value;
    } catch (error) {
      // Who resets a stream lives.
      if (error?.source === "stream") {
        this.#session.sign();
      }
      throw error;
    }
  }

  /** Takes no more interest in it: what is not written or read yet is dropped. Of a stream that is over nothing is left to drop. */
  letGo() {
    this.#wanted = false;
    this.#halves.then(
      ({ writer, reader }) => {
        writer.abort().catch(() => {});
        reader.cancel().catch(() => {});
      },
      () => {},
    );
  }

  async #write(writer) {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    try {
      for (let at = 0; at < bytes.length; at += PART_LENGTH) {
        // It is taken when there is room: the server has read what was before.
        await writer.write(bytes.subarray(at, at + PART_LENGTH));
        this.#session.sign();
      }
      await writer.close();
    } catch {
      // A server may stop reading early: its answer says why. What ends both halves is told by the other.
    }
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

delete globalThis.WebTransport;

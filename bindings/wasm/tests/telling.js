const channel = new BroadcastChannel("begun");

for (const name of ["WebTransport", "WebSocket"]) {
  const Transport = globalThis[name];
  globalThis[name] = class extends Transport {
    constructor(...values) {
      channel.postMessage(name);
      super(...values);
    }
  };
}

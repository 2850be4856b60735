// How long a page takes to its first mail: from the navigation until the server has accepted it, account, keys and all; and with the
// account there. `cargo xtask test consumers` has made what it needs; see the README beside it.

import { Place } from "../tests/place.js";

const RUNS = 5;

const place = await Place.open({ shortCertificate: true });
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];
try {
  const reader = await place.person({ certificateHashes: [place.certificateHash] });
  await reader.look();
  await reader.register("reader");
  for (const transport of ["webtransport", "websocket"]) {
    const [loaded, registered, first, again] = [[], [], [], []];
    for (let run = 0; run < RUNS; run += 1) {
      const person = await place.person({ transports: [transport], certificateHashes: [place.certificateHash] });
      // Since the navigation, by the page's own clock.
      const now = () => person.page.evaluate(() => performance.now());
      const write = async () => {
        const { problem } = await person.call("send", { to: [reader.address], subject: "Potassium", text: "6.1 mmol/l" });
        if (problem !== undefined) {
          throw new Error(problem);
        }
        return now();
      };
      await person.look();
      loaded.push(await now());
      await person.register(`${transport}-${run}`);
      registered.push(await now());
      first.push(await write());
      await person.reload();
      again.push(await write());
      await person.context.close();
    }
    const results = { loaded, registered, first, again };
    const said = Object.entries(results).map(([name, values]) => `${name} ${Math.round(median(values))} ms`);
    console.log(`${transport}: ${said.join(", ")} (median of ${RUNS})`);
  }
} finally {
  await place.close();
}

// The transport that a page takes where nothing is in its way: WebTransport, by a certificate that it knows by its hash.

import { after, before, test } from "node:test";

import { House } from "./house.js";

let house;
before(async () => {
  house = await House.open((place) => ({ certificateHashes: [place.certificateHash.replaceAll(":", "")] }), {
    shortCertificate: true,
    // WebSocket is then not to be had, so it is WebTransport or nothing.
    anyCertificate: false,
  });
});
after(async () => {
  await house?.close();
});

test("mail goes over WebTransport, and the settings say so", async () => {
  const [amal, basil] = [await house.colleague("amal"), await house.colleague("basil")];
  await amal.write({ to: [basil.address], subject: "By QUIC", text: "No TCP." });
  await basil.open("By QUIC");
  await amal.page.locator(".delivery .mark", { hasText: /delivered|displayed/ }).waitFor();
  await amal.go("Settings");
  await amal.page.getByText("WebTransport (QUIC)").waitFor();
});

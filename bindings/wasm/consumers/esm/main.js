// Two accounts of one browser: one writes, the other reads.

import { Client } from "./medipeps/client.js";

async function account({ address, invitation }, { server, options }) {
  const client = await Client.open(address, options);
  await client.create({ server, invitation, address, name: address });
  return client;
}

window.write = async (task) => {
  const [writer, reader] = await Promise.all(task.people.map((person) => account(person, task)));
  await writer.send({ to: [await reader.address()], subject: "Potassium", text: "6.1 mmol/l" });
  await reader.sync();
  const [mail] = await reader.messages();
  const { text } = await reader.read(mail.id);
  await Promise.all([writer.close(), reader.close()]);
  return text;
};

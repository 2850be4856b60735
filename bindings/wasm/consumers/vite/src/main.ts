// Two accounts of one browser: one writes, the other reads. The types of the package hold under TypeScript's strict rules.

import { Client, MedipepsError, type MailSummary, type OpenOptions } from "@medipeps/client";

interface Task {
  server: string;
  people: readonly { address: string; invitation: string }[];
  options: OpenOptions;
}

async function account({ address, invitation }: Task["people"][number], { server, options }: Task): Promise<Client> {
  const client = await Client.open(address, options);
  if ((await client.address()) === undefined) {
    const { recoveryKey } = await client.create({ server, invitation, address, name: address });
    if (recoveryKey.length !== 52) {
      throw new Error("that is no recovery key");
    }
  }
  return client;
}

async function write(task: Task): Promise<string> {
  const [writer, reader] = await Promise.all(task.people.map((person) => account(person, task)));
  const to = await reader?.address();
  if (writer === undefined || reader === undefined || to === undefined) {
    throw new Error("two people are needed");
  }
  reader.addEventListener("event", ({ detail }) => {
    if (detail.type === "stopped") {
      console.error(detail.code, detail.message);
    }
  });
  const { problem } = await writer.send({ to: [to], subject: "Potassium", text: "6.1 mmol/l" });
  if (problem !== undefined) {
    throw new Error(problem);
  }
  await reader.sync();
  const mails: readonly MailSummary[] = await reader.messages();
  const { text } = await reader.read(mails[0]?.id ?? "");
  try {
    await reader.read("00");
  } catch (error) {
    if (!(error instanceof MedipepsError) || error.code !== "argument") {
      throw error;
    }
  }
  await Promise.all([writer.close(), reader.close()]);
  return text;
}

Object.assign(window, { write });

// What renders pages on a server imports the package too. It has no account there, and says so.

import { Client, MedipepsError } from "@medipeps/client";

try {
  await Client.open();
} catch (error) {
  const { name, code, reason, message } = error;
  console.log(JSON.stringify({ typed: error instanceof MedipepsError, name, code, reason, message }));
}

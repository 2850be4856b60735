// What the tests call.

import { Client } from "/client.js";

window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  window.violations.push(`${violatedDirective} ${blockedURI}`);
});
window.events = [];
window.open_account = async () => {
  window.client = await Client.open();
  window.client.addEventListener("event", ({ detail }) => window.events.push(detail));
};
window.ready = true;

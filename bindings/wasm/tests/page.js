// What the tests call.

import { Client } from "/client.js";

window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  window.violations.push(`${violatedDirective} ${blockedURI}`);
});
window.events = [];
// What a Worker of the tests tells of the connections that it begins.
window.begun = [];
new BroadcastChannel("begun").onmessage = ({ data }) => window.begun.push(data);
window.open_account = async (options) => {
  window.client = await Client.open("account", options);
  window.client.addEventListener("event", ({ detail }) => window.events.push(detail));
};
window.ready = true;

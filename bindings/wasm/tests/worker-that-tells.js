// A Worker that tells which transports it tries, in the order in which it does.

import "./telling.js";
import "./worker.js";

// A Worker of a browser that has no WebTransport.

import "./without-webtransport.js";
import "./worker.js";

// All that the handler may know of a browser: whether it runs in one, and where it meets the reader.

declare const document: unknown;
declare const window: unknown;

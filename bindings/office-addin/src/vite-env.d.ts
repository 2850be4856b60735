/** The server that the pane proposes: `--server` of the build. */
declare const __SERVER__: string;

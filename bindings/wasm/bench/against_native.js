// How much slower the WebAssembly of a page is than a program: the same work in turn, and the median of the ratios. Both are built in
// the profile `app`; the README beside this says how.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, folder] = process.argv.slice(2);
const { default: init, Conversation } = await import(pathToFileURL(join(folder, "medipeps_wasm_bench.js")));
await init({ module_or_path: readFileSync(join(folder, "medipeps_wasm_bench_bg.wasm")) });

const PAIRS = 9;
/** Milliseconds that the program shall take for its rounds. */
const LONG = 200;

const native = (length, work, rounds) => Number(execFileSync(program, [length, work, rounds].map(String), { encoding: "utf8" }));
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];

for (const [length, work] of [[1 << 10, "encrypt"], [1 << 10, "decrypt"], [60 << 10, "encrypt"], [60 << 10, "decrypt"], [1 << 10, "begin"]]) {
  const conversation = new Conversation(length);
  const wasm = (rounds) => {
    const begun = performance.now();
    conversation[work](rounds);
    return performance.now() - begun;
  };
  const rounds = Math.max(1, Math.round(LONG / (native(length, work, 20) / 20)));
  // The engine compiles again what runs often.
  wasm(rounds);
  const pairs = Array.from({ length: PAIRS }, () => [native(length, work, rounds), wasm(rounds)]);
  const micros = (index) => ((median(pairs.map((pair) => pair[index])) / rounds) * 1000).toFixed(1);
  const ratio = median(pairs.map(([program, page]) => page / program)).toFixed(2);
  console.log(`${work} ${length >> 10} KiB: program ${micros(0)} µs, page ${micros(1)} µs, ratio ${ratio} (median of ${PAIRS} pairs of ${rounds} rounds)`);
}

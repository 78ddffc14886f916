// Reads diagrams, one JSON string a line; answers each with one line: {"kind"} or {"error"}.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { kind: (await mermaid.parse(JSON.parse(line))).diagramType };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}

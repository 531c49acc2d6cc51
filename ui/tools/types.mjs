// Writes the types of what we call: of the worker from its OpenAPI, of Stash from our documents.
// With --check it writes nothing, and fails where a file would change.
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";
import openapiTS, { astToString } from "openapi-typescript";

const here = new URL("..", import.meta.url);
const read = (path) => readFileSync(new URL(path, here), "utf8");
const write = (path, made) => {
  const text = `// Made by \`npm run types\`.\n\n${made}`;
  if (!process.argv.includes("--check")) return writeFileSync(new URL(path, here), text);
  if (read(path) === text) return;
  console.error(`${path} is out of date: run npm run types`);
  process.exitCode = 1;
};

const scalars = {
  Any: "unknown",
  Map: "Record<string, unknown>",
  PluginConfigMap: "Record<string, Record<string, unknown>>",
  Time: "string",
  Timestamp: "string",
};
const documents = [
  { location: "documents.graphql", document: parse(read("src/stash/documents.graphql")) },
];
const config = { scalars, skipTypename: true, enumsAsTypes: true };
write(
  "src/api/stash.ts",
  await codegen({
    filename: "stash.ts",
    schema: parse(read("../demo/stash/schema.graphql")),
    documents,
    config,
    plugins: [{ operations: {} }],
    pluginMap: { operations },
  }),
);
write("src/api/worker.ts", astToString(await openapiTS(new URL("openapi.json", here))));

// Builds the pages anew, and fails where what is committed differs.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

const MOST_BYTES = 250_000;
const root = new URL("..", import.meta.url).pathname;
const committed = join(root, "dist");
const made = mkdtempSync(join(tmpdir(), "sense-ui-"));

/** Every file of a folder, by its name. */
const files = (folder) =>
  new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));

try {
  await build({ root, logLevel: "warn", build: { outDir: made, emptyOutDir: true } });
  const [here, anew] = [files(committed), files(made)];
  const names = new Set([...here.keys(), ...anew.keys()]);
  const unlike = [...names].filter((name) => {
    const [one, other] = [here.get(name), anew.get(name)];
    return one === undefined || other === undefined || !one.equals(other);
  });
  const bytes = [...anew.values()].reduce((sum, content) => sum + content.length, 0);
  console.log(`The pages are ${bytes} bytes in ${anew.size} files (at most ${MOST_BYTES}).`);
  for (const name of unlike) console.error(`dist/${name} is not what the sources make`);
  if (unlike.length > 0) console.error("Run npm run build, and commit ui/dist.");
  if (unlike.length > 0 || bytes > MOST_BYTES) process.exitCode = 1;
} finally {
  rmSync(made, { recursive: true });
}

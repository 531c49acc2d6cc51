/** Builds what the tests are about from the sources that are here, before the first of them. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

const UI = join(import.meta.dirname, "..");

/** Named in the environment, which the processes that run the tests are given. */
export const BUILT = "SENSE_BUILT_UI";

export default async function prepare(): Promise<(() => void) | undefined> {
  // Another Stash has its own copy installed.
  if (process.env.SENSE_STASH) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "sense-ui-"));
  process.env[BUILT] = folder;
  await build({
    root: UI,
    configFile: join(UI, "vite.config.ts"),
    logLevel: "warn",
    build: { outDir: folder, emptyOutDir: true },
  });
  if (!existsSync(join(UI, "page", "dist", "index.html"))) {
    await build({ configFile: join(UI, "page", "vite.config.ts"), logLevel: "warn" });
  }
  return () => rmSync(folder, { recursive: true });
}

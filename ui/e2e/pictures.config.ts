/** Draws docs/pictures: `SENSE_STASH=http://... npx playwright test --config e2e/pictures.config.ts`.
 *
 * Of a Stash whose library lies there as it is to be shown: nothing is changed in it.
 */
import { defineConfig } from "@playwright/test";
import base from "../playwright.config";
import { ADDRESS } from "./prepare";

const shown = process.env.SENSE_STASH?.replace(/\/$/, "");
if (!shown) throw new Error("Name the Stash that is shown in SENSE_STASH");
process.env[ADDRESS] = shown;

export default defineConfig({
  ...base,
  testDir: ".",
  testMatch: "*.pictures.ts",
  outputDir: "../test-results/pictures",
  globalSetup: [],
  use: { ...base.use, trace: "off" },
});

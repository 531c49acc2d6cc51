/** Measures what a suite cannot: `npx playwright test --config e2e/bench.config.ts`. */
import { defineConfig } from "@playwright/test";
import base from "../playwright.config";

export default defineConfig({
  ...base,
  testDir: ".",
  testMatch: "*.bench.ts",
  outputDir: "../test-results/bench",
  globalSetup: "./build.ts",
  timeout: 300_000,
  // What records the page would be what is measured.
  use: { ...base.use, trace: "off" },
});

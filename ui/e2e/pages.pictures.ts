/** Each page, dark and light, on a desktop and on a phone. */
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, type Library, test, wearLight } from "./fixtures";

const FOLDER = join(import.meta.dirname, "..", "..", "docs", "pictures");
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const CLIP = "cat_with_titles.mp4";
const NAME = "Face Close-up";

const PAGES: Readonly<Record<string, (page: Page, library: Library) => Promise<void>>> = {
  scene: async (page, library) => {
    await page.goto(`/scenes/${(await library.scene(CLIP)).id}`);
    await page.getByRole("tab", { name: "Sense", exact: true }).click();
    await expect(page.locator(".sense-strip img, .sense-strip [role=img]").first()).toBeVisible();
    await page.locator(".sense-scene-pane").scrollIntoViewIfNeeded();
  },
  review: async (page) => {
    await page.goto(`/plugins/stash-sense?${new URLSearchParams({ by: "tag", tag: NAME })}`);
    await expect(page.locator("[role=listitem][data-row]").first()).toBeVisible();
  },
  dashboard: async (page) => {
    await page.goto("/plugins/stash-sense/dashboard");
    await expect(page.getByRole("heading", { name: "Library" })).toBeVisible();
  },
  settings: async (page) => {
    await page.goto("/plugins/stash-sense/settings");
    await expect(page.locator(".sense-settings-heading").first()).toBeVisible();
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  for (const [device, viewport] of Object.entries(SIZES)) {
    for (const theme of ["dark", "light"]) {
      test(`${name}, ${device}, ${theme}`, async ({ page, library }) => {
        await page.setViewportSize(viewport);
        await open(page, library);
        if (theme === "light") await wearLight(page);
        // Frames come after the rows that they belong to.
        await page.waitForLoadState("networkidle");
        await page.screenshot({
          path: join(FOLDER, `${name}-${device}-${theme}.jpeg`),
          type: "jpeg",
          quality: 85,
        });
      });
    }
  }
}

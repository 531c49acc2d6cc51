import type { Page } from "@playwright/test";
import { expect, keepMessages, type Library, test } from "./fixtures";

const SCENES = [
  "coffee-vertical-grey-dark-boxed-still.mp4",
  "rocket-vertical-grey-dark-boxed-still.mp4",
];

interface Jobs {
  jobs: { mode: string; status: string; scene_ids: string[] }[];
}

/** Select these scenes' cards, wherever on this page of the list they are. */
async function select(page: Page, ids: readonly string[]) {
  for (const id of ids) {
    const card = page
      .locator(".scene-card")
      .filter({ has: page.locator(`a[href*="/scenes/${id}"]`) });
    await card.getByRole("checkbox").first().check({ force: true });
  }
}

async function listOf(page: Page, library: Library) {
  const ids = await Promise.all(SCENES.map(async (file) => (await library.scene(file)).id));
  await page.goto("/scenes?q=vertical-grey-dark-boxed-still");
  await expect(page.locator(".scene-card").first()).toBeVisible();
  return ids;
}

test("the menu has our entry only while something is selected", async ({ page, library }) => {
  const ids = await listOf(page, library);
  const menu = page.locator("#more-menu").filter({ visible: true });
  const entry = page.getByRole("button", { name: "Tag selected" });
  await menu.click();
  await expect(page.getByRole("button", { name: "Select All" })).toBeVisible();
  await expect(entry).toHaveCount(0);
  await page.keyboard.press("Escape");
  await select(page, ids.slice(0, 1));
  await menu.click();
  await expect(entry).toBeVisible();
});

test("the selected scenes are tagged, and a message says so", async ({ page, library }) => {
  await keepMessages(page);
  const ids = await listOf(page, library);
  await select(page, ids);
  await page.locator("#more-menu").filter({ visible: true }).click();
  await page.getByRole("button", { name: "Tag selected" }).click();
  // Where they are tagged before anybody looks, it says that already.
  await expect(page.getByText(/^Tagg(ing|ed) 2 scenes\./)).toBeVisible();
  await page.getByRole("link", { name: "See the dashboard" }).click();
  await expect(page).toHaveURL(/\/plugins\/stash-sense\/dashboard$/);
  const last = async () => {
    const { jobs } = await library.operate<Jobs>("jobs", { limit: 20 });
    const found = jobs.find(
      ({ mode, scene_ids }) => mode === "tag_scene" && scene_ids.length === 2,
    );
    return found && { status: found.status, ids: [...found.scene_ids].sort() };
  };
  await expect.poll(last).toEqual({ status: "done", ids: [...ids].sort() });
});

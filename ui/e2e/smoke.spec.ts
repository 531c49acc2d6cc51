import { expect, test } from "./fixtures";

test("our tab is on a scene's page", async ({ page, library, complaints }) => {
  const { id } = await library.scene("interview.mp4");
  await page.goto(`/scenes/${id}`);
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  await expect(page.getByRole("tabpanel").filter({ visible: true })).toHaveClass(
    /sense-scene-pane/,
  );
  expect(complaints).toEqual([]);
});

test("the bar leads to our pages, and a hard refresh stays there", async ({ page, complaints }) => {
  await page.goto("/scenes");
  await page.getByRole("link", { name: "Sense", exact: true }).click();
  await expect(page).toHaveURL(/\/plugins\/stash-sense$/);
  await page.reload();
  const ours = page.getByRole("navigation", { name: "Stash Sense" });
  await ours.getByRole("link", { name: "Dashboard" }).click();
  await expect(page).toHaveURL(/\/plugins\/stash-sense\/dashboard$/);
  await page.reload();
  await ours.getByRole("link", { name: "Settings" }).click();
  await expect(page).toHaveURL(/\/plugins\/stash-sense\/settings$/);
  expect(complaints).toEqual([]);
});

test("our form stands in Stash's own settings", async ({ page, complaints }) => {
  await page.goto("/settings?tab=plugins");
  await expect(page.getByRole("heading", { name: /Stash Sense/ }).first()).toBeVisible();
  await expect(page.locator(".sense-fault")).toHaveCount(0);
  expect(complaints).toEqual([]);
});

/** What a user finds right after Set up: no scene, no network that had to be fetched. */
import type { Page } from "@playwright/test";
import { expectNoFaultsInBoth } from "./faults";
import { expect, inState, OWN_STASH, overhang, wearLight } from "./fixtures";

const test = inState("new");
test.skip(OWN_STASH, "a library of somebody's has scenes, and its networks stay as they are");

const ROUTE = "/plugins/stash-sense";

function card(page: Page, name: string) {
  return page.getByRole("region", { name, exact: true });
}

/** What a page says that a library without scenes must be told there. */
const SAID: readonly { path: string; says: readonly string[] }[] = [
  { path: "", says: ["No scene was looked at yet"] },
  { path: "?by=scene", says: ["No scene was looked at yet"] },
  { path: "?by=refused", says: ["Nothing is refused"] },
  {
    path: "/dashboard",
    says: [
      "Nothing is under way.",
      "Stash has no scenes yet. Let it scan a folder, and they can be tagged.",
      "It is measured while scenes are looked at, and none was yet.",
      "Nothing that Stash Sense wrote is left to undo.",
      "No scene failed.",
    ],
  },
  { path: "/settings", says: ["Preset and hardware"] },
];

test("where there is no scene each page says what to do", async ({ page, complaints }) => {
  for (const { path, says } of SAID) {
    await page.goto(`${ROUTE}${path}`);
    for (const each of says) await expect(page.getByText(each).first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    await expect(page.locator(".sense-fault, .sense-trouble")).toHaveCount(0);
    await expect(page.locator(".spinner-border, [aria-busy=true]")).toHaveCount(0);
  }
  await page.goto(ROUTE);
  await page.getByRole("link", { name: "Open the dashboard" }).click();
  await expect(card(page, "Now")).toBeVisible();
  for (const name of [/^Tag all with TagMe \(0\)$/, "Tag the whole library", "Decide again"]) {
    await expect(card(page, "Now").getByRole("button", { name })).toBeDisabled();
  }
  expect(complaints).toEqual([]);
});

test("the empty pages fit a phone, in a light theme too", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const { path } of SAID) {
    await page.goto(`${ROUTE}${path}`);
    await page.waitForLoadState("networkidle");
    expect(await overhang(page), path).toBe(0);
    await wearLight(page);
    expect(await overhang(page), `${path}, light`).toBe(0);
  }
});

test("an evaluation of nothing says that there was nothing", async ({ page }) => {
  await page.goto(`${ROUTE}/dashboard`);
  await card(page, "Accuracy").getByRole("button", { name: "Evaluate" }).click();
  await expect(card(page, "Now").locator(".sense-dash-ended")).toContainText("Evaluate");
  await expect(card(page, "Accuracy").getByRole("button", { name: "Evaluate" })).toBeEnabled();
});

test("networks that are wanted and not here are named, on each page", async ({ page }) => {
  await page.goto(`${ROUTE}/dashboard`);
  const models = card(page, "Models");
  await expect(models).toContainText("yolox-s is wanted and not here: what only it sees is not");
  await expect(models.getByRole("button", { name: "Download it (12 MB)" })).toBeVisible();
  await expect(card(page, "Doctor")).toContainText("Run the task Download models");
  await page.goto(`${ROUTE}/settings`);
  await page.getByRole("button", { name: /^Models/ }).click();
  await expect(page.getByText("Not all of it is here yet:")).toBeVisible();
});

test("a download shows how far it is, is stopped at the half, and goes on from there", async ({
  page,
  complaints,
}) => {
  await page.goto(`${ROUTE}/dashboard`);
  const models = card(page, "Models");
  const bar = models.getByRole("progressbar", { name: "Downloading models" });
  await models.getByRole("button", { name: /^Download it/ }).click();
  // The second half takes its time.
  await expect(bar).toHaveAttribute("aria-valuenow", /^[5-9]\d$/);
  await page.reload();
  await expect(bar).toHaveAttribute("aria-valuenow", /^[5-9]\d$/);
  await expectNoFaultsInBoth(page, ".sense-pages");
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await overhang(page)).toBe(0);
  await page.setViewportSize({ width: 1280, height: 800 });
  await card(page, "Now").getByRole("button", { name: "Cancel Download models" }).click();
  await expect(bar).toHaveCount(0);
  const ended = card(page, "Now").locator(".sense-dash-ended li");
  await expect(ended.filter({ hasText: "Download models" })).toContainText("interrupted");

  await models.getByText("Things with their places in the picture").click();
  const row = models.getByRole("listitem").filter({ hasText: "from a server on this machine" });
  await expect(row).toContainText("in part here");
  await expect(row).toContainText(/\d MB of 12 MB are here/);
  await row.getByRole("button", { name: "Download yolox-s" }).click();
  await expect(row.getByText("Made ready: yolox-s.")).toBeVisible();
  await expect(row.getByText("here", { exact: true })).toBeVisible();
  await expect(models.getByText(/wanted and not here/)).toHaveCount(0);

  await row.getByRole("button", { name: "Remove yolox-s" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("12 MB become free");
  await expectNoFaultsInBoth(page, "[role=dialog]");
  await dialog.getByRole("button", { name: "Remove" }).click();
  await expect(models.getByText(/^yolox-s is wanted and not here/)).toBeVisible();
  expect(complaints).toEqual([]);
});

for (const path of ["", "?by=refused", "/dashboard"]) {
  test(`axe has nothing to say of an empty library: ${path || "Review"}`, async ({ page }) => {
    await page.goto(`${ROUTE}${path}`);
    await page.locator(".sense-pages").waitFor();
    await expectNoFaultsInBoth(page, ".sense-pages");
  });
}

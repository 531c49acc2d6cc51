import type { Page } from "@playwright/test";
import { expect, type Library, test } from "./fixtures";

interface Row {
  scene_id: string;
  kind: string;
  name: string;
  said: string | null;
}

async function open(page: Page): Promise<void> {
  await page.goto("/plugins/stash-sense/dashboard");
  await expect(card(page, "Now")).toBeVisible();
}

function card(page: Page, name: string) {
  return page.getByRole("region", { name, exact: true });
}

/** A suggested tag that its scene does not have yet. */
async function waiting(library: Library): Promise<Row> {
  const { suggestions } = await library.operate<{ suggestions: Row[] }>("suggestions", {
    decision: "ask",
    limit: 50,
  });
  for (const row of suggestions) {
    const has = await library.tags(row.scene_id);
    if (row.kind === "tag" && row.said === null && !has.includes(row.name)) return row;
  }
  throw new Error("No suggested tag waits in this library");
}

/** Press Undo at the newest run of a kind, and say yes. */
async function undo(page: Page, kind: string): Promise<void> {
  const runs = card(page, "Runs");
  await runs
    .getByRole("button", { name: new RegExp(`^Undo ${kind}`) })
    .first()
    .click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText(`Undo ${kind}`);
  await dialog.getByRole("button", { name: "Undo", exact: true }).click();
  await expect(dialog).toBeHidden();
}

test("undoing what was accepted takes the tag off its scene again", async ({
  page,
  library,
  complaints,
}) => {
  const row = await waiting(library);
  await library.operate("accept", {
    items: [{ scene_id: row.scene_id, kind: "tag", name: row.name }],
  });
  expect(await library.tags(row.scene_id)).toContain(row.name);
  await open(page);
  await undo(page, "Accepted by you");
  await expect(
    card(page, "Runs")
      .getByText(/\b1 tag\b.*taken back/)
      .first(),
  ).toBeVisible();
  await expect.poll(() => library.tags(row.scene_id)).not.toContain(row.name);
  expect(complaints).toEqual([]);
});

test("undoing what was refused puts the tag back", async ({ page, library }) => {
  const row = await waiting(library);
  const items = [{ scene_id: row.scene_id, kind: "tag", name: row.name }];
  await library.operate("accept", { items });
  await library.operate("refuse", { items });
  expect(await library.tags(row.scene_id)).not.toContain(row.name);
  await open(page);
  await undo(page, "Refused by you");
  await expect.poll(() => library.tags(row.scene_id)).toContain(row.name);
  await expect(card(page, "Runs").getByText(/1 tag written again/)).toBeVisible();
  await undo(page, "Accepted by you");
  await expect.poll(() => library.tags(row.scene_id)).not.toContain(row.name);
});

test("a scene that failed is tried again, and says why it fails still", async ({
  page,
  complaints,
}) => {
  await open(page);
  const errors = card(page, "Errors");
  await errors.getByRole("button", { name: "Try damaged.mp4 again" }).click();
  await expect(errors.getByText(/^damaged.mp4, tried again: .*failed/)).toBeVisible();
  await expect(errors.getByRole("link", { name: "damaged.mp4" })).toHaveAttribute(
    "href",
    /\/scenes\/\d+$/,
  );
  await expect(
    card(page, "Now")
      .getByText(/1 failed/)
      .first(),
  ).toBeVisible();
  expect(complaints).toEqual([]);
});

test("the library is counted, the speed measured, the models listed, the doctor heard", async ({
  page,
  library,
}) => {
  const count = (await library.scenes()).length;
  await open(page);
  await expect(card(page, "Library")).toContainText(`of ${count} scenes`);
  await expect(card(page, "Speed")).toContainText("a scene, measured at the last");
  await card(page, "Models").getByText("Things with their places in the picture").click();
  await expect(card(page, "Models").getByText("nudenet-320n", { exact: true })).toBeVisible();
  await expect(card(page, "Doctor").getByText(/in order$/)).toBeVisible();
});

test("an evaluation is begun and its end is told", async ({ page }) => {
  await open(page);
  const accuracy = card(page, "Accuracy");
  await accuracy.getByRole("button", { name: "Evaluate" }).click();
  await expect(
    card(page, "Now")
      .getByText(/^Evaluate$/)
      .first(),
  ).toBeVisible();
  await expect(accuracy.getByText(/judged on/)).toBeVisible();
});

test("everything is reached by the keyboard, and a dialog gives the focus back", async ({
  page,
}) => {
  await open(page);
  const button = card(page, "Now").getByRole("button", { name: "Tag the whole library" });
  await expect(button).toBeEnabled();
  await button.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("without the tag Tagged");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(button).toBeFocused();
});

test("nothing is wider than a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page);
  await expect(card(page, "Doctor").getByText(/in order$/)).toBeVisible();
  const over = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(over).toBe(0);
});

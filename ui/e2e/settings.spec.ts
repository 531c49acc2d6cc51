import type { Page } from "@playwright/test";
import { expect, type Library, PLUGIN, test } from "./fixtures";

const OURS = "/plugins/stash-sense/settings";
const STASHS = "/settings?tab=plugins";

test.beforeEach(async ({ library }) => library.reset());
test.afterAll(async ({ library }) => library.reset());

async function stored(library: Library): Promise<Record<string, unknown>> {
  const { configuration } = await library.graphql<{
    configuration: { plugins: Record<string, Record<string, unknown>> };
  }>("{ configuration { plugins } }");
  return configuration.plugins[PLUGIN] ?? {};
}

/** Go to the form, with a group of it open. */
async function open(page: Page, where: string, group: string) {
  await page.goto(where);
  const heading = page.getByRole("button", { name: new RegExp(`^${group}`) });
  await heading.waitFor();
  if ((await heading.getAttribute("aria-expanded")) === "false") await heading.click();
}

/** The field of a setting, by its whole name. */
const field = (page: Page, name: string) => page.getByLabel(name, { exact: true });

for (const [where, address] of [
  ["on our own page", OURS],
  ["in Stash's own settings", STASHS],
] as const) {
  test(`a switch, a number and a word are saved ${where}, and are there again`, async ({
    page,
    library,
    complaints,
  }) => {
    await open(page, address, "What is looked for");
    await expect(field(page, "Look for objects")).toBeChecked();
    await field(page, "Look for objects").focus();
    await page.keyboard.press("Space");
    await expect.poll(() => stored(library)).toMatchObject({ skip_objects: true });
    await open(page, address, "Time and memory");
    await field(page, "Video frames per scene").fill("48");
    await expect.poll(() => stored(library)).toMatchObject({ frames: 48, skip_objects: true });
    await open(page, address, "Preset and hardware");
    await field(page, "Preset").selectOption("balanced");
    await expect.poll(() => stored(library)).toMatchObject({ preset: "balanced", frames: 48 });
    await open(page, address, "Time and memory");
    await expect(field(page, "Video frames per scene")).toHaveValue("48");
    await page
      .getByRole("button", { name: "Video frames per scene: back to the default, 60 pictures" })
      .click();
    await expect.poll(async () => Object.keys(await stored(library))).not.toContain("frames");
    await expect(field(page, "Video frames per scene")).toHaveValue("");
    expect(complaints).toEqual([]);
  });
}

test("what cannot be used is refused in words, and nothing of it is stored", async ({
  page,
  library,
}) => {
  await open(page, OURS, "Time and memory");
  const before = await stored(library);
  await field(page, "Frames read for text").fill("501");
  await expect(page.getByText("Not saved: 501 is not between 1 and 500.")).toBeVisible();
  await field(page, "Done").fill("TAGME");
  await expect(page.getByText(/must differ from each other/)).toBeVisible();
  expect(await stored(library)).toEqual(before);
});

test("what is stored and cannot be used is shown, and can be put right", async ({
  page,
  library,
}) => {
  await library.configure({ frames: 1, of_another_version: "kept", suggest_only: true });
  await open(page, OURS, "Time and memory");
  await expect(page.getByText("Stored: 1 is not between 2 and 2000; 60 is used.")).toBeVisible();
  await expect(page.getByText(/Stash also keeps 'of_another_version'/)).toBeVisible();
  await page.getByRole("button", { name: /^Video frames per scene: back to the default/ }).click();
  await expect
    .poll(() => stored(library))
    .toEqual({ of_another_version: "kept", suggest_only: true });
});

test("names are text, and are added and taken away by keyboard", async ({ page, library }) => {
  await open(page, OURS, "What is written");
  const names = field(page, "Never suggest");
  await names.fill("<img src=x onerror=window.hacked=1>");
  await names.press("Enter");
  await names.fill("Beach");
  await names.press("Enter");
  await expect
    .poll(() => stored(library))
    .toMatchObject({ never: "<img src=x onerror=window.hacked=1>, Beach" });
  await page.getByRole("button", { name: "Take Beach away" }).focus();
  await page.keyboard.press("Enter");
  await expect
    .poll(() => stored(library))
    .toMatchObject({ never: "<img src=x onerror=window.hacked=1>" });
});

test("the page says which models run, and lets one choose another", async ({ page, library }) => {
  await open(page, OURS, "Models");
  await expect(page.getByText("Now in use: fast.")).toBeVisible({ timeout: 30_000 });
  const select = field(page, "Acts and clothing");
  await select.selectOption({ label: "none: do without" });
  await expect.poll(() => stored(library)).toMatchObject({ tagger_model: "none" });
});

test("a change of Stash's own form brings no old value of ours back", async ({ page, library }) => {
  await open(page, STASHS, "Time and memory");
  const others = page.locator(`input[type=checkbox][id^="plugin-"]:not([id^="plugin-${PLUGIN}-"])`);
  test.skip((await others.count()) === 0, "no other plugin here has settings");
  await field(page, "Video frames per scene").fill("49");
  await expect.poll(() => stored(library)).toMatchObject({ frames: 49 });
  const saved = page.waitForResponse((response) =>
    Boolean(response.request().postData()?.includes("ConfigurePlugin")),
  );
  await others.first().evaluate((each) => (each as HTMLInputElement).click());
  await saved;
  await page.waitForLoadState("networkidle");
  expect(await stored(library)).toMatchObject({ frames: 49 });
});

import type { Page } from "@playwright/test";
import { expect, type Library, OWN_STASH, PLUGIN, test } from "./fixtures";

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
  await expect(page.getByText("Now in use: fast.")).toBeVisible();
  const select = field(page, "Acts and clothing");
  await select.selectOption({ label: "none: do without" });
  await expect.poll(() => stored(library)).toMatchObject({ tagger_model: "none" });
});

/** Fields of other plugins in Stash's own form of them. */
const others = (page: Page, type: string) =>
  page.locator(`input[type=${type}][id^="plugin-"]:not([id^="plugin-${PLUGIN}-"])`);

test("a change of Stash's own form brings no old value of ours back", async ({ page, library }) => {
  await open(page, STASHS, "Time and memory");
  const first = others(page, "checkbox").first();
  test.skip(OWN_STASH && (await first.count()) === 0, "no other plugin here has settings");
  await field(page, "Video frames per scene").fill("49");
  await expect.poll(() => stored(library)).toMatchObject({ frames: 49 });
  const saved = page.waitForResponse((response) =>
    Boolean(response.request().postData()?.includes("ConfigurePlugin")),
  );
  await first.evaluate((each) => (each as HTMLInputElement).click());
  await saved;
  await page.waitForLoadState("networkidle");
  expect(await stored(library)).toMatchObject({ frames: 49 });
});

test.describe("beside two plugins that lay themselves around every plugin's settings", () => {
  test.skip(OWN_STASH, "they are installed into the stand-in alone");
  /** One comes before ours in Stash's list, and one behind it. */
  const NEIGHBOURS = ["neighbour", "the-other-neighbour"];

  /** All that stands in Stash's settings for one plugin. */
  const group = (page: Page, name: RegExp) =>
    page.locator(".setting-group").filter({ has: page.getByRole("heading", { name }) });

  const valuesOf = async (library: Library, plugin: string) => {
    const { configuration } = await library.graphql<{
      configuration: { plugins: Record<string, unknown> };
    }>("{ configuration { plugins } }");
    return configuration.plugins[plugin];
  };

  test("ours has our form, theirs have Stash's, and each stands in both", async ({
    page,
    complaints,
  }) => {
    await page.goto(STASHS);
    await expect(page.locator(".sense-settings")).toHaveCount(1);
    await expect(group(page, /^Stash Sense/).locator(".sense-settings")).toBeVisible();
    const around = (name: string) => page.locator(`[data-around="${name}"]`);
    // Around all three plugins; who comes behind ours in the chain is not asked about ours.
    await expect(around("neighbour")).toHaveCount(3);
    await expect(around("the-other-neighbour")).toHaveCount(2);
    for (const name of NEIGHBOURS) {
      const theirs = group(page, new RegExp(`^${name} `));
      await expect(theirs.locator(".sense-settings, .sense-fault")).toHaveCount(0);
      await expect(theirs.getByRole("checkbox", { name: "A switch" })).toBeAttached();
      await expect(theirs.getByText("A number", { exact: true })).toBeVisible();
      await expect(theirs.getByText("Words", { exact: true })).toBeVisible();
    }
    expect(complaints).toEqual([]);
  });

  test("theirs are saved by Stash's form, and ours by ours", async ({ page, library }) => {
    for (const name of NEIGHBOURS) {
      await open(page, STASHS, "Time and memory");
      const before = await stored(library);
      const theirs = group(page, new RegExp(`^${name} `));
      const switched = theirs.getByRole("checkbox", { name: "A switch" });
      const was = await switched.isChecked();
      await switched.evaluate((each) => (each as HTMLInputElement).click());
      await expect.poll(() => valuesOf(library, name)).toMatchObject({ switch: !was });
      expect(await stored(library)).toEqual(before);
      await field(page, "Video frames per scene").fill(was ? "51" : "50");
      await expect.poll(() => stored(library)).toMatchObject({ frames: was ? 51 : 50 });
      expect(await valuesOf(library, name)).toMatchObject({ switch: !was });
    }
  });
});

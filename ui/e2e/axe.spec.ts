/** No serious fault of accessibility in what is ours, on each page, dark and light, wide and narrow. */
import type { Page } from "@playwright/test";
import { expectNoFaultsInBoth, seriousFaults } from "./faults";
import { expect, keepMessages, type Library, test, wearLight } from "./fixtures";

interface Place {
  name: string;
  path(library: Library): Promise<string> | string;
  /** Where what is ours stands. */
  within: string;
  before?(page: Page): Promise<void>;
  /** Shows all of it. */
  open?(page: Page, library: Library): Promise<void>;
}

interface Item {
  scene_id: string;
  kind: string;
  name: string;
}

/** Suggested tags that their scenes do not have yet. */
async function waiting(library: Library): Promise<Item[]> {
  const { suggestions } = await library.operate<{ suggestions: (Item & { in_stash: string })[] }>(
    "suggestions",
    { decision: "ask", kind: "tag", limit: 50 },
  );
  return suggestions
    .filter(({ in_stash }) => in_stash === "absent")
    .map(({ scene_id, kind, name }) => ({ scene_id, kind, name }));
}

/** Drawn so that the picture's own facts tell all five of these, and when. */
const FIVE = "astronaut-vertical-grey-dark-boxed-still.mp4";

/** What was said so that there is something to show; it is taken back at the end. */
const said: Item[] = [];

async function refuse(library: Library): Promise<Item> {
  const [item] = await waiting(library);
  if (item === undefined) throw new Error("No tag is suggested that its scene has not");
  await library.operate("refuse", { items: [item] });
  said.push(item);
  return item;
}

/** What was said of one thing twice is taken back twice. */
async function takeBack(library: Library): Promise<void> {
  for (const { scene_id, kind, name } of said.splice(0)) {
    const saidOf = async () => {
      const { suggestions } = await library.operate<{
        suggestions: (Item & { said: string | null })[];
      }>("scene", { scene_id });
      return suggestions.find((each) => each.kind === kind && each.name === name)?.said ?? null;
    };
    for (let left = 2; left > 0 && (await saidOf()) !== null; left--) {
      await library.operate("unsay", { items: [{ scene_id, kind, name }] });
    }
    expect(await saidOf(), `${name} of scene ${scene_id}`).toBeNull();
  }
}

const unfold = async (page: Page) => {
  const folded = page.locator(".sense-settings-heading button[aria-expanded=false]");
  while (await folded.count()) await folded.first().click();
};

/** Opens every fold that is there. */
const openFolds = async (page: Page) => {
  await page.locator(".sense-pages details, .sense-scene-pane details").evaluateAll((all) => {
    for (const each of all) (each as HTMLDetailsElement).open = true;
  });
};

const openTab = async (page: Page) => {
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  await page.locator(".sense-suggestions").waitFor();
  await openFolds(page);
};

const notSetUp = async (page: Page) => {
  await page.route("**/graphql", (route) =>
    route.request().postDataJSON()?.operationName === "Operate"
      ? route.fulfill({
          json: {
            errors: [{ message: "Stash Sense is not set up yet: run the task Set up" }],
            data: null,
          },
        })
      : route.fallback(),
  );
};

const PLACES: readonly Place[] = [
  { name: "Review", path: () => "/plugins/stash-sense", within: ".sense-pages" },
  {
    name: "Dashboard with runs, errors and all models",
    path: async (library) => {
      const [item, another] = await waiting(library);
      if (item === undefined || another === undefined) throw new Error("Too little is suggested");
      // Of each kind one run, of which something is left.
      await library.operate("accept", { items: [item, another] });
      await library.operate("refuse", { items: [item] });
      said.push(item, another);
      return "/plugins/stash-sense/dashboard";
    },
    within: ".sense-pages",
    open: async (page) => {
      const region = (name: string) => page.getByRole("region", { name, exact: true });
      await region("Runs").getByRole("button", { name: "Undo" }).first().waitFor();
      await region("Errors").getByRole("button", { name: /^Try / }).first().waitFor();
      await region("Models").locator("details").first().waitFor();
      await openFolds(page);
    },
  },
  {
    name: "Settings",
    path: () => "/plugins/stash-sense/settings",
    within: ".sense-pages",
    open: unfold,
  },
  {
    name: "our form in Stash's settings",
    path: () => "/settings?tab=plugins",
    within: ".sense-settings",
    open: unfold,
  },
  {
    name: "Review before Set up",
    path: () => "/plugins/stash-sense",
    within: ".sense-pages",
    before: notSetUp,
  },
  {
    name: "a scene's tab",
    path: async (library) => `/scenes/${(await library.scene("medley.mp4")).id}`,
    within: ".sense-scene-pane",
    open: openTab,
  },
  {
    name: "what was refused, in Review",
    path: async (library) => {
      await refuse(library);
      return "/plugins/stash-sense?by=refused";
    },
    within: ".sense-pages",
    open: async (page) => {
      await page
        .getByRole("button", { name: /^Take back that/ })
        .first()
        .waitFor();
    },
  },
  {
    name: "a scene's tab with markers, what is refused, and Undo",
    path: async (library) => `/scenes/${(await library.scene(FIVE)).id}`,
    within: ".sense-scene-pane",
    open: async (page, library) => {
      await openTab(page);
      const tab = page.locator(".sense-scene-pane");
      const markers = tab.getByRole("button", { name: /^Markers of Dark/ });
      if ((await markers.getAttribute("aria-expanded")) === "false") await markers.click();
      await expect(markers).toHaveAttribute("aria-expanded", "true");
      const { id } = await library.scene(FIVE);
      said.push({ scene_id: id, kind: "tag", name: "Vertical" });
      await tab.getByRole("button", { name: "Refuse Vertical", exact: true }).click();
      await expect(tab.getByRole("button", { name: "Undo", exact: true })).toBeVisible();
      await openFolds(page);
      await expect(tab.getByRole("button", { name: "Undo refused Vertical" })).toBeVisible();
    },
  },
];

test.beforeAll(async ({ library }) => {
  // Changed, refused and foreign settings show all that the form has.
  await library.configure({
    suggest_only: true,
    preset: "fast",
    frames: 1,
    text_frames: 4,
    never: "Beach, Sea",
    tagme_tag: "tagged",
    clip_model: "gone",
    of_another_version: 1,
  });
});

test.afterAll(async ({ library }) => {
  await takeBack(library);
  await library.reset();
});

for (const place of PLACES) {
  test(place.name, async ({ page, library }) => {
    await place.before?.(page);
    await page.goto(await place.path(library));
    await page.locator(place.within).first().waitFor({ state: "attached" });
    await page.waitForLoadState("networkidle");
    await place.open?.(page, library);
    await expectNoFaultsInBoth(page, place.within);
  });
}

const DIALOG = "[role=dialog]";
const card = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

interface Asks {
  name: string;
  path: string;
  /** Until the dialog is there. */
  open(page: Page, library: Library): Promise<void>;
}

const DIALOGS: readonly Asks[] = [
  {
    name: "Accept all above",
    path: "/plugins/stash-sense",
    open: async (page) => {
      await page.getByRole("link", { name: /^Begin with/ }).click();
      await page.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
      await page.getByRole("button", { name: /^Accept all above 0%/ }).click();
      await expect(page.getByRole("dialog").getByText(/would get/)).toBeVisible();
    },
  },
  {
    name: "Tag the whole library",
    path: "/plugins/stash-sense/dashboard",
    open: (page) =>
      card(page, "Now").getByRole("button", { name: "Tag the whole library" }).click(),
  },
  {
    name: "Try all again",
    path: "/plugins/stash-sense/dashboard",
    open: (page) => card(page, "Errors").getByRole("button", { name: "Try all again" }).click(),
  },
  {
    name: "a licence",
    path: "/plugins/stash-sense/dashboard",
    open: async (page, library) => {
      interface Model {
        name: string;
        commercial: boolean;
        accepted: boolean;
        here: boolean;
      }
      const { models } = await library.operate<{ models: Model[] }>("models");
      const open = models.find((each) => !each.commercial && !each.accepted && !each.here);
      test.skip(open === undefined, "each licence is accepted here, or its model is here");
      await card(page, "Models").locator("details").first().waitFor();
      await openFolds(page);
      await page.getByRole("button", { name: `Download ${open?.name}`, exact: true }).click();
      await page.getByRole("dialog").getByRole("textbox").fill("another licence");
    },
  },
  {
    name: "the undo of a run",
    path: "/plugins/stash-sense/dashboard",
    open: async (page, library) => {
      const items = (await waiting(library)).slice(0, 1);
      await library.operate("accept", { items });
      await page.reload();
      await card(page, "Runs")
        .getByRole("button", { name: /^Undo Accepted by you/ })
        .first()
        .click();
      // What it would undo is undone otherwise: the dialog is left.
      await library.operate("unsay", { items });
    },
  },
];

for (const { name, path, open } of DIALOGS) {
  test(`a dialog: ${name}`, async ({ page, library }) => {
    await page.goto(path);
    await open(page, library);
    await expect(page.getByRole("dialog")).toBeVisible();
    await expectNoFaultsInBoth(page, DIALOG);
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await expect(page.getByRole("dialog")).toHaveCount(0);
  });
}

test("what Tag selected says", async ({ page, library }) => {
  await keepMessages(page);
  const { id } = await library.scene("coffee-vertical-grey-dark-boxed-still.mp4");
  await page.goto("/scenes?q=coffee-vertical-grey-dark-boxed-still");
  await page
    .locator(".scene-card")
    .filter({ has: page.locator(`a[href*="/scenes/${id}"]`) })
    .getByRole("checkbox")
    .first()
    .check({ force: true });
  await page.locator("#more-menu").filter({ visible: true }).click();
  await page.getByRole("button", { name: "Tag selected" }).click();
  await expect(page.locator(".sense-toast-link")).toBeVisible();
  expect(await seriousFaults(page, ".sense-toast-link"), "dark").toEqual([]);
  await wearLight(page);
  expect(await seriousFaults(page, ".sense-toast-link"), "light").toEqual([]);
});

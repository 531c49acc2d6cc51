/** No serious fault of accessibility in what is ours, on each page, dark and light, wide and narrow. */
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, type Library, test, wearLight } from "./fixtures";

interface Place {
  name: string;
  path(library: Library): Promise<string> | string;
  /** Where what is ours stands. */
  within: string;
  before?(page: Page): Promise<void>;
  /** Shows all of it. */
  open?(page: Page): Promise<void>;
}

const unfold = async (page: Page) => {
  const folded = page.locator(".sense-settings-heading button[aria-expanded=false]");
  while (await folded.count()) await folded.first().click();
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
  { name: "Dashboard", path: () => "/plugins/stash-sense/dashboard", within: ".sense-pages" },
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
    open: (page) => page.getByRole("tab", { name: "Sense", exact: true }).click(),
  },
];

const WIDTHS = [1200, 390];

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

test.afterAll(async ({ library }) => library.reset());

for (const place of PLACES) {
  for (const theme of ["dark", "light"]) {
    test(`${place.name}, ${theme}`, async ({ page, library }) => {
      await place.before?.(page);
      await page.goto(await place.path(library));
      await page.locator(place.within).first().waitFor({ state: "attached" });
      await page.waitForLoadState("networkidle");
      await place.open?.(page);
      if (theme === "light") await wearLight(page);
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        await page.waitForLoadState("networkidle");
        const { violations } = await new AxeBuilder({ page }).include(place.within).analyze();
        const serious = violations
          .filter(({ impact }) => impact === "serious" || impact === "critical")
          .map(({ id, nodes }) => ({
            id,
            where: nodes.map((node) => `${node.target.join(" ")}: ${node.any[0]?.message ?? ""}`),
          }));
        expect(serious, `${width} wide`).toEqual([]);
      }
    });
  }
}

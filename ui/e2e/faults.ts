/** What axe finds serious in a part of the page, in words. */
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, wearLight } from "./fixtures";

const WIDTHS = [1200, 390];

/** What axe calls serious or critical within the elements of a selector. */
export async function seriousFaults(page: Page, within: string) {
  const { violations } = await new AxeBuilder({ page }).include(within).analyze();
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => ({
      id,
      where: nodes.map((node) => `${node.target.join(" ")}: ${node.any[0]?.message ?? ""}`),
    }));
}

/** Look at what is there, wide and narrow; what fades in is waited for. */
export async function expectNoFaults(page: Page, within: string, what = ""): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await page.waitForLoadState("networkidle");
    await page.waitForFunction(() =>
      document
        .getAnimations()
        .every((each) => each.playState !== "running" || each.effect?.getTiming().iterations !== 1),
    );
    expect(await seriousFaults(page, within), `${what} ${width} wide`).toEqual([]);
  }
}

/** Look at it as it is, and then in a light theme. */
export async function expectNoFaultsInBoth(page: Page, within: string): Promise<void> {
  await expectNoFaults(page, within, "dark");
  await wearLight(page);
  await expectNoFaults(page, within, "light");
}

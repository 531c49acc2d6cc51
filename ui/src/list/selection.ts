/** Which scenes are selected in Stash's list: it tells each card, and never its menu. */

/** Cards on the page, and whether each is selected. */
const onPage = new Map<string, boolean>();
/** Those that were selected, on this page of the list or on one before. */
const everywhere = new Set<string>();

/** A card is drawn, or drawn again. */
export function note(id: string, selected: boolean): void {
  onPage.set(id, selected);
  if (selected) everywhere.add(id);
  else everywhere.delete(id);
}

/** A card is gone: Stash keeps it selected where only the page of the list changed. */
export function leave(id: string): void {
  onPage.delete(id);
}

/** Nothing is selected any more, or the list is gone. */
export function forgetAll(): void {
  everywhere.clear();
}

/** The selected scenes' ids. */
export function selected(page: ParentNode = document): string[] {
  const rows = inTable(page);
  const here = [...onPage].filter(([, each]) => each).map(([id]) => id);
  const shown = rows.length > 0 ? rows : here;
  const all = [...new Set([...everywhere, ...rows])];
  // Stash's "Select all" drops what was selected on other pages, and tells nobody but this count.
  return count(page) === shown.length ? shown : count(page) === all.length ? all : shown;
}

/** In a table of scenes there are no cards: its boxes say it. */
function inTable(page: ParentNode): string[] {
  const rows = page.querySelectorAll(".scene-table tbody tr");
  return [...rows].flatMap((row) => {
    const box = row.querySelector<HTMLInputElement>(".select-col input[type=checkbox]");
    const link = row.querySelector<HTMLAnchorElement>('a[href*="/scenes/"]');
    const id = /\/scenes\/(\d+)/.exec(link?.getAttribute("href") ?? "")?.[1];
    return box?.checked && id !== undefined ? [id] : [];
  });
}

function count(page: ParentNode): number | undefined {
  const text = page.querySelector(".selected-items-info .selected-count")?.textContent;
  return text ? Number(text) : undefined;
}

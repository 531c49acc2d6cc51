/** The keys left and right: through all in a row that can be pressed, also what Tab passes by. */

const PRESSED = "a[href]:not([aria-hidden]), button";

export type Aside = 1 | -1;

/** Which way a key leads within a row; nothing where it does not. */
export function asideOf(key: string): Aside | undefined {
  if (key === "ArrowRight") return 1;
  return key === "ArrowLeft" ? -1 : undefined;
}

/** Bring the focus to what comes next in a row; at its end it stays. */
export function stepAside(row: HTMLElement, by: Aside): void {
  const stops = [row, ...row.querySelectorAll<HTMLElement>(PRESSED)];
  const from = stops.indexOf(document.activeElement as HTMLElement);
  for (let at = from + by; at >= 0 && at < stops.length; at += by) {
    const stop = stops[at];
    stop?.focus();
    // What cannot take the focus, as it is not shown, is passed by.
    if (document.activeElement === stop) return;
  }
}

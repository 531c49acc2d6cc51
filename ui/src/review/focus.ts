/** The keys of the page work while the focus is in it: where it goes when what had it is gone. */

/** Whether no part of any page has the focus. */
export function isLost(): boolean {
  const here = document.activeElement;
  return here === null || here === document.body || here.matches(":disabled");
}

/** Let the row that keys are about have the focus, or what stands where there is none. */
export function takeUp(page: Element | null): void {
  if (page === null || !isLost()) return;
  const stops = ["[data-row][tabindex='0']", ".sense-review-empty a.btn", ".sense-review-empty"];
  for (const stop of stops) {
    page.querySelector<HTMLElement>(stop)?.focus({ preventScroll: true });
    if (!isLost()) return;
  }
}
